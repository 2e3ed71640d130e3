"""What image analogies are asked: pairs A, A' and pictures B, from photographs or from pictures before and after.

A *question* is one pair (or several) and all B that it is put to; those with ``truths`` are scored, the others are to
look at.

================== ====================================================== =========================================
task               A -> A'                                                B
================== ====================================================== =========================================
blur, painterly    a photograph -> the same, filtered                     crops of other photographs
edge, emboss       the same in grey                                       the same in grey
super-resolution   left half of a photograph, enlarged -> sharp           crops of its right half, enlarged
colourise          left half of a photograph in grey -> in colour         crops of its right half in grey
texture-by-numbers a map of areas -> textures in these areas              another map
texture-transfer   a texture, blurred -> the texture                      a photograph
line-art           line drawings -> the same concepts in colour           line drawings of other concepts of a group
================== ====================================================== =========================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.settings import Checked, Count
from bench.config.variants import Swept
from bench.contracts import DataFacts
from bench.data.pairs import PairSplit
from bench.families.by_example.analogies.planted_filters import FILTERS, blur

__all__ = ["OPTIONS", "SCORED", "Question", "SampleConfig", "Timed", "grey", "questions", "resized", "timed_question"]

Picture = NDArray[np.uint8]

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    # Filters that take differences do not commute with a change of contrast; the others are judged in absolute values
    # too.
    **{name: {"remap": False} for name in FILTERS},
    # Their answers are small: without a heavy A and B a neighbourhood is mostly chosen for the flat parts of A'.
    **{name: {"remap": False, "levels": 2, "source_weight": 10.0} for name in ("edge", "emboss")},
    "super-resolution": {"remap": False},
    "colourise": {"colour": "chroma", "remap": False},
    "line-art": {"colour": "full", "remap": False},
    "texture-by-numbers": {"colour": "full", "remap": False, "kappa": 5.0},
    "texture-transfer": {"colour": "luminance", "kappa": 2.0, "source_weight": 1.0},
}
"""Settings that a task needs, by name of the task."""
TaskName = Literal[
    "blur",
    "edge",
    "emboss",
    "painterly",
    "super-resolution",
    "colourise",
    "line-art",
    "texture-by-numbers",
    "texture-transfer",
]
SCORED = (*FILTERS, "super-resolution", "colourise", "line-art")


@dataclass(frozen=True)
class Timed(Checked):
    """Keys under ``sample.timed:``: one planted filter asked of the exact search and of the tree.

    Attributes:
        task: name of the filter.
        side: of A; candidates of the search grow with its square, and so does what a tree saves.
    """

    task: Literal["blur", "edge", "emboss", "painterly"] = "blur"
    side: Count = 320


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of image analogies; ``variants`` are swept over all scored tasks.

    Attributes:
        tasks: name of a task -> settings of :class:`bench.families.by_example.analogies.image_analogies.AnalogyConfig`
            for it alone.
        example: photograph that the planted filters are shown on.
        side: photographs are reduced to this shorter side; of ``example``, the square in the middle is taken.
        pictures: photographs that B are cut from.
        crop: side of each B.
        crops: B of each photograph.
        timed: the question whose searches are timed, null for none.
    """

    tasks: Mapping[TaskName, Mapping[str, Any] | None] = field(default_factory=dict)
    example: str = "astronaut"
    side: Count = 256
    pictures: tuple[str, ...] = ("chelsea", "coffee", "motorcycle_left", "rocket")
    crop: Count = 96
    crops: Count = 2
    timed: Timed | None = None

    def check_data(self, facts: DataFacts) -> None:
        """Refuse tasks that the data cannot serve, and photographs that it does not hold."""
        if not self.tasks:
            raise ValueError(f"tasks: name at least one of {', '.join(OPTIONS)}")
        for task in self.tasks:
            if (facts.kind == "pairs") != (task == "line-art"):
                needed = "pairs before and after" if task == "line-art" else "photographs"
                raise ValueError(f"tasks: {task} needs {needed} as data set, and {facts.name} is of kind {facts.kind}")
        if facts.kind != "pairs":
            facts.check_items([self.example], "example")
            facts.check_items(self.pictures, "pictures")

    def option_sets(self) -> Iterator[tuple[str, dict[str, Any], type]]:
        """Where options of the system stand, and which."""
        yield from super().option_sets()
        for task, settings in self.tasks.items():
            for _, variant, own in super().option_sets():
                yield f"tasks.{task}", {**OPTIONS[task], **(settings or {}), **variant}, own


@dataclass(frozen=True)
class Question:
    """Pairs and what they are put to.

    Attributes:
        task: its name.
        pairs: A and A'.
        names: of each B.
        pictures: each B.
        truths: each B', or None where there is no right answer.
        small: for super-resolution each B before it was enlarged.
    """

    task: str
    pairs: Sequence[tuple[Picture, Picture]]
    names: Sequence[str]
    pictures: Sequence[Picture]
    truths: Sequence[Picture] | None = None
    small: Sequence[Picture] = ()


def grey(picture: Picture) -> Picture:
    """Luminance, ``(H, W)``."""
    from PIL import Image

    return picture if picture.ndim == 2 else np.asarray(Image.fromarray(picture).convert("L"))


def resized(picture: Picture, shape: tuple[int, int], how: str) -> Picture:
    """A picture at another (height, width): ``BICUBIC``, ``BOX``, or ``NEAREST`` for repeated pixels."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize(shape[::-1], Image.Resampling[how]))


def _reduced(picture: Picture, side: int) -> Picture:
    """A picture reduced to a shorter side; never enlarged."""
    height, width = picture.shape[:2]
    scale = side / min(height, width)
    return picture if scale >= 1 else resized(picture, (round(height * scale), round(width * scale)), "BOX")


def _crops(picture: Picture, side: int, count: int, name: str) -> list[Picture]:
    """Squares spread along the longer side, in the middle of the shorter."""
    height, width = picture.shape[:2]
    if min(height, width) < side:
        raise BenchError(
            f"sample.crop: {side} pixels do not fit {name} of {height}x{width}: give a smaller crop or a larger side"
        )
    along, across = max(height, width) - side, (min(height, width) - side) // 2
    starts = [round((i + 0.5) / count * along) for i in range(count)]
    corners = [(start, across) if height >= width else (across, start) for start in starts]
    return [picture[y : y + side, x : x + side] for y, x in corners]


class _Photographs:
    """The photographs of a block, by name, and the questions that they can ask."""

    def __init__(self, pictures: Mapping[str, Picture], config: SampleConfig, where: str) -> None:
        self._pictures, self._config, self._where = pictures, config, where

    def _whole(self, name: str) -> Picture:
        if name not in self._pictures:
            raise BenchError(f"{self._where}: no picture {name!r} in the data set.{did_you_mean(name, self._pictures)}")
        return self._pictures[name]

    def _square(self, name: str, side: int) -> Picture:
        """The square in the middle, reduced."""
        reduced = _reduced(self._whole(name), side)
        return _crops(reduced, min(reduced.shape[:2]), 1, "")[0]

    def _crops(self, picture: Picture, name: str) -> tuple[list[str], list[Picture]]:
        """B of one photograph, and what they are called."""
        crops = _crops(picture, self._config.crop, self._config.crops, name)
        return [f"{name} {i + 1}" for i in range(len(crops))], crops

    def filtered(self, task: str, side: int) -> Question:
        """A planted filter."""
        apply = FILTERS[task]
        look: Callable[[Picture], Picture] = grey if task in ("edge", "emboss") else np.asarray
        a = look(self._square(self._config.example, side))
        names, pictures = [], []
        for name in self._config.pictures:
            called, crops = self._crops(_reduced(self._whole(name), self._config.side), name)
            names += called
            pictures += [look(crop) for crop in crops]
        return Question(task, [(a, apply(a))], names, pictures, [apply(picture) for picture in pictures])

    def halved(self, task: str) -> Iterator[Question]:
        """Super-resolution or colourisation: one question for each photograph, its left half put to its right half."""
        for name in self._config.pictures:
            reduced = _reduced(self._whole(name), self._config.side)
            middle = reduced.shape[1] // 2
            left, (names, crops) = reduced[:, :middle], self._crops(reduced[:, middle:], name)
            if task == "colourise":
                yield Question(task, [(grey(left), left)], names, [grey(crop) for crop in crops], crops)
                continue
            small = [_halved_size(crop) for crop in crops]
            coarse = resized(_halved_size(left), left.shape[:2], "BICUBIC")
            pictures = [resized(one, crop.shape[:2], "BICUBIC") for one, crop in zip(small, crops, strict=True)]
            yield Question(task, [(coarse, left)], names, pictures, crops, small)

    def by_numbers(self) -> Question:
        """Brick, grass and gravel (tinted: the photographs are grey) in wavy bands; asked for a wall, a hill with a
        path, and a disc."""
        side, names = self._config.side * 5 // 8, ("brick", "grass", "gravel")
        y, x = np.indices((side, side)) / side
        textures = [grey(self._square(name, self._config.side))[:side, :side, None] for name in names]
        tinted = [np.clip(texture * tint, 0, 255) for texture, tint in zip(textures, _TINTS, strict=True)]
        bands = _areas(y - 0.33 - 0.05 * np.sin(9 * x), y - 0.67 - 0.05 * np.cos(8 * x))
        path = np.minimum(y - 0.5, 0.02 + 0.22 * (y - 0.4) - np.abs(x - 0.45))
        scene = _areas(y - 0.55 + 0.15 * np.sin(3.2 * x), path)
        scene[(x - 0.78) ** 2 + (y - 0.2) ** 2 < 0.018] = 2
        a_prime = np.choose(bands[:, :, None], tinted).astype(np.uint8)
        return Question(
            "texture-by-numbers", [(_LABELS[bands], a_prime)], ["brick, grass and gravel"], [_LABELS[scene]]
        )

    def transferred(self) -> Iterator[Question]:
        """A face made of gravel, a cat made of grass."""
        for texture, photograph in (("gravel", self._config.example), ("grass", self._config.pictures[0])):
            a_prime, b = self._square(texture, self._config.side), self._square(photograph, self._config.side * 5 // 8)
            yield Question("texture-transfer", [(blur(a_prime, 1.5), a_prime)], [f"{photograph} in {texture}"], [b])


_LABELS = np.array([[40, 70, 200], [60, 170, 60], [220, 60, 50]], dtype=np.uint8)
_TINTS = np.array([[1.25, 0.75, 0.6], [0.8, 1.15, 0.45], [1.0, 1.0, 1.1]])


def _halved_size(picture: Picture) -> Picture:
    return resized(picture, (picture.shape[0] // 2, picture.shape[1] // 2), "BOX")


def _areas(*heights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the last function that is positive at each pixel, 0 where none is."""
    areas = np.zeros(heights[0].shape, dtype=np.int64)
    for number, height in enumerate(heights, 1):
        areas[height > 0] = number
    return areas


def _line_art(train: PairSplit, test: PairSplit) -> Iterator[Question]:
    """One question for each group: its training pairs, put to its test pictures."""
    for group in sorted(set(test.groups)):
        pairs = [(train.before[i], train.after[i]) for i, name in enumerate(train.groups) if name == group]
        held = [i for i, name in enumerate(test.groups) if name == group]
        before, after = [test.before[i] for i in held], [test.after[i] for i in held]
        yield Question("line-art", pairs, [test.names[i] for i in held], before, after)


def questions(data: Mapping[str, Any], config: SampleConfig, where: str) -> list[Question]:
    """All questions of a block, task by task.

    Args:
        data: what :func:`bench.data.datasets.load` gives: photographs by name, or splits of pairs.
        config: the block's ``sample``.
        where: names the block in errors.

    Raises:
        BenchError: an unknown task or picture, a task that the data cannot serve, a crop that does not fit.
    """
    paired = any(isinstance(part, PairSplit) for part in data.values())
    if not config.tasks:
        raise BenchError(f"{where}.tasks: name at least one of {', '.join(OPTIONS)}")
    asked: list[Question] = []
    photographs = _Photographs(data, config, where)
    for task in config.tasks:
        if paired != (task == "line-art"):
            needed = "pairs before and after" if task == "line-art" else "photographs"
            raise BenchError(f"{where}.tasks: {task} needs {needed} as data set")
        if task == "line-art":
            asked += _line_art(data["train"], data["test"])
        elif task in FILTERS:
            asked.append(photographs.filtered(task, config.side))
        elif task == "texture-by-numbers":
            asked.append(photographs.by_numbers())
        else:
            asked += photographs.transferred() if task == "texture-transfer" else photographs.halved(task)
    return asked


def timed_question(data: Mapping[str, Any], config: SampleConfig, timed: Timed, where: str) -> Question:
    """The planted filter whose search is timed."""
    return _Photographs(data, config, where).filtered(timed.task, timed.side)
