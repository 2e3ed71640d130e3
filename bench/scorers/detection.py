"""The scene detector's own error on real test scenes: no generator can be measured more exactly than this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import DetectsObjects
from bench.data.datasets import ImageSplit
from bench.metrics.compositional import Detections, asked_of, compose
from bench.metrics.protocols import protocol_id
from bench.results.extras import Gallery, Note, Table
from bench.results.pictures import grid, png_bytes
from bench.scene_language import COLOURS, DIGIT_WORDS
from bench.scorers.reference import image_splits
from bench.scorers.shares import share
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["UNSEEN", "detection"]

UNSEEN = "unseen-combinations"
_SHOWN = 20
_VERDICTS = {
    "digit_accuracy": "digits_right",
    "colour_accuracy": "colours_right",
    "count_accuracy": "count_right",
    "both_accuracy": "both_right",
    "relation_accuracy": "relation_right",
    "all_accuracy": "all_right",
}


@scorer("Encoder", model=True)
def detection(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """Digits, colours, counts, objects and relations against the ground truth, of all scenes and by slice."""
    test, system = image_splits(subject)["test"], subject.system
    if not isinstance(system, DetectsObjects) or test.scene is None:
        return
    seen: Detections = system.detect(test.images)
    verdict = compose(seen, asked_of(test.scene))
    for name, rows in _slices(test.scene).items():
        for metric, field in _VERDICTS.items():
            hits = getattr(verdict, field)[rows]
            hits = hits[~np.isnan(hits)]
            if len(hits):
                protocol = protocol_id(metric, "real", f"{subject.dataset}-test", judge=subject.name)
                yield share(metric, hits, protocol, slice=name)
    yield _by_size(seen, test)
    readings = tuple(_reading(seen, i) for i in range(min(_SHOWN, len(test))))
    yield Gallery(
        "What the detector sees",
        png_bytes(grid(test.images[:_SHOWN], columns=10)),
        f"Test scenes, read by the detector: {'; '.join(readings)}.",
        columns=min(10, len(readings)),
        captions=readings,
    )
    yield Note("The detector's own error on real test scenes: no generator can be measured more exactly than this.")


def _slices(scene: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.bool_]]:
    """All, seen and unseen combinations, and by number of objects."""
    unseen = np.asarray(scene["unseen"], dtype=np.bool_)
    found = {"": np.ones_like(unseen), "seen": ~unseen, UNSEEN: unseen}
    return found | {f"objects={k}": scene["count"] == k for k in np.unique(scene["count"])}


def _reading(seen: Detections, i: int) -> str:
    names = list(COLOURS)
    objects = zip(seen.digits[i], seen.colours[i], strict=True)
    return ", ".join(f"{names[c]} {DIGIT_WORDS[d]}" for d, c in objects if d >= 0) or "nothing"


def _by_size(seen: Detections, test: ImageSplit) -> Table:
    """Single-digit scenes, big and small, and how far off the centre is."""
    assert test.scene is not None
    scene, rows = test.scene, []
    for size, name in enumerate(("big", "small")):
        chosen = (scene["count"] == 1) & (scene["sizes"][:, 0] == size)
        if chosen.any():
            digit = 100 * float((seen.digits[chosen, 0] == scene["digits"][chosen, 0]).mean())
            colour = 100 * float((seen.colours[chosen, 0] == scene["colours"][chosen, 0]).mean())
            off = float(np.linalg.norm(seen.centres[chosen, 0] - scene["centres"][chosen, 0], axis=-1).mean())
            rows.append((name, int(chosen.sum()), round(digit, 2), round(colour, 2), round(off, 2)))
    columns = ("size", "test scenes", "digit right, %", "colour right, %", "centre off by, px")
    return Table("One digit alone", columns, tuple(rows))
