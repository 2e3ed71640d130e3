"""How near a synthesised texture comes to its exemplar without copying it.

Scores carry the exemplar in ``slice``; the mean over the exemplars has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.settings import Checked, Count
from bench.families.by_example.textures.sampling import Piece, pieces_of, sample_config
from bench.metrics.copied_run import copied_run
from bench.metrics.histogram_distance import histogram_distance
from bench.metrics.protocols import protocol_id
from bench.metrics.structure_error import copied_share, structure_error
from bench.scorers.strata import stratified_scores
from bench.scoring import Output, Score, Subject, scorer

__all__ = ["StructureOptions", "pieces", "texture_sets", "texture_structure"]


@dataclass(frozen=True)
class StructureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        patches: sides of the patches of the structure error, in pixels.
        copied: side of the patch that must stand verbatim in the exemplar to count as copied.
    """

    patches: tuple[Count, ...] = (5, 9, 17)
    copied: Count = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.patches:
            raise ValueError("patches: at least one side is needed")


def pieces(subject: Subject) -> dict[str, Piece]:
    """Exemplar and held-out piece of each photograph of the block."""
    return subject.once("pieces", lambda: pieces_of(subject.context, sample_config(subject.context)[0]))


def texture_sets(subject: Subject, task: str) -> list[SampleSet]:
    """The sample sets of one task: ``grow``, ``fill`` or ``extrapolate``."""
    return [samples for samples in subject.samples if samples.info["task"] == task]


@scorer("Synthesizer", options=StructureOptions)
def texture_structure(subject: Subject, options: StructureOptions) -> Iterator[Output]:
    """Structure error against copied share, histogram distance, copied runs and operations of every variant."""
    for samples in texture_sets(subject, "grow"):
        yield from _of_variant(samples, pieces(subject), options)


def _of_variant(samples: SampleSet, cut: Mapping[str, Piece], options: StructureOptions) -> Iterator[Score]:
    assert samples.images is not None and samples.prompts is not None
    size, variant = "x".join(map(str, samples.images.shape[1:3])), samples.variant
    found: dict[str, list[float]] = {}  # protocol -> a value for each picture
    for image, name in zip(samples.images, samples.prompts, strict=True):
        exemplar = cut[name].exemplar
        own = image[:, :, : exemplar.shape[2]]  # grey pictures were stacked with coloured ones
        errors = structure_error(own, exemplar, options.patches)
        values = {protocol_id("structure_error", patches="+".join(map(str, options.patches)), size=size): "value"}
        # One patch alone is its own mean, under one protocol.
        values |= {
            protocol_id("structure_error", patches=patch, size=size): f"size={patch}" for patch in options.patches
        }
        for protocol, key in values.items():
            found.setdefault(protocol, []).append(errors[key])
        protocol = protocol_id("copied_share", patch=options.copied, size=size)
        found.setdefault(protocol, []).append(copied_share(own, exemplar, options.copied))
        protocol = protocol_id("histogram_distance", "wasserstein-1", size=size)
        found.setdefault(protocol, []).append(histogram_distance(own, exemplar))
    if "sources" in samples.extra:
        found[protocol_id("copied_run", "rows", size=size)] = [copied_run(one) for one in samples.extra["sources"]]
    for protocol, each in found.items():
        metric = protocol.partition("/")[0]
        high = 1.0 if metric == "copied_share" else np.inf
        yield from stratified_scores(metric, protocol, by_exemplar(each, cut), variant, high=high)
    if "operations_per_item" in samples.info:
        operations = float(samples.info["operations_per_item"])
        yield Score("sample_flops_per_item", operations, "cost/counted-flops/v1", n=1, variant=variant)


def by_exemplar(values: list[float], cut: Mapping[str, Piece]) -> dict[str, NDArray[np.float64]]:
    """Values of pictures in the order of the exemplars, as many of each."""
    return dict(zip(cut, np.array(values).reshape(len(cut), -1), strict=True))
