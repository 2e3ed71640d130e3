"""Galleries, denoising strips and curves over guidance and steps of text-to-image generators."""

from __future__ import annotations

from collections.abc import Iterator

from bench.base.files import SampleSet
from bench.contracts import ModelNeed
from bench.families.text_to_image.prompts import Suite
from bench.metrics.neighbours import nearest
from bench.results.extras import Curve, Gallery, Line, Note
from bench.results.pictures import grid, png_bytes
from bench.scorers.figures.images import strip_of
from bench.scorers.prompt_fidelity import suites
from bench.scorers.reference import image_splits
from bench.scoring import NoOptions, Output, Subject, scorer

__all__ = ["scene_figures"]

_COLUMNS = 10
_TITLES = {"both_accuracy": "Single digits right", "relation_accuracy": "Relations right", "fid": "FID"}


@scorer("TextToImage", needs={"detector": ModelNeed("Detector")})
def scene_figures(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """What the samples look like, beside their nearest training items; fidelity and FID over guidance and steps."""
    for samples, suite in suites(subject):
        yield _gallery(subject, samples, suite)
        if "strip" in samples.extra:
            asked = "; ".join(suite.shown()[: len(samples.extra["strip"])])
            yield strip_of(samples, "From noise to scene (latents, decoded)", f"decoded noise becomes a scene: {asked}")
    yield from _curves(subject)
    yield Note(
        f"{subject.model_name('detector')} reads the pictures; its own error on real test scenes stands in its own "
        "table and bounds all accuracies."
    )
    yield Note(
        "Unseen combinations: colour-digit pairs that no training scene shows. The detector was trained on all pairs."
    )


def _gallery(subject: Subject, samples: SampleSet, suite: Suite) -> Gallery:
    assert samples.images is not None
    shown, train = samples.images[suite.shown_rows()], image_splits(subject)["train"].images
    return Gallery(
        title=samples.variant.replace("=", " ").replace(",", ", ") or subject.name,
        variant=samples.variant,
        png=png_bytes(grid(shown, columns=_COLUMNS)),
        alt=f"{len(shown)} pictures of {subject.name}: single digits, counted digits, two digits in a relation",
        columns=_COLUMNS,
        captions=tuple(suite.shown()),
        neighbours_png=png_bytes(grid(train[nearest(shown, train)[1][:, 0]], columns=_COLUMNS)),
    )


def _curves(subject: Subject) -> Iterator[Curve]:
    """Prompt fidelity and FID against guidance, and against steps, where a block sweeps them."""
    infos = [(samples.variant, samples.info) for samples, _ in suites(subject)]
    found = {(score.metric, score.variant): score.value for score in subject.scores if not score.slice}
    for axis, other in (("guidance", "steps"), ("steps", "guidance")):
        if not infos or axis not in infos[0][1]:
            continue
        same = [
            (variant, info) for variant, info in infos if axis in info and info.get(other) == infos[0][1].get(other)
        ]
        for metric, title in _TITLES.items():
            points = [
                (float(info[axis]), value)
                for variant, info in same
                if (value := found.get((metric, variant))) is not None
            ]
            if len(points) > 1:
                line = Line("ddim", tuple(sorted(points)))
                yield Curve(
                    f"{title} against {axis}", axis, title, (line,), log_x=axis == "steps", log_y=metric == "fid"
                )
