"""`bench sample style`: files in, a picture out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from bench.base.errors import BenchError
from bench.commands.style_sampling import run_style

BLOCK = {"system": "style_transfer", "dataset": "photos", "network": "net", "model": {"steps": 3, "ratio": 10.0}}


def vgg() -> dict[str, torch.Tensor]:
    generator, state, inside = torch.Generator().manual_seed(0), {}, 3
    for name in (f"conv{i}_{j}" for i, count in enumerate((2, 2, 3, 3, 3), start=1) for j in range(1, count + 1)):
        state[f"{name}.weight"] = torch.randn((4, inside, 3, 3), generator=generator) * (2 / (9 * inside)) ** 0.5
        state[f"{name}.bias"] = torch.zeros(4)
        inside = 4
    return state


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the network prepared and nothing trained; two pictures of other sizes."""
    cards = {"photos": {"card": "datasets/photos.yaml"}, "net": {"card": "datasets/net.yaml"}}
    params = {"profile": "cpu", "datasets": cards, "style_transfer": {"gatys": BLOCK}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "data/prepared/net").mkdir(parents=True)
    save_file(vgg(), tmp_path / "data/prepared/net/weights.safetensors")
    save_file(vgg(), tmp_path / "mine.safetensors")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(tmp_path / "c.png")
    Image.fromarray(rng.integers(0, 256, (50, 40, 4), dtype=np.uint8)).save(tmp_path / "s.png")  # with alpha
    Image.fromarray(rng.integers(0, 65536, (40, 44), dtype=np.uint16)).save(tmp_path / "deep.png")
    return tmp_path


def test_the_longer_side_has_the_asked_size(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run_style(root, root / "c.png", root / "s.png", root / "out.png", size=30)
    assert made.shape == (20, 30, 3)
    with Image.open(root / "out.png") as image:
        assert np.array_equal(np.asarray(image), made)
    assert "out.png: 30x20 pixels" in capsys.readouterr().out


def test_small_pictures_are_not_enlarged_and_deep_ones_are_read(root: Path) -> None:
    made = run_style(root, root / "deep.png", root / "c.png", root / "out.png", size=256, quiet=True)
    assert made.shape == (40, 44, 3)


def test_a_users_network_and_settings(root: Path) -> None:
    common = {"size": 24, "quiet": True}
    packaged = run_style(root, root / "c.png", root / "s.png", root / "a.png", **common)
    own = run_style(root, root / "c.png", root / "s.png", root / "b.png", weights=root / "mine.safetensors", **common)
    assert np.array_equal(packaged, own), "the same weights by either way"
    more = run_style(
        root, root / "c.png", root / "s.png", root / "c2.png", options={"ratio": 1000.0, "steps": 6}, **common
    )
    assert not np.array_equal(packaged, more)


def test_a_strip_of_the_progress(root: Path) -> None:
    made = run_style(
        root, root / "c.png", root / "s.png", root / "out.png", size=24, strip=root / "strip.png", quiet=True
    )
    with Image.open(root / "strip.png") as image:
        strip = np.asarray(image)
    assert strip.shape[0] == made.shape[0] and strip.shape[1] % made.shape[1] == 0
    assert np.array_equal(strip[:, -made.shape[1] :], made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 8}, r"--size 8: .* from 16 to 2048"),
        ({"out": Path("out.jpg")}, r"out\.jpg: pictures are written as \.png"),
        ({"content": Path("none.png")}, r"none\.png"),
        ({"options": {"rato": 1}}, r"unknown key 'rato'\. Did you mean 'ratio'\?"),
        ({"weights": Path("none.pth")}, r"no weights at none\.pth"),
    ],
)
def test_mistakes(root: Path, changes: dict[str, object], said: str) -> None:
    values = {
        "content": root / "c.png",
        "style": root / "s.png",
        "out": root / "out.png",
        "size": 24,
        "quiet": True,
        **changes,
    }
    with pytest.raises(BenchError, match=said):
        run_style(root, **values)  # type: ignore[arg-type]
    assert not (root / "out.png").exists()


def test_without_the_packaged_network_it_says_what_to_run(root: Path) -> None:
    (root / "data/prepared/net/weights.safetensors").unlink()
    with pytest.raises(BenchError, match="dvc repro prepare@net"):
        run_style(root, root / "c.png", root / "s.png", root / "out.png", size=24, quiet=True)
