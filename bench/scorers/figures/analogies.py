"""Analogies for the report: A, A', B and B' of every task, one B under every setting, searches side by side, curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.settings import Checked, Count
from bench.families.by_example.analogies.sampling import in_colour
from bench.families.by_example.analogies.tasks import Question
from bench.results.extras import Curve, Gallery, Line, Note, Strip, Table
from bench.results.pictures import grid, png
from bench.results.records import parse_variant
from bench.scorers.analogies.answers import Answered, answered, flat
from bench.scoring import Output, Subject, scorer
from bench.stats.comparisons import paired_difference

__all__ = ["AnalogyFigureOptions", "analogy_figures"]

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class AnalogyFigureOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        shown: variant whose answers the gallery shows; null for the first.
        each: answers shown for each task.
    """

    shown: str | None = None
    each: Count = 2


@scorer("AnalogySolver", options=AnalogyFigureOptions)
def analogy_figures(subject: Subject, options: AnalogyFigureOptions) -> Iterator[Output]:
    """Galleries of all tasks; a strip and curves over the sweep; a table of searches."""
    for each in answered(subject):
        if each.timed:
            yield from _searches(subject, each)
        elif each.answers:
            by_variant = {item.variant: item for item in each.samples}
            shown = by_variant[options.shown] if options.shown in by_variant else each.samples[0]
            yield from _galleries(shown, each.questions, options.each)
            yield from _strip(each)
            yield from _curves(each)
        else:
            for samples in each.samples:
                yield from _galleries(samples, each.questions, len(each.questions))
    yield Note(
        "Analogies: rows without a slice are the planted filters of photographs, or line art; identity is B itself "
        "(for super-resolution its repeated pixels), single-pixel knows the mean of A' for each luminance of A, "
        "nearest-example copies the A' whose A is most like B."
    )


def _cell(picture: Picture, height: int, width: int) -> Picture:
    """A picture reduced to fit a cell, on white."""
    colour = in_colour(picture)
    scale = min(1.0, height / colour.shape[0], width / colour.shape[1])
    if scale < 1:
        from PIL import Image

        shape = (max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale)))
        colour = np.asarray(Image.fromarray(colour).resize(shape, Image.Resampling.BOX))
    cell = np.full((height, width, 3), 255, dtype=np.uint8)
    cell[: colour.shape[0], : colour.shape[1]] = colour
    return cell


def _galleries(samples: SampleSet, questions: Sequence[Question], each: int) -> Iterator[Gallery]:
    """A, A', B, B' and, where there is one, the right answer: one grid for each task."""
    assert samples.images is not None
    height, width = samples.images.shape[1:3]
    by_task: dict[str, list[tuple[Question, int, Picture]]] = {}
    for (question, i), answer in zip(flat(questions), samples.images, strict=True):
        by_task.setdefault(question.task, []).append((question, i, answer))
    for task, members in by_task.items():
        count = min(each, len(members))
        chosen = [members[int((k + 0.5) / count * len(members))] for k in range(count)]
        cells: list[Picture] = []
        captions: list[str] = []
        for question, i, answer in chosen:
            cells += [*question.pairs[0], question.pictures[i], answer]
            captions += ["A", "A′", f"B: {question.names[i]}", "B′"]
            if question.truths is not None:
                cells.append(question.truths[i])
                captions.append("right answer")
        pairs = len(chosen[0][0].pairs)
        several = f" (the first of {pairs} pairs)" if pairs > 1 else ""
        names, columns = ", ".join(question.names[i] for question, i, _ in chosen), len(cells) // count
        yield Gallery(
            title=f"{task.capitalize().replace('-', ' ')}: A, A′{several}, B, B′",
            variant=samples.variant,
            png=png(grid(np.stack([_cell(cell, height, width) for cell in cells]), columns=columns), 256),
            alt=f"{task}: in each row A, A prime, B and the answer B prime for {names}",
            columns=columns,
            captions=tuple(captions),
        )


def _strip(each: Answered, task: str = "painterly") -> Iterator[Strip]:
    """One B under every variant of the sweep."""
    if len(each.samples) < 2:
        return
    places = flat(each.questions)
    wanted = [k for k, (question, _) in enumerate(places) if question.task == task] or list(range(len(places)))
    at = wanted[len(wanted) // 2]
    question, i = places[at]
    answers = [item.images[at] for item in each.samples if item.images is not None]
    cells = np.stack([in_colour(question.pictures[i]), *answers])
    captions, name = (
        ["B", *(item.variant or "as it is" for item in each.samples)],
        f"{question.task}, {question.names[i]}",
    )
    yield Strip(
        f"One answer under every setting ({name})",
        png(grid(cells, columns=len(cells)), 256),
        f"{name}: B, then B prime for {'; '.join(captions[1:])}",
        captions=tuple(captions),
    )


def _searches(subject: Subject, each: Answered) -> Iterator[Table]:
    """The tree against the exact search on the same pictures."""
    by_search = {parse_variant(item.variant).get("search"): k for k, item in enumerate(each.samples)}
    if not {"exact", "ann"} <= set(by_search):
        return
    exact, tree = (each.answers[by_search[name]] for name in ("exact", "ann"))
    apart = paired_difference(tree.psnr, exact.psnr, subject.derive("searches"))
    places = [each.samples[by_search[name]].extra["sources"] for name in ("exact", "ann")]
    same = (places[0] == places[1]).all(axis=3).mean()
    rows = [
        (name, round(float(one.psnr.mean()), 2), round(float(one.ssim.mean()), 4))
        for name, one in (("exact", exact), ("ann", tree))
    ]
    yield Table(
        f"Two searches ({exact.tasks[0]})",
        ("search", "PSNR, dB", "SSIM"),
        tuple(rows),
        f"The tree's PSNR minus the exact search's: {apart.value:+.2f} dB ({apart.ci95[0]:+.2f} to "
        f"{apart.ci95[1]:+.2f}) over {len(exact.psnr)} pictures; {100 * same:.0f} % of the pixels were copied from the "
        "same place. Times are in the column of sampling time.",
    )


def _curves(each: Answered) -> Iterator[Curve]:
    """PSNR of the main tasks and copied run against kappa."""
    points = []
    for one in each.answers:
        settings = parse_variant(one.variant)
        if set(settings) == {"kappa"} and one.runs is not None:
            values = (float(part[one.main].mean()) for part in (one.psnr, one.runs))
            points.append((float(settings["kappa"]), *(round(value, 3) for value in values)))
    if len(points) < 2:
        return
    kinds = (("Coherence and fidelity", "PSNR, dB", 1), ("Coherence and copying", "copied run, px", 2))
    for title, label, i in kinds:
        yield Curve(title, "kappa", label, (Line("analogy", tuple((p[0], p[i]) for p in sorted(points))),))
