"""How much of what language models write stands verbatim in their training text, with held-out text as the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.base.errors import BenchError
from bench.base.files import SampleSet
from bench.base.settings import Checked, Count
from bench.metrics.memorisation import TrainingText, copies_beyond_doubt, verbatim_copy_counts
from bench.metrics.protocols import protocol_id
from bench.results.extras import Curve, Table, lines_of
from bench.results.records import parse_variant
from bench.scorers.texts import held_out_pieces, is_series, training_text
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import Interval, bootstrap_ratio_ci

__all__ = ["CopyingOptions", "copy_curves", "verbatim_copying"]


@dataclass(frozen=True)
class CopyingOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        copied: length of the windows of the copy rate, in characters.
        passage: length of the windows that tell a copier, longer, so that common phrases are none.
    """

    copied: Count = 20
    passage: Count = 50


@scorer("LanguageModel", "StateModel", options=CopyingOptions)
def verbatim_copying(subject: Subject, options: CopyingOptions) -> Iterator[Output]:
    """Copy rates of all variants, a table that sets them beside text that nobody copied, and curves over the order n
    and the length of the window."""
    if is_series(subject):
        return
    train, pieces = training_text(subject), held_out_pieces(subject)
    lengths = options.copied, options.passage
    baseline = [_rate(pieces, train, length, subject.derive("held-out", length)) for length in lengths]
    protocol = protocol_id("verbatim_copy_rate", characters=options.copied)
    rows: list[tuple[str, float, float, str]] = []
    for item in subject.samples:
        (rate, interval, windows), passages = (
            _rate(item.texts or [], train, n, subject.derive("copies", n, item.variant)) for n in lengths
        )
        yield Score("verbatim_copy_rate", rate, protocol, interval, windows, item.variant)
        verdict = "yes" if copies_beyond_doubt(*passages[:2], *baseline[1][:2]) else "no"
        rows.append((item.variant or subject.name, round(rate, 4), round(passages[0], 4), verdict))
    rows.append(("held-out text itself", round(baseline[0][0], 4), round(baseline[1][0], 4), "-"))
    yield Table(
        "Copied from the training text",
        ("setting", *(f"{length} characters" for length in lengths), "copier?"),
        tuple(rows),
        "Share of windows that stand verbatim in the training text. A copier has a tenth of its "
        f"{options.passage}-character windows from there, and five times the held-out text's share.",
    )
    yield from copy_curves(subject.samples, train, pieces, options.copied)


def _rate(texts: Sequence[str], train: TrainingText, length: int, seed: int) -> tuple[float, Interval, int]:
    """Copy rate, its interval over texts, number of windows."""
    copied, windows = verbatim_copy_counts(texts, train, length)
    if not windows.sum():
        raise BenchError(f"no text holds {length} characters: raise `sample.characters` or lower `evaluate.copied`")
    interval = bootstrap_ratio_ci(copied[windows > 0], windows[windows > 0], seed, share=True)
    return float(copied.sum() / windows.sum()), interval, int(windows.sum())


def copy_curves(
    sets: Sequence[SampleSet], train: TrainingText, held_out: Sequence[str], copied: int
) -> Iterator[Curve]:
    """Share of copied windows over the order n (a line for each smoothing), and over the length of the window for the
    highest orders.

    Args:
        sets: samples; those whose variant has no ``n`` are left out.
        train: the training text.
        held_out: text that nobody copied, in pieces.
        copied: length of the windows of the first curve.
    """
    chosen = [
        (setting.get("smoothing", "").replace("_", " "), int(setting["n"]), item.texts or [])
        for item in sets
        if "n" in (setting := parse_variant(item.variant))
    ]
    if not chosen:
        return
    title = f"Copied stretches of {copied} characters against the order n"
    by_order = lines_of((name, float(n), _share(texts, train, copied)) for name, n, texts in chosen)
    yield Curve(title, "n", "share copied", by_order)
    highest = {name: max(n for other, n, _ in chosen if other == name) for name, _, _ in chosen}
    every = {f"{name}, n = {n}": texts for name, n, texts in chosen if n == highest[name]} | {"held-out text": held_out}
    by_length = lines_of(
        (name, float(n), _share(texts, train, n))
        for name, texts in every.items()
        for n in (5, 10, 20, 30, 50, 80)
        if all(any(len(text) >= n for text in part) for part in (texts, held_out))
    )
    yield Curve("Copied share against the length of the stretch", "characters", "share copied", by_length)


def _share(texts: Sequence[str], train: TrainingText, length: int) -> float:
    copied, windows = verbatim_copy_counts(texts, train, length)
    return float(copied.sum() / max(1, windows.sum()))
