"""The textures of params.yaml, cut as the pipeline cuts them, from the pictures that scikit-image brings along."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.base.settings import build_config
from bench.config.load import load_params
from bench.families.by_example.textures.sampling import Piece, SampleConfig, cut

ROOT = Path(__file__).parents[2]


def photograph(name: str) -> NDArray[np.uint8]:
    spec = find_spec("skimage")
    assert spec is not None and spec.origin is not None
    (path,) = (Path(spec.origin).parent / "data").glob(f"{name}.*")
    with Image.open(path) as image:
        return np.asarray(image.convert("L" if image.mode in ("L", "I;16", "1") else "RGB"))


@pytest.fixture(scope="session")
def real_textures() -> dict[str, Piece]:
    """Exemplar and held-out piece of each texture of the default profile."""
    block = load_params(ROOT / "params.yaml", "cpu").generator("efros-leung")
    config: SampleConfig = build_config(SampleConfig, block["sample"], "sample")
    return {name: cut(photograph(how.of or name), how, name, config.side) for name, how in config.exemplars.items()}
