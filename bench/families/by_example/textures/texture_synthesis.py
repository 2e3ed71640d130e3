"""Texture synthesis by non-parametric sampling (Efros & Leung, ICCV 1999).

A picture grows from a 3x3 seed patch of the exemplar, outwards in onion skins: of the unfilled pixels that touch a
filled one, those with most filled pixels in their window come first (ties in random order). For each, the exemplar is
searched for windows like the known part of its own, by

    d(c) = sum_k G_k M_k (s_ck - p_k)^2 / sum_k G_k M_k

with a Gaussian G of sigma = window / 6.4 and M = 1 where the pixel is known; a random one of the candidates with
d <= (1 + 0.1) d_min gives its centre pixel, unless its d exceeds MaxErrThreshold = 0.3 (values in 0..1), in which case
the pixel waits; if a whole pass fills nothing, the threshold rises by 10 %.

:mod:`bench.families.by_example.textures.texture_growth` holds the order,
:mod:`bench.families.by_example.textures.texture_search` the search: both batched, and with the result of one pixel at a
time.

What it must reproduce: windows smaller than the texture's element give garbage, larger ones its structure and, in the
end, verbatim copies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.families.by_example.exemplars import ExemplarSystem, placed
from bench.families.by_example.textures.texture_growth import Growth, TextureConfig, grow, uniform
from bench.registry import sample_options

__all__ = ["Growth", "TextureConfig", "TextureSynthesis"]


def _as_colour(picture: NDArray[np.uint8], what: str) -> NDArray[np.uint8]:
    """``(H, W, C)`` with C in {1, 3}."""
    if picture.dtype != np.uint8:
        raise BenchError(
            f"{what} is {picture.dtype}; texture synthesis works on 8-bit pictures (uint8): rescale it to 0..255 first"
        )
    if picture.ndim == 2:
        return picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3):
        raise BenchError(
            f"{what} has shape {picture.shape}; allowed are (H, W) and (H, W, 3): drop an alpha channel first"
        )
    return picture


class TextureSynthesis(ExemplarSystem[TextureConfig]):
    """Efros & Leung as a :class:`bench.contracts.Synthesizer`. Nothing is trained and nothing stored but the config."""

    Config: ClassVar[type[TextureConfig]] = TextureConfig
    SampleOptions: ClassVar[type[TextureConfig]] = TextureConfig

    def synthesize(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seed: int,
        *,
        initial: NDArray[np.uint8] | None = None,
        mask: NDArray[np.bool_] | None = None,
        **options: Any,
    ) -> NDArray[np.uint8]:
        """A picture of ``size`` like ``exemplar``; see :meth:`growths`."""
        return self.growths(exemplar, size, [seed], initial=initial, mask=mask, **options)[0].picture

    def growths(
        self,
        exemplar: NDArray[np.uint8],
        size: tuple[int, int],
        seeds: Sequence[int],
        *,
        initial: NDArray[np.uint8] | Sequence[NDArray[np.uint8]] | None = None,
        mask: NDArray[np.bool_] | None = None,
        exemplar_mask: NDArray[np.bool_] | None = None,
        progress: Callable[[int], None] | None = None,
        **options: Any,
    ) -> list[Growth]:
        """A picture for each seed, and where each of its pixels came from; cheaper together than one by one.

        Args:
            exemplar: uint8 ``(h, w)`` or ``(h, w, 3)``. A constant one gives a constant picture.
            size: (height, width) of the result.
            seeds: any whole numbers.
            initial: known content: of ``size`` (with ``mask``: hole filling), or smaller, then it is placed in the
                middle (extrapolation). A list holds one for each seed.
            mask: of ``initial``'s shape, True where it is known; all True returns ``initial`` as it is.
            exemplar_mask: True where the exemplar may be used; to fill a hole from its own surroundings, give the
                picture as exemplar and its mask here too.
            progress: called with the number of pixels that were filled.
            **options: fields of :class:`TextureConfig` that replace the system's own.

        Raises:
            BenchError: a picture of another kind, sizes that do not fit, an exemplar smaller than the window, a mask
                without a known pixel, an unknown option.
        """
        config: TextureConfig = sample_options(type(self), self.config, options, "texture_synthesis")
        sample = _as_colour(np.asarray(exemplar), "the exemplar")
        if exemplar_mask is not None and exemplar_mask.shape != sample.shape[:2]:
            raise BenchError(
                f"exemplar_mask is {exemplar_mask.shape}, the exemplar {sample.shape[:2]}: they must be equal"
            )
        contents: list[Any] = list(initial) if isinstance(initial, list | tuple) else [initial] * len(seeds)
        given = zip(seeds, contents, strict=True)
        canvases, known = zip(
            *(_canvas(sample, size, seed, content, mask, config) for seed, content in given), strict=True
        )
        grown = grow(sample, canvases, known, seeds, config, usable=exemplar_mask, progress=progress)
        return (
            [dataclasses.replace(one, picture=one.picture[:, :, 0]) for one in grown]
            if np.ndim(exemplar) == 2
            else grown
        )


def _canvas(
    sample: NDArray[np.uint8],
    size: tuple[int, int],
    seed: int,
    initial: NDArray[np.uint8] | None,
    mask: NDArray[np.bool_] | None,
    config: TextureConfig,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture to start from, ``(H, W, C)``, and what of it is known: the given content, or a seed patch."""
    if min(size) < 1:
        raise BenchError(f"size must be at least 1x1, not {size[0]}x{size[1]}")
    if initial is not None:
        content = _as_colour(np.asarray(initial), "initial")
        if content.shape[2] != sample.shape[2]:
            raise BenchError(
                f"initial has {content.shape[2]} channels, the exemplar {sample.shape[2]}: they must be equal"
            )
        return placed(content, mask, size)
    if mask is not None:
        raise BenchError("a mask without initial: give the picture that the mask belongs to")
    side = min(config.seed_size, *size, *sample.shape[:2])
    y, x = (uniform(seed, 0, np.arange(2)) * (np.array(sample.shape[:2]) - side + 1)).astype(int)
    patch = sample[y : y + side, x : x + side]
    if config.order == "onion":
        return placed(patch, np.ones((side, side), dtype=bool), size)
    canvas, known = np.zeros((*size, sample.shape[2]), dtype=np.uint8), np.zeros(size, dtype=bool)
    canvas[:side, :side], known[:side, :side] = patch, True
    return canvas, known
