"""The smooth floor of the textures: between known pixels, the surface that bends least (biharmonic inpainting,
scikit-image).

It meets its surroundings without a step and knows nothing of texture: what a hole loses if it is only smoothed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.finite import rounded_pixels
from bench.base.seeds import generator
from bench.base.settings import Checked, Range
from bench.families.by_example.exemplars import ExemplarSystem, placed

__all__ = ["BiharmonicTexture", "BiharmonicTextureConfig"]


@dataclass(frozen=True)
class BiharmonicTextureConfig(Checked):
    """Settings.

    Attributes:
        knots: without known content, one pixel in so many is drawn from the exemplar and holds the surface up.
    """

    knots: Annotated[int, Range(low=2)] = 16


class BiharmonicTexture(ExemplarSystem[BiharmonicTextureConfig]):
    """Biharmonic inpainting as a :class:`bench.contracts.Synthesizer`."""

    Config: ClassVar[type[BiharmonicTextureConfig]] = BiharmonicTextureConfig

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
        """The unknown pixels of ``initial``, interpolated; without it, a surface through scattered pixels of the
        exemplar.

        Raises:
            BenchError: content or mask that do not fit (see :func:`bench.families.by_example.exemplars.placed`).
        """
        from skimage.restoration import inpaint_biharmonic

        if initial is None:
            rng = generator(seed, "biharmonic_texture")
            pixels = exemplar.reshape(-1, *exemplar.shape[2:])
            picture, known = pixels[rng.integers(0, len(pixels), size)], rng.random(size) < 1 / self.config.knots
            known[0, 0] = True
        else:
            picture, known = placed(initial, mask, size)
        smooth = inpaint_biharmonic(picture / 255.0, ~known, channel_axis=-1 if picture.ndim == 3 else None)
        filled: NDArray[np.uint8] = np.where(
            known[..., None] if picture.ndim == 3 else known, picture, rounded_pixels(255 * smooth)
        )
        return filled
