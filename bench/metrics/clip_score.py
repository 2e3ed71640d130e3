"""CLIP score: agreement of pictures with their captions (Hessel et al. 2021, "CLIPScore", eq. 1, with weight 100)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.base.errors import BenchError
from bench.metrics.arrays import unit_rows

__all__ = ["clip_score"]


def clip_score(image_emb: ArrayLike, text_emb: ArrayLike) -> NDArray[np.float64]:
    """``100 max(cos(image, text), 0)`` of each pair, ``(N,)``; the metric is their mean.

    The scorer must not be the CLIP that conditioned or selected the pictures.

    Args:
        image_emb: ``(N, D)``.
        text_emb: ``(N, D)``, caption ``i`` belongs to picture ``i``.

    >>> clip_score([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [3.0, 4.0], [-1.0, 0.0]]).round(6).tolist()
    [100.0, 60.0, 0.0]
    """
    images, texts = unit_rows(image_emb), unit_rows(text_emb)
    if images.shape != texts.shape or images.ndim != 2:
        raise BenchError(
            f"clip_score: image embeddings {images.shape} and text embeddings {texts.shape} must both be (N, D)"
        )
    return np.asarray(100.0 * np.maximum(np.einsum("nd,nd->n", images, texts), 0.0))
