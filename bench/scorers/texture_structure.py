"""How near a synthesised texture comes to real texture, and how much of it is copied from its exemplar.

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
from bench.metrics.near_copies import CORRELATION, near_copied_share
from bench.metrics.protocols import protocol_id
from bench.metrics.structure_error import copied_share, structure_error
from bench.metrics.texture_distance import DIRECTIONS, PATCH, TextureDistance, level_count
from bench.results.extras import Note
from bench.scorers.strata import stratified_scores
from bench.scoring import Output, Score, Subject, scorer

__all__ = ["StructureOptions", "pieces", "texture_sets", "texture_structure"]


@dataclass(frozen=True)
class StructureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        patches: sides of the patches of the structure error, in pixels.
        copied: side of the patch that must stand in the exemplar, verbatim or nearly, to count as copied.
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
    """Texture distance, copied shares, structure error, histogram distance, copied runs and operations of each
    variant."""
    for samples in texture_sets(subject, "grow"):
        yield from _distances(subject, samples)
        yield from _of_variant(samples, pieces(subject), options)


def _own(samples: SampleSet, cut: Mapping[str, Piece]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Exemplar and picture; grey pictures that were stacked with coloured ones get one channel again."""
    assert samples.images is not None and samples.prompts is not None
    for image, name in zip(samples.images, samples.prompts, strict=True):
        yield name, image[:, :, : cut[name].exemplar.shape[2]]


def _distances(subject: Subject, samples: SampleSet) -> Iterator[Output]:
    """Distance to the real piece that the system has not seen: the held-out one, for the ceiling the exemplar."""
    assert samples.images is not None
    cut, (height, width) = pieces(subject), samples.images.shape[1:3]
    missing = [name for name, piece in cut.items() if not level_count(piece.held_out.shape)]
    if missing:
        yield Note(f"{subject.name}: no texture distance, because nothing is held out beside {', '.join(missing)}.")
        return

    def prepared(piece: Piece) -> TextureDistance:
        unseen, seen = piece.held_out, piece.exemplar
        if subject.role == "ceiling":
            unseen, seen = seen, unseen
        return TextureDistance(unseen, seen, (height, width))

    key = ("texture_distance", height, width)
    distances = subject.once(key, lambda: {name: prepared(piece) for name, piece in cut.items()})
    protocol = protocol_id(
        "texture_distance",
        "sliced-wasserstein",
        ref="unseen",
        levels=min(level_count(each.size) for each in distances.values()),
        patch=PATCH,
        directions=DIRECTIONS,
        size=f"{height}x{width}",
    )
    values = [distances[name].of(image) for name, image in _own(samples, cut)]
    yield from stratified_scores("texture_distance", protocol, by_exemplar(values, cut), samples.variant)


def _of_variant(samples: SampleSet, cut: Mapping[str, Piece], options: StructureOptions) -> Iterator[Score]:
    assert samples.images is not None
    size, variant = "x".join(map(str, samples.images.shape[1:3])), samples.variant
    error = {protocol_id("structure_error", patches="+".join(map(str, options.patches)), size=size): "value"}
    # One patch alone is its own mean, under one protocol.
    error |= {protocol_id("structure_error", patches=patch, size=size): f"size={patch}" for patch in options.patches}
    verbatim = protocol_id("copied_share", patch=options.copied, size=size)
    nearly = protocol_id("near_copied_share", correlation=CORRELATION, patch=options.copied, size=size)
    histogram = protocol_id("histogram_distance", "wasserstein-1", size=size)
    found: dict[str, list[float]] = {}  # protocol -> a value for each picture
    for name, own in _own(samples, cut):
        exemplar = cut[name].exemplar
        errors = structure_error(own, exemplar, options.patches)
        values = {protocol: errors[key] for protocol, key in error.items()}
        values[verbatim] = copied_share(own, exemplar, options.copied)
        values[nearly] = near_copied_share(own, exemplar, options.copied)
        values[histogram] = histogram_distance(own, exemplar)
        for protocol, value in values.items():
            found.setdefault(protocol, []).append(value)
    if "sources" in samples.extra:
        found[protocol_id("copied_run", "rows", size=size)] = [copied_run(one) for one in samples.extra["sources"]]
    for protocol, each in found.items():
        metric = protocol.partition("/")[0]
        high = 1.0 if metric.endswith("copied_share") else np.inf
        yield from stratified_scores(metric, protocol, by_exemplar(each, cut), variant, high=high)
    if "operations_per_item" in samples.info:
        operations = float(samples.info["operations_per_item"])
        yield Score("sample_flops_per_item", operations, "cost/counted-flops/v1", n=1, variant=variant)


def by_exemplar(values: list[float], cut: Mapping[str, Piece]) -> dict[str, NDArray[np.float64]]:
    """Values of pictures in the order of the exemplars, as many of each."""
    return dict(zip(cut, np.array(values).reshape(len(cut), -1), strict=True))
