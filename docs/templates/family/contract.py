"""What a denoiser must do: the contract of the family.

It stands in the family's own folder: a line more in bench/contracts.py would make every trained model stale.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from bench.contracts import Images, System

__all__ = ["Denoiser"]


@runtime_checkable
class Denoiser(System, Protocol):
    """Pictures without the noise that was laid over them."""

    def denoise(self, noisy: Images, sigma: float) -> Images:
        """Pictures like ``noisy``, each by itself.

        Args:
            noisy: ``(N, H, W, C)``.
            sigma: standard deviation of the noise, in units of 0..255.
        """
