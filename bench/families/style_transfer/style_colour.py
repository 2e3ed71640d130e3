"""Keeping the colours of the content (Gatys et al. 2016, "Preserving color in neural artistic style transfer", arXiv
1606.05897)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Colour", "from_yiq", "match_colours", "match_luminance", "to_yiq"]

Colour = Literal["style", "match", "luminance"]
"""``style``: the style's colours come along; ``match``: the style picture gets the content's colours before the
transfer (section 4.1); ``luminance``: only luminance is transferred, chrominance stays the content's (section 4.2)."""

Floats = NDArray[np.float64]
_YIQ = np.array([[0.299, 0.587, 0.114], [0.59590059, -0.27455667, -0.32134392], [0.21153661, -0.52273617, 0.31119955]])
"""RGB to YIQ of the NTSC standard: Y is luminance."""
_FLOOR = 1e-5
"""Added to variances, so that a picture of one colour can be matched."""


def to_yiq(picture: Floats) -> Floats:
    """``(H, W, 3)`` RGB to luminance Y and chrominance I, Q.

    >>> to_yiq(np.array([[[1.0, 0.0, 0.0]]])).round(3).tolist()
    [[[0.299, 0.596, 0.212]]]
    """
    return np.asarray(picture @ _YIQ.T)


def from_yiq(picture: Floats) -> Floats:
    """The inverse of :func:`to_yiq`."""
    return np.asarray(picture @ np.linalg.inv(_YIQ).T)


def _root(covariance: Floats, power: float) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, 0.0) ** power) @ vectors.T)


def match_colours(style: Floats, content: Floats) -> Floats:
    """``style`` with the mean and covariance of the colours of ``content``.

    ``x -> A x + b`` with ``A = S_c^(1/2) S_s^(-1/2)`` (equations 1 to 5 there, the symmetric root), values clipped to
    0..1.

    Args:
        style, content: ``(H, W, 3)`` in 0..1, of any sizes.
    """
    flat, target = style.reshape(-1, 3), content.reshape(-1, 3)
    floor = _FLOOR * np.eye(3)
    covariance, wanted = np.cov(flat.T, bias=True) + floor, np.cov(target.T, bias=True) + floor
    matrix = _root(wanted, 0.5) @ _root(covariance, -0.5)
    moved = (flat - flat.mean(axis=0)) @ matrix.T + target.mean(axis=0)
    return np.asarray(np.clip(moved, 0.0, 1.0).reshape(style.shape))


def match_luminance(style: Floats, content: Floats) -> Floats:
    """Luminance of the style with mean and deviation of the content's: ``s_c / s_s (L_s - m_s) + m_c`` (equation 10
    there); ``(H, W)``.

    >>> match_luminance(np.array([[0.0, 2.0]]), np.array([[4.0, 5.0]])).round(3).tolist()
    [[4.0, 5.0]]
    """
    scale = content.std() / max(float(style.std()), _FLOOR)
    return np.asarray(scale * (style - style.mean()) + content.mean())
