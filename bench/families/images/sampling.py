"""Pictures of asked classes: what is drawn.

Classes are asked for in the test set's own proportions: equal counts alone cost several points of FID.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.finite import drawn_by
from bench.base.processes import gather, shard, world_size
from bench.base.progress import Progress
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural, build_config
from bench.capabilities import StripSampler
from bench.config.variants import Swept, variant_id
from bench.context import StageContext
from bench.contracts import Images, Ints
from bench.data.datasets import load_images

__all__ = ["ROWS", "SampleConfig", "proportional_labels", "sample"]

ROWS = 4
"""Of the gallery, ten pictures each."""


@dataclass(frozen=True)
class VariantConfig(Checked):
    """Keys of a variant that are no options of the system and no part of its name.

    Attributes:
        n: pictures of this variant; null for the block's.
    """

    n: Count | None = None


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of this family, besides ``variants``.

    Attributes:
        n: pictures of each variant that does not say its own.
        strip: frames of the denoising strip of the first variant, 0 for none.
    """

    n: Count = 2000
    strip: Natural = 8

    Own: ClassVar[type] = VariantConfig


def proportional_labels(labels: Ints | None, n: int, seed: int) -> Ints | None:
    """``n`` classes in the proportions of ``labels`` (largest remainders), first four of each class in turn, then
    shuffled.

    >>> proportional_labels(np.array([0, 0, 0, 1]), 8, 0)[:4].tolist()
    [0, 1, 0, 1]
    """
    if labels is None:
        return None
    counts = np.bincount(labels)
    exact = counts / counts.sum() * n
    wanted = np.floor(exact).astype(np.int64)
    wanted[np.argsort(wanted - exact, kind="stable")[: n - wanted.sum()]] += 1
    head = np.tile(np.flatnonzero(counts), ROWS)[:n]
    left = np.maximum(wanted - np.bincount(head, minlength=len(counts)), 0)
    rest = generator(seed, "labels").permutation(np.repeat(np.arange(len(counts)), left))
    return np.concatenate([head, rest]).astype(np.int64)[:n]


def sample(context: StageContext) -> list[SampleSet]:
    """The pictures of every variant: the same classes and the same seed for all variants and all generators."""
    where = f"{context.family}.{context.name}.sample"
    config: SampleConfig = build_config(SampleConfig, context.block.get("sample") or {}, where)
    system = context.load()
    # The proportions of the test set's classes are all that is read of it here.
    test_labels = load_images(context.data)["test"].labels
    seed = derive(context.seed, context.family, str(context.block["dataset"]))
    sets: list[SampleSet] = []
    with Progress(f"sample {context.name}", len(config.variants), "variants", quiet=context.quiet) as progress:
        for options in config.variants:
            chosen = dict(options)
            n = int(chosen.pop("n", config.n))
            labels = proportional_labels(test_labels, config.n, seed)
            labels = None if labels is None else labels[:n]
            start = time.monotonic()
            with drawn_by(variant_id(chosen)):
                images = _sample(system, n, seed, labels, chosen)
            seconds = time.monotonic() - start
            extra: dict[str, NDArray[Any]] = {}
            if not sets and config.strip and labels is not None and isinstance(system, StripSampler):
                extra["strip"] = system.denoising_strip(labels[:10], seed, config.strip, **chosen)
            info = {"seconds": seconds, "seconds_per_item": seconds / max(1, n), **chosen}
            sets.append(SampleSet(variant=variant_id(chosen), images=images, labels=labels, info=info, extra=extra))
            progress.update(1, variant_id(chosen))
    return sets


def _sample(system: Any, n: int, seed: int, labels: Ints | None, options: Mapping[str, Any]) -> Images:
    """All ``n`` pictures; under torchrun each process draws its part, if the system can start at any item."""
    if world_size() == 1 or "first" not in inspect.signature(system.sample).parameters:
        return np.asarray(system.sample(n, seed, labels=labels, **options))
    first, count = shard(n)
    part = None if labels is None else labels[first : first + count]
    return gather(system.sample(count, seed, labels=part, first=first, **options))
