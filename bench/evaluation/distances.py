"""How near a set of pictures lies to the test set, and to the training set: shared by all families that make pictures.

Every distance is bound to a trained feature network, to N and to the reference, and stands beside its real-versus-real
floor at the same N (``fid_ratio`` is the multiple of it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.processes import gather, shard, world_size
from bench.base.seeds import generator
from bench.context import StageContext
from bench.contracts import Images
from bench.metrics.fid import feature_statistics, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.kid import kernel_distance, kernel_leave_group_out
from bench.metrics.memorisation import nearest_train_ratio
from bench.metrics.prdc import manifold_items
from bench.metrics.protocols import MINIMUM_N, protocol_id
from bench.results.records import Record
from bench.stats.intervals import bootstrap_mean_ci, jackknife_ci, wilson_interval

__all__ = ["DistanceConfig", "Reference", "copy_records", "features_of"]

Features = NDArray[np.float32]


@dataclass(frozen=True)
class DistanceConfig:
    """Keys under ``evaluate:`` of a block whose pictures are compared with the test set.

    Attributes:
        minimum_n: fewest pictures for FID and KID; another than 1,000 is written into the protocol.
        small_n: first pictures of every variant that a small kernel distance looks at, for sets too dear for a
            thousand; 0 for none.
        groups: left out in turn for the jackknife intervals.
        floor_draws: draws of real pictures whose mean distance is the floor.
        manifold_k: neighbours of precision, recall, density and coverage.
        manifold_n: pictures on each side of those, at most.
        neighbours: pictures whose nearest training neighbour is looked up.
    """

    minimum_n: int = MINIMUM_N
    small_n: int = 0
    groups: int = 20
    floor_draws: int = 5
    manifold_k: int = 5
    manifold_n: int = 2000
    neighbours: int = 500


def features_of(network: Any, images: Images) -> Features:
    """``network.embed_images``; under torchrun each process embeds its part and all get the whole."""
    if world_size() == 1:
        return np.asarray(network.embed_images(images))
    first, count = shard(len(images))
    return gather(network.embed_images(images[first : first + count]))


class Reference:
    """The test set as a feature network sees it, and the floor at each N.

    Args:
        network: an encoder with ``embed_images``.
        name: its name, for the protocol ids.
        test: the test pictures.
        real: ``real(n, number)``: a random draw of n real pictures that are not in the test set.
        config: settings.
        seed: of all random choices; the same for all generators.
    """

    def __init__(
        self,
        network: Any,
        name: str,
        test: Images,
        real: Callable[[int, int], Images],
        config: DistanceConfig,
        seed: int,
    ) -> None:
        self.network, self.name, self.real, self.config, self.seed = network, name, real, config, seed
        self.features: Features = features_of(network, test)
        self.statistics = feature_statistics(self.features, min(config.minimum_n, len(self.features)))
        self._floors: dict[int, float] = {}

    def fid(self, images: Images) -> float:
        """Frechet distance of pictures to the whole test set."""
        return self._fid(features_of(self.network, images))

    def _fid(self, features: Features) -> float:
        return frechet_from_statistics(*feature_statistics(features, self.config.minimum_n), *self.statistics)

    def floor(self, n: int) -> float:
        """Mean FID of ``floor_draws`` draws of ``n`` real pictures."""
        if n not in self._floors:
            self._floors[n] = float(np.mean([self.fid(self.real(n, i)) for i in range(self.config.floor_draws)]))
        return self._floors[n]

    def records(self, context: StageContext, images: Images, variant: str) -> list[Record]:
        """FID, its multiple of the floor, KID, precision, recall, density and coverage; fewer pictures than the minimum
        give none."""
        config, n = self.config, len(images)
        if n < min(config.minimum_n, config.small_n or config.minimum_n):
            return []
        features = features_of(self.network, images)
        rows: list[Record] = []

        def add(metric: str, value: float, ci: tuple[float, float], count: int, higher: bool, **settings: Any) -> None:
            protocol = protocol_id(metric, self.name, ref=f"test{len(self.features)}", n=count, **settings)
            rows.append(
                context.record(metric, value, protocol, ci95=ci, n=count, higher_is_better=higher, variant=variant)
            )

        if n >= config.minimum_n:
            least = config.minimum_n
            fid = self._fid(features)
            left_out = frechet_leave_group_out(features, self.statistics, config.groups, self.seed, minimum_n=least)
            low, high = jackknife_ci(fid, left_out, lower=0.0)
            floor = self.floor(n)
            add("fid", fid, (low, high), n, False, minimum_n=least)
            add(
                "fid_ratio",
                fid / floor,
                (low / floor, high / floor),
                n,
                False,
                floor=f"real-x{config.floor_draws}",
                minimum_n=least,
            )
            add("kid", *self._kid(features, least), n, False, minimum_n=least)
            size = min(config.manifold_n, n, len(self.features))
            chosen = generator(self.seed, "manifold").permutation(len(self.features))[:size]
            items = manifold_items(self.features[chosen], features[:size], config.manifold_k)
            for metric in ("precision", "recall", "density", "coverage"):
                values = getattr(items, metric)
                share = (
                    wilson_interval(float(values.sum()), size)
                    if metric != "density"
                    else bootstrap_mean_ci(values, self.seed)
                )
                add(metric, float(values.mean()), share, size, True, k=config.manifold_k)
        if config.small_n and n >= config.small_n:
            part = features[: config.small_n]
            add("kid", *self._kid(part, config.small_n), config.small_n, False, minimum_n=config.small_n)
        return rows

    def _kid(self, features: Features, least: int) -> tuple[float, tuple[float, float]]:
        value = kernel_distance(features, self.features, minimum_n=least)
        left_out = kernel_leave_group_out(features, self.features, self.config.groups, self.seed, minimum_n=least)
        return value, jackknife_ci(value, left_out)


def copy_records(
    context: StageContext, config: DistanceConfig, images: Images, train: Images, test: Images, seed: int, variant: str
) -> list[Record]:
    """How near pictures lie to the training set, in pixels, with unseen test pictures as the baseline.

    ``near_copy_share`` is the share that lies nearer than 99 % of the test pictures do: one in a hundred for an honest
    generator.
    """
    chosen, n = images[: config.neighbours], min(config.neighbours, len(images))
    if not n:
        return []
    heldout = test[generator(seed, "heldout").permutation(len(test))[: config.neighbours]]
    found = nearest_train_ratio(chosen, train, heldout)
    baseline = float(found["heldout_distances"].mean())
    low, high = bootstrap_mean_ci(found["distances"], seed)
    where: dict[str, Any] = {"n": n, "heldout": len(heldout), "ref": f"train{len(train)}"}
    near = float(found["near_copy_share"])
    common: dict[str, Any] = {"n": n, "variant": variant}
    ratio = protocol_id("nearest_train_ratio", "pixels", **where)
    share = protocol_id("near_copy_share", "pixels", quantile=0.01, **where)
    return [
        context.record("nearest_train_ratio", found["value"], ratio, ci95=(low / baseline, high / baseline), **common),
        context.record(
            "near_copy_share", near, share, ci95=wilson_interval(round(near * n), n), higher_is_better=False, **common
        ),
    ]
