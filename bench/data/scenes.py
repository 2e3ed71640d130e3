"""The renderer of digit scenes: 32x32 colour pictures of real handwritten digits, with exact captions and structured
ground truth.

A digit is cropped to its ink, scaled so that its longer side is S pixels (22 alone, 13 alone and small, 15 in pairs, 11
small beside another, 13 in threes and fours), slightly brightened so that thin strokes survive, and laid as an alpha
mask of its colour over a dark background. The pixel arithmetic is on whole numbers (held exactly in float32 where
matrix products are wanted), so that the pictures are the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.progress import Progress
from bench.base.seeds import generator
from bench.data.cards import Render
from bench.data.datasets import ImageSplit
from bench.scene_language import COLOURS, KINDS, MAX_OBJECTS, RELATIONS, caption_of, is_unseen

__all__ = ["CANVAS", "COLOURLESS", "MIX", "SIZES", "Layout", "digit_masks", "draw_layout", "render", "render_splits"]

CANVAS = 32
SIZES = (22, 15, 13, 11)
"""Longer side of a digit in pixels, over all kinds of scene."""
MIX = (0.42, 0.30, 0.08, 0.06, 0.06, 0.04, 0.04)
"""Share of each kind, in the order of KINDS."""
COLOURLESS = 0.12
"""Share of the captions that leave the colour words out."""
SMALL_ALONE, SMALL_BESIDE = 0.30, 0.15
_COUNT = np.array([1, 2, 2, 3, 4, 3, 4])
_COLOUR_JITTER, _GREY, _GREY_JITTER = 14, 28, 6
_INK = 40
"""Darker pixels are not counted as ink when a digit is cropped."""
_ONE, _RELATION, _PAIR = range(3)
_MIXED = (5, 6)


class Layout:
    """The ground truth of N scenes, before a pixel is drawn.

    Attributes:
        kind: ``(N,)`` index into KINDS.
        count: ``(N,)`` number of objects.
        digits, colours, sizes: ``(N, 4)`` in the caption's order, -1 where there is no object; sizes are 0 big, 1
            small.
        sides: ``(N, 4)`` longer side in pixels, 0 where there is no object.
        tops: ``(N, 4, 2)`` upper left corner (y, x) of the object's square; sides and tops are in pixels at scale 1.
        relation: ``(N,)`` index into RELATIONS, -1 for none.
        colourless: ``(N,)`` True where the caption leaves the colours out.
    """

    def __init__(self, n: int) -> None:
        self.kind = np.zeros(n, np.int64)
        self.count = np.zeros(n, np.int64)
        self.digits = np.full((n, MAX_OBJECTS), -1, np.int64)
        self.colours = np.full((n, MAX_OBJECTS), -1, np.int64)
        self.sizes = np.full((n, MAX_OBJECTS), -1, np.int64)
        self.sides = np.zeros((n, MAX_OBJECTS), np.int64)
        self.tops = np.zeros((n, MAX_OBJECTS, 2), np.int64)
        self.relation = np.full(n, -1, np.int64)
        self.colourless = np.zeros(n, np.bool_)

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(N, 4)`` True where there is an object."""
        return np.arange(MAX_OBJECTS) < self.count[:, None]

    def captions(self) -> list[str]:
        """What is true of each scene, in words."""
        texts = []
        for i, kind in enumerate(self.kind):
            objects = [
                (
                    None if self.colourless[i] else int(self.colours[i, k]),
                    int(self.digits[i, k]),
                    bool(self.sizes[i, k]),
                )
                for k in range(self.count[i])
            ]
            relation = int(self.relation[i]) if kind == _RELATION else None
            texts.append(caption_of(objects, relation, of_a_kind=bool(kind >= _PAIR and kind not in _MIXED)))
        return texts

    def truth(self, scale: int = 1) -> dict[str, NDArray[Any]]:
        """The arrays stored with the pictures. ``centres`` is (y, x) in pixels: 0 at the upper left edge, 32 scale at
        the lower right."""
        centres = np.where(self.present[..., None], scale * (self.tops + self.sides[..., None] / 2), -1.0).astype(
            np.float32
        )
        unseen = is_unseen(self.colours, self.digits) & self.present
        objects = {
            "count": self.count,
            "digits": self.digits,
            "colours": self.colours,
            "sizes": self.sizes,
            "centres": centres,
        }
        return {**objects, "relation": self.relation, "kind": self.kind, "unseen": np.any(unseen, axis=1)}


def _centred(
    rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float, side: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Corners of squares of ``side`` whose centres are uniform in [low, high], kept inside the canvas."""
    corner = np.rint(rng.uniform(low, high, shape) - side / 2).astype(np.int64)
    return np.clip(corner, 0, CANVAS - side)


def draw_layout(n: int, rng: np.random.Generator, *, all_pairs: bool) -> Layout:
    """What is where in ``n`` scenes; ``all_pairs=False`` leaves the held-out colour-digit pairs out."""
    pairs = np.array([(c, d) for c in range(len(COLOURS)) for d in range(10) if all_pairs or not is_unseen(c, d)])
    scene = Layout(n)
    scene.kind = rng.choice(len(KINDS), size=n, p=MIX)
    scene.count = _COUNT[scene.kind]
    mixed = np.isin(scene.kind, (_RELATION, *_MIXED))
    # Four different pairs for each scene: random keys, the four smallest. Of-a-kind scenes repeat the first.
    chosen = np.argsort(rng.random((n, len(pairs)), dtype=np.float32), axis=1)[:, :MAX_OBJECTS]
    chosen = np.where(mixed[:, None], chosen, chosen[:, :1])
    scene.colours = np.where(scene.present, pairs[chosen, 0], -1)
    scene.digits = np.where(scene.present, pairs[chosen, 1], -1)
    alone, beside = scene.kind == _ONE, scene.kind == _RELATION
    small = rng.random((n, MAX_OBJECTS)) < np.where(alone, SMALL_ALONE, np.where(beside, SMALL_BESIDE, 0.0))[:, None]
    scene.sizes = np.where(scene.present, small.astype(np.int64), -1)
    side = np.select([alone, scene.count == 2], [22, 15], 13)[:, None]
    side = np.where(small, np.where(alone, 13, 11)[:, None], side)
    scene.sides = np.where(scene.present, side, 0)

    # Counted and mixed scenes fill quadrants; one digit lies anywhere; two in a relation lie in opposite halves.
    quadrant = np.argsort(rng.random((n, MAX_OBJECTS)), axis=1)
    base = 8 + 16 * np.stack([quadrant // 2, quadrant % 2], axis=-1)  # (N, 4, 2)
    corner = np.rint(base + rng.uniform(-1.5, 1.5, base.shape) - side[..., None] / 2).astype(np.int64)
    scene.tops = np.clip(corner, 0, CANVAS - side[..., None])
    room = CANVAS - side[alone, :1] + 1
    scene.tops[alone, 0] = (rng.random((len(room), 2)) * room).astype(np.int64)
    rows = np.flatnonzero(beside)
    relation = rng.integers(len(RELATIONS), size=len(rows))
    scene.relation[rows] = relation
    near = _centred(rng, rows.shape, 7, 10, np.full(len(rows), 15))
    far = _centred(rng, rows.shape, 22, 25, np.full(len(rows), 15))
    first_near = np.isin(relation, (0, 2))  # left of, above
    axis = np.where(relation < 2, 1, 0)  # the axis of the relation: x for left and right
    sides = scene.sides[rows, :2]
    along = np.stack([np.where(first_near, near, far), np.where(first_near, far, near)], axis=1) + (15 - sides) // 2
    middle = rng.uniform(8, 24, len(rows))
    across = np.rint(np.stack([middle, middle + rng.uniform(-5, 5, len(rows))], axis=1) - sides / 2).astype(np.int64)
    across = np.clip(across, 0, CANVAS - sides)
    for k in range(2):
        scene.tops[rows, k, axis] = along[:, k]
        scene.tops[rows, k, 1 - axis] = across[:, k]
    scene.tops[~scene.present] = 0
    scene.colourless = rng.random(n) < COLOURLESS
    return scene


def _weights(length: int, start: int, target: int, width: int) -> NDArray[np.float32]:
    """Antialiased linear scaling of ``length`` pixels from ``start`` to ``target`` pixels, as ``(target, width)``
    weights in 256ths.

    A triangle filter of the target's pitch (at least one source pixel wide); every row sums to 256.
    """
    scale = length / target
    support = max(scale, 1.0)
    centre = (np.arange(target)[:, None] + 0.5) * scale - 0.5
    weight = np.maximum(0.0, 1.0 - np.abs(np.arange(length)[None, :] - centre) / support)
    weight = weight / weight.sum(axis=1, keepdims=True) * 256
    whole = np.floor(weight)
    for row, missing in enumerate((256 - whole.sum(axis=1)).astype(int)):
        whole[row, np.argsort(whole[row] - weight[row], kind="stable")[:missing]] += 1
    table = np.zeros((target, width), np.float32)
    table[:, start : start + length] = whole
    return table


def digit_masks(images: NDArray[np.uint8], side: int, gain: float = 1.25) -> NDArray[np.uint8]:
    """Alpha masks ``(N, side, side)`` of digits ``(N, H, W)``: cropped to the ink, scaled so that the longer side fits,
    centred.

    ``gain`` brightens; it must be a multiple of 1/20, so that the result is exact. Both passes are products of whole
    numbers below 2**24, exact in float32.
    """
    _, height, width = images.shape
    ink = images > _INK
    boxes = []
    for axis, length in ((2, height), (1, width)):
        line: NDArray[np.bool_] = np.any(ink, axis=axis)
        line[~line.any(axis=1)] = True  # an empty picture is taken whole
        start = line.argmax(axis=1)
        boxes.append((start, length - line[:, ::-1].argmax(axis=1) - start))
    longer = np.maximum(boxes[0][1], boxes[1][1])
    masks = images.astype(np.float32)
    for axis, (start, length) in enumerate(boxes):
        target = np.maximum(1, (length * side + longer // 2) // longer)
        keys, which = np.unique(np.stack([start, length, target]), axis=1, return_inverse=True)
        full = images.shape[1 + axis]
        tables = np.zeros((keys.shape[1], side, full), np.float32)
        for i, (s, m, t) in enumerate(keys.T):
            offset = (side - t) // 2
            tables[i, offset : offset + t] = _weights(int(m), int(s), int(t), full)
        table = tables[which.ravel()]  # (N, side, full)
        masks = table @ masks if axis == 0 else masks @ table.transpose(0, 2, 1)
        masks = np.floor((masks + 128) / 256)
    return np.minimum(255, np.floor(masks * round(20 * gain) / 20)).astype(np.uint8)


def render(
    scene: Layout,
    digits: ImageSplit,
    rng: np.random.Generator,
    scale: int = 1,
    *,
    quiet: bool = True,
    label: str = "scenes",
) -> NDArray[np.uint8]:
    """Draw the scenes: ``(N, 32 scale, 32 scale, 3)`` uint8.

    Args:
        scene: what is where.
        digits: handwritten digits with labels; each object is a random one of its digit.
        rng: chooses digits, colour jitter and backgrounds.
        scale: 2 makes the same scenes at twice the width and height.
        quiet: no progress.
        label: of the progress line.
    """
    assert digits.labels is not None
    n = len(scene.kind)
    by_digit = [np.flatnonzero(digits.labels == d) for d in range(10)]
    sizes = np.array([len(rows) for rows in by_digit])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    pick = (rng.random((n, MAX_OBJECTS)) * sizes[scene.digits]).astype(np.int64)
    which = np.concatenate(by_digit)[
        np.minimum(starts[scene.digits] + pick, len(digits) - 1)
    ]  # (N, 4) rows of ``digits``
    palette = np.array(list(COLOURS.values()))
    jitter = rng.integers(-_COLOUR_JITTER, _COLOUR_JITTER + 1, (n, MAX_OBJECTS, 3))
    paint = np.clip(palette[scene.colours] + jitter, 0, 255).astype(np.int32)
    grey = rng.integers(0, _GREY + 1, (n, 1)) + rng.integers(-_GREY_JITTER, _GREY_JITTER + 1, (n, 3))
    extent = CANVAS * scale
    canvas = np.broadcast_to(np.clip(grey, 0, 255).astype(np.uint8)[:, None, None], (n, extent, extent, 3)).copy()
    with Progress(f"rendering {label}", int(scene.count.sum()), "digits", quiet=quiet) as progress:
        for side in SIZES:
            span, gain = np.arange(side * scale), 1.1 if side == SIZES[0] else 1.25
            for k in range(MAX_OBJECTS):
                for rows in _chunks(np.flatnonzero(scene.sides[:, k] == side)):
                    ink = digit_masks(digits.images[which[rows, k], :, :, 0], side * scale, gain).astype(np.int32)[
                        ..., None
                    ]
                    top, left = (scale * scene.tops[rows, k]).T
                    place = (rows[:, None, None], (top[:, None] + span)[:, :, None], (left[:, None] + span)[:, None, :])
                    under = canvas[place].astype(np.int32)
                    canvas[place] = (under * (255 - ink) + paint[rows, k][:, None, None] * ink + 127) // 255
                    progress.update(len(rows))
    return canvas


def _chunks(rows: NDArray[np.int64], size: int = 4096) -> list[NDArray[np.int64]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def render_splits(
    digits: Mapping[str, ImageSplit], counts: Render, seed: int, *, quiet: bool = True
) -> dict[str, ImageSplit]:
    """All splits: scenes of a split from the digits of the same split; ``judge`` from training digits.

    The held-out colour-digit pairs are in ``test`` and ``judge`` only.
    """
    splits = {}
    for split, source in (("train", "train"), ("validation", "validation"), ("test", "test"), ("judge", "train")):
        rng = generator(seed, split)
        scene = draw_layout(getattr(counts, split), rng, all_pairs=split in ("test", "judge"))
        images = render(scene, digits[source], rng, counts.scale, quiet=quiet, label=f"{split} scenes")
        splits[split] = ImageSplit(images, captions=scene.captions(), scene=scene.truth(counts.scale))
    return splits
