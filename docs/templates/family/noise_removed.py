"""How near a denoised picture is to the clean one."""

from __future__ import annotations

from collections.abc import Iterator

from bench.families.denoising.sampling import clean_pieces
from bench.metrics.protocols import protocol_id
from bench.metrics.psnr import psnr
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["noise_removed"]


@scorer("Denoiser")
def noise_removed(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """PSNR at each amount of noise, mean over the pictures.

    Another amount is another task: as slices they stand in columns of their own and are never ranked together.
    """
    clean = subject.once("clean", lambda: clean_pieces(subject.context))
    for samples in subject.samples:
        assert samples.images is not None
        values = psnr(clean, samples.images)
        interval = bootstrap_mean_ci(values, subject.derive("psnr", samples.variant))
        protocol = protocol_id("psnr", "denoised", side=clean.shape[1])
        yield Score("psnr", float(values.mean()), protocol, interval, len(values), slice=samples.variant)
