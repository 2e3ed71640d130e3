"""What a system of each contract makes of tiny data: what the checks of all contracts compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.settings import NothingToSet
from bench.contracts import Ints

__all__ = ["OUTPUTS", "PROMPTS", "SIZE", "Output", "classes", "colour_pictures"]

PROMPTS = ("a red three", "a small blue seven", "two yellow fours", "a green one above a white six")
SIZE = (14, 17)
"""Height and width of a texture."""
_FEW = {"steps": 3, "chunk": 4}
"""Of denoising: the promises hold at any number of steps, and a short chunk is filled up."""


@dataclass(frozen=True)
class Output:
    """How the output of a system is got.

    Attributes:
        make: called as ``make(system, data, seed, n)``; gives what ``==`` or ``array_equal`` compares.
        seeded: whether another seed must give another output.
        items: whether it has one item for each of ``n``, none of which may depend on the others.
    """

    make: Callable[[Any, Mapping[str, Any], int, int], Any]
    seeded: bool = True
    items: bool = False


def colour_pictures(data: Mapping[str, Any]) -> list[NDArray[np.uint8]]:
    """The first two pictures in colour."""
    return [picture for picture in data.values() if picture.ndim == 3][:2]


def classes(data: Mapping[str, Any], n: int) -> Ints | None:
    """``n`` classes of the data, in turn; None where there are none."""
    labels = data["train"].labels
    return None if labels is None else np.resize(np.unique(labels), n).astype(np.int64)


def _known(system: Any, **options: Any) -> dict[str, Any]:
    """The options of sampling that the system has."""
    known = {field.name for field in dataclasses.fields(getattr(system, "SampleOptions", NothingToSet))}
    return {key: value for key, value in options.items() if key in known}


def _texts(system: Any, data: Mapping[str, Any], seed: int, n: int) -> str:
    return str(system.sample(30, seed) + system.sample(30, seed, prompt="Shall"))


def _texture(system: Any, data: Mapping[str, Any], seed: int, n: int) -> Any:
    return system.synthesize(next(iter(data.values())), SIZE, seed, **_known(system, window=5))


def _play(system: Any, data: Mapping[str, Any], seed: int, n: int) -> Any:
    return system.play(next(iter(data.values())).frames, 20, seed)


def _analogy(system: Any, data: Mapping[str, Any], seed: int, n: int) -> Any:
    a, b = colour_pictures(data)
    return system.analogy(a, 255 - a, b, seed)


def _style(system: Any, data: Mapping[str, Any], seed: int, n: int) -> Any:
    return system.stylise(*colour_pictures(data), seed, **_known(system, start="noise"))


def _scenes(system: Any, data: Mapping[str, Any], seed: int, n: int) -> Any:
    prompts: Sequence[str] = PROMPTS[:n]
    return system.sample(prompts, seed, **_known(system, guidance=2.0, **_FEW))


OUTPUTS: dict[str, Output] = {
    "LanguageModel": Output(_texts),
    "TextEncoder": Output(lambda system, data, seed, n: system.embed_texts(PROMPTS[:n]), seeded=False, items=True),
    "Synthesizer": Output(_texture),
    "VideoSynthesizer": Output(_play),
    "AnalogySolver": Output(_analogy, seeded=False),
    "Styler": Output(_style),
    "Encoder": Output(
        lambda system, data, seed, n: system.embed_images(data["validation"].images[:n]), seeded=False, items=True
    ),
    "Codec": Output(
        lambda system, data, seed, n: system.decode(system.encode(data["validation"].images[:n])),
        seeded=False,
        items=True,
    ),
    "ImageGenerator": Output(
        lambda system, data, seed, n: system.sample(n, seed, labels=classes(data, n), **_known(system, **_FEW)),
        items=True,
    ),
    "TextToImage": Output(_scenes, items=True),
}
"""Contract -> the output of its systems, and of those of every contract that extends it."""
