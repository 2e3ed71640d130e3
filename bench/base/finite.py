"""Numbers into pictures: NaN and infinity are refused, and never become black or white pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError

__all__ = ["NotFiniteError", "drawn_by", "pixels_of", "refuse_not_finite", "rounded_pixels"]


class NotFiniteError(BenchError):
    """A picture that holds NaN or infinity: a diverged model, or settings that no number survives."""


@contextmanager
def drawn_by(who: str) -> Iterator[None]:
    """Around drawing: a :class:`NotFiniteError` names ``who`` (a generator, a variant) drew the picture."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{who}: {error}" if who else str(error)) from error


def refuse_not_finite(finite: bool) -> None:
    """Refuse values of which not all are finite; the array or tensor is the caller's.

    Raises:
        NotFiniteError: ``finite`` is False.
    """
    if not finite:
        raise NotFiniteError(
            "a picture holds NaN or infinity and is not written: the model has diverged, or its settings are extreme"
        )


def rounded_pixels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers on the scale of 0 to 255, cut off there and rounded to the nearest byte.

    >>> rounded_pixels(np.array([-3.0, 0.6, 300.0])).tolist()
    [0, 1, 255]

    Raises:
        NotFiniteError: NaN or infinity among them.
    """
    refuse_not_finite(bool(np.isfinite(values).all()))
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def pixels_of(image: Any) -> NDArray[np.uint8]:
    """An array that is a picture already, as uint8.

    Raises:
        NotFiniteError: NaN or infinity among its values.
        BenchError: values outside of 0 to 255, which a cast would wrap around.
    """
    array = np.asarray(image)
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    refuse_not_finite(array.dtype.kind != "f" or bool(np.isfinite(array).all()))
    if array.min() < 0 or array.max() > 255:
        raise BenchError(f"a picture holds values from {array.min():g} to {array.max():g}: pixels are 0 to 255")
    return array.astype(np.uint8)
