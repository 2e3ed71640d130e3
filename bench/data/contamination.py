"""What held-out data share with the data that a model learns from: equal items, counted, not removed.

An item of the test split is *repeated* if an equal one stands in the training or the validation split; one of the
validation split, if an equal one stands in training. Equal means the same decoded content: all pixels of a picture, a
text with its white space collapsed. One hash for each item, so that counting costs no more than reading.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHORTEST_LINE", "count_repeated", "image_keys", "line_keys", "sentences", "text_keys"]

SHORTEST_LINE = 30
"""Characters: shorter lines (a name, a stage direction) recur in any text."""


def _key(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def image_keys(*columns: NDArray[np.uint8]) -> list[bytes]:
    """A key for each picture of ``(N, H, W, C)``; with several columns for each tuple of pictures."""
    return [_key(b"".join(image.tobytes() for image in row)) for row in zip(*columns, strict=True)]


def text_keys(texts: Iterable[str]) -> list[bytes]:
    """A key for each text that holds more than white space."""
    plain = (" ".join(text.split()) for text in texts)
    return [_key(text.encode("utf-8", "surrogatepass")) for text in plain if text]


def line_keys(text: str) -> list[bytes]:
    """A key for each line of at least :data:`SHORTEST_LINE` characters."""
    return text_keys(line for line in text.splitlines() if len(line.strip()) >= SHORTEST_LINE)


def count_repeated(unit: str, keys: Mapping[str, Iterable[bytes]]) -> dict[str, Any]:
    """How many held-out items stand in an earlier split, too.

    Args:
        unit: what an item is, in the plural.
        keys: split -> a key for each of its items.

    Returns:
        ``{"unit": unit, "validation": [repeated, all], "test": [repeated, all]}``.

    >>> count_repeated("lines", {"train": [b"a", b"b"], "validation": [b"c"], "test": [b"b", b"b", b"c", b"d"]})
    {'unit': 'lines', 'validation': [0, 1], 'test': [3, 4]}
    """
    found: dict[str, Any] = {"unit": unit}
    seen = set(keys.get("train", ()))
    for split in ("validation", "test"):
        held = list(keys.get(split, ()))
        found[split] = [sum(key in seen for key in held), len(held)]
        seen.update(held)
    return found


def sentences(meta: Mapping[str, Any]) -> list[str]:
    """What ``meta.json`` says of repeated items, for people; nothing where nothing was counted.

    >>> sentences({"repeated": [{"unit": "pictures", "validation": [0, 50], "test": [2, 1000]}]})
    ['pictures that an earlier split holds, too: test 2 of 1,000, validation 0 of 50']
    """
    return [
        f"{one['unit']} that an earlier split holds, too: "
        + ", ".join(f"{split} {one[split][0]:,} of {one[split][1]:,}" for split in ("test", "validation"))
        for one in meta.get("repeated", ())
    ]
