"""CLIP score of images and captions, by a CLIP that took no part in making them.

A generator is never ranked by the CLIP that conditions it: that one has a protocol of its own, which shows the bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.contracts import ModelNeed
from bench.metrics.clip_score import clip_score as agreement
from bench.metrics.protocols import protocol_id
from bench.metrics.rank_agreement import spearman
from bench.results.extras import Table
from bench.scorers.prompt_fidelity import suites
from bench.scorers.reference import image_splits, reference_seed
from bench.scoring import NoOptions, Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_mean_ci

__all__ = ["clip_score"]

_INDEPENDENT, _CONDITIONS = "scorer", "text_encoder"
_REAL = 1000  # test scenes of the bias table


@scorer("TextToImage", needs={_INDEPENDENT: ModelNeed("Encoder")})
def clip_score(subject: Subject, options: NoOptions) -> Iterator[Output]:
    """CLIP scores of the suite's images, by the independent scorer and, apart, by the CLIP that conditions; how far the
    two agree."""
    # Floors and ceilings are conditioned by nothing: only a generator names a conditioning CLIP.
    roles = [role for role in (_INDEPENDENT, _CONDITIONS) if role in subject.context.models]
    means: dict[str, list[float]] = {role: [] for role in roles}
    for samples, suite in suites(subject):
        assert samples.images is not None
        for role in roles:
            clip, conditions = subject.model(role), role == _CONDITIONS
            values = agreement(clip.embed_images(samples.images[: suite.size]), clip.embed_texts(list(suite.texts)))
            means[role].append(float(values.mean()))
            yield Score(
                "clip_score",
                means[role][-1],
                protocol_id(
                    "clip_score",
                    subject.model_name(role),
                    prompts=suite.named("suite"),
                    n=len(values),
                    role="conditions" if conditions else None,
                ),
                bootstrap_mean_ci(values, reference_seed(subject)),
                len(values),
                samples.variant,
                slice="conditioning-clip" if conditions else "",
                ranked=not conditions,
            )
    if _CONDITIONS in roles:
        yield from _agreement(subject, means)
        yield _bias(subject, means)


def _agreement(subject: Subject, means: dict[str, list[float]]) -> Iterator[Score]:
    """Do the two CLIPs put the variants in the same order? Fewer than four say nothing."""
    first, second = means[_INDEPENDENT], means[_CONDITIONS]
    if len(first) < 4:
        return
    names = "+".join(sorted(subject.model_name(role) for role in (_INDEPENDENT, _CONDITIONS)))
    protocol = protocol_id("agreement", "spearman", names, over="variants")
    yield Score("agreement", spearman(first, second), protocol, n=len(first), slice="clip-rankings")


def _bias(subject: Subject, means: dict[str, list[float]]) -> Table:
    """Both CLIPs on real test scenes and on every variant: a generator's excess with the CLIP that conditions it is
    bias."""
    test = image_splits(subject)["test"].take(slice(_REAL))
    assert test.captions is not None
    rows: list[tuple[Any, ...]] = [
        (
            "real test scenes, own captions",
            *(round(float(_mean(subject.model(role), test.images, test.captions)), 1) for role in means),
        )
    ]
    for i, (samples, _) in enumerate(suites(subject)):
        rows.append((samples.variant, *(round(values[i], 1) for values in means.values())))
    return Table(
        "CLIP scores by an independent and by the conditioning CLIP",
        (
            "pictures",
            f"{subject.model_name(_INDEPENDENT)} (independent)",
            f"{subject.model_name(_CONDITIONS)} (conditions the generator)",
        ),
        tuple(rows),
        "Only the first column ranks. Real scenes stand beside it because two CLIPs differ in scale.",
    )


def _mean(clip: Any, images: Any, captions: list[str]) -> float:
    return float(agreement(clip.embed_images(images), clip.embed_texts(captions)).mean())
