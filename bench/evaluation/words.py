"""Language models: what they write, how well they predict held-out text, and how much of what they write is copied.

Every model is scored on the same bytes of the test split, whatever its tokens are; a sample set is one setting of the
sweep. Settings that change only the sampling (temperature) share the score of the setting that they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet, read_text_samples
from bench.base.progress import Progress
from bench.context import Evaluation, StageContext
from bench.data.datasets import load_text
from bench.evaluation.attention_figures import LINE, attention_figure
from bench.evaluation.shannon import copy_curves, entropy_rows, splices
from bench.families.words.sampling import sample_config
from bench.metrics.bits_per_byte import bits_per_byte, count_bytes
from bench.metrics.memorisation import TrainingText, verbatim_copy_counts
from bench.metrics.perplexity import perplexity
from bench.metrics.protocols import protocol_id
from bench.registry import build_config
from bench.results.records import Record, variant_id
from bench.stats.intervals import bootstrap_ratio_ci

__all__ = ["EvalConfig", "Score", "evaluate", "flagged", "score", "texts_to_read"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvalConfig:
    """Keys under ``evaluate:``.

    Attributes:
        characters: score only the first so many characters of the test split; 0 for all (a limit becomes part of the
            protocol).
        block: bytes of the blocks that the intervals resample.
        copied: length of the windows of the copy rate, in characters.
        passage: length of the windows that tell a copier, longer, so that common phrases are none.
        train_characters: also score so many characters from the start of the training text (rows of the split
            ``train``); 0 for none.
        letter_entropies: highest n of Shannon's letter entropies of the training text, up to 3; 0 for none.
        splices: list sampled lines that join pieces of several lines of the training text.
    """

    characters: int = 0
    block: int = 4000
    copied: int = 20
    passage: int = 50
    train_characters: int = 0
    letter_entropies: int = 0
    splices: bool = False


@dataclass(frozen=True)
class Score:
    """A text scored by a model.

    Attributes:
        nats: minus the log-probability of each block.
        sizes: bytes of each block.
        tokens: tokens of each block.
        impossible: share of the tokens that got no probability.
    """

    nats: Floats
    sizes: Floats
    tokens: Floats
    impossible: float

    @property
    def bits_per_byte(self) -> float:
        """Infinite if any token got no probability."""
        return bits_per_byte(float(self.nats.sum()), int(self.sizes.sum()))

    @property
    def perplexity(self) -> float:
        """Per token of the model's own vocabulary."""
        return perplexity(float(self.nats.sum()), int(self.tokens.sum()))


def score(model: Any, text: str, block: int, options: Mapping[str, Any]) -> Score:
    """Log-probabilities of ``text`` in blocks of ``block`` bytes; a token belongs to the block that it begins in.

    Raises:
        BenchError: the model's tokens do not cover the text.
    """
    nats = -np.asarray(model.log_prob(text, **options), dtype=np.float64)
    sizes = np.asarray(model.token_bytes(text), dtype=np.int64)
    if len(nats) != len(sizes) or sizes.sum() != count_bytes(text):
        raise BenchError(
            f"{type(model).__name__}: {len(nats)} log-probabilities over {int(sizes.sum())} bytes for a text of "
            f"{count_bytes(text)} bytes: "
            "log_prob and token_bytes must cover every byte"
        )
    blocks = (np.cumsum(sizes) - sizes) // block
    if blocks[-1] and (sizes.sum() - blocks[-1] * block) < block / 2:  # a short last block joins the one before
        blocks = np.minimum(blocks, blocks[-1] - 1)
    with np.errstate(invalid="ignore"):
        sums = [np.bincount(blocks, weights=values).astype(np.float64) for values in (nats, sizes, np.ones(len(sizes)))]
    return Score(sums[0], sums[1], sums[2], float(np.isinf(nats).mean()))


def flagged(rate: float, interval: tuple[float, float], heldout: float, heldout_interval: tuple[float, float]) -> bool:
    """Whether copying is beyond doubt: at least one window in ten, and five times as many as in text that nobody
    copied.

    >>> flagged(0.9, (0.8, 1.0), 0.01, (0.005, 0.02)), flagged(0.02, (0.01, 0.03), 0.01, (0.005, 0.02))
    (True, False)
    """
    return bool(rate >= interval[0] > max(0.1, 5 * max(heldout, heldout_interval[1])))


def evaluate(context: StageContext, scoring: EvalConfig | None = None) -> Evaluation:
    """Bits per byte and perplexity of the test split, verbatim copying of the samples, texts to read, curves over the
    order.

    Args:
        context: the generator.
        scoring: the keys under ``evaluate:``, where the caller has keys of its own and read them already.
    """
    drawing = sample_config(context)
    if scoring is None:
        scoring = build_config(
            EvalConfig, context.block.get("evaluate") or {}, f"{context.family}.{context.name}.evaluate"
        )
    assert context.samples is not None
    system = context.load()
    corpus = load_text(context.data)
    text = corpus["test"][: scoring.characters or None]
    excerpt = _whole_words(corpus["train"][: scoring.train_characters])
    if not text:
        raise BenchError(f"{context.name}: the test split of {context.data} is empty")
    part = "all-bytes" if len(text) == len(corpus["test"]) else f"first-{count_bytes(text)}-bytes"
    settings = _scored(system, drawing.variants)
    records: list[Record] = []
    found: dict[str, Score] = {}
    seen: dict[str, float] = {}
    with Progress(f"evaluate {context.name}", len(settings), "settings", quiet=context.quiet) as progress:
        for variant, options in settings.items():
            model, asked = system.part(options) if hasattr(system, "part") else (system, options)
            found[variant] = score(model, text, scoring.block, asked)
            records += _score_rows(context, found[variant], variant, part, model.vocabulary_name)
            if excerpt:
                known = score(model, excerpt, scoring.block, asked)
                seen[variant] = known.bits_per_byte
                records.append(_train_row(context, known, variant, count_bytes(excerpt)))
            progress.update(1, variant)
    sets = read_text_samples(context.samples)
    train = TrainingText(corpus["train"])
    pieces = [corpus["test"][i : i + drawing.characters] for i in range(0, len(corpus["test"]), drawing.characters)]
    copies, table = _copying(context, sets, train, pieces, scoring)
    extras: dict[str, Any] = {"texts": texts_to_read(sets), "tables": [table], "notes": _notes(system, found)}
    if figures := _attention(system, settings):
        extras["figures"] = figures
    # Sums of the blocks, so that claims can compare models block by block on the same text.
    extras["items"] = {
        "bits_per_byte": {
            variant: [[round(float(nats) / math.log(2), 3) for nats in value.nats], value.sizes.astype(int).tolist()]
            for variant, value in found.items()
            if math.isfinite(value.bits_per_byte)
        }
    }
    if impossible := [[variant, round(value.impossible, 6)] for variant, value in found.items() if value.impossible]:
        columns = ["setting", "share of held-out tokens without probability"]
        note = "One such token makes the bits per byte infinite."
        extras["tables"].append(
            {"title": "Held-out text that cannot happen", "columns": columns, "rows": impossible, "note": note}
        )
    if scoring.letter_entropies:
        entropies, beside = entropy_rows(context, corpus["train"], scoring.letter_entropies)
        records += entropies
        extras["tables"].insert(0, beside)
    if scoring.splices:
        extras["tables"] += splices(sets, corpus["train"])
    if curve := _curve(settings, found, seen):
        extras["curves"] = [curve, *copy_curves(sets, train, pieces, scoring.copied)]
    return Evaluation(records + copies, extras)


def _attention(system: Any, settings: Mapping[str, Mapping[str, Any]], shown: int = 2) -> list[dict[str, Any]]:
    """Attention maps of the models that have them, each once; of a series the first few arms that ask for them."""
    figures: list[dict[str, Any]] = []
    seen: set[int] = set()
    for options in settings.values():
        model, _ = system.part(options) if hasattr(system, "part") else (system, options)
        if not hasattr(model, "attention_maps") or id(model) in seen or len(figures) >= shown:
            continue
        seen.add(id(model))
        arm = options.get("arm")
        tokens, maps = model.attention_maps(LINE)
        figures.append(attention_figure(tokens, maps, f"Who attends to whom{f': {arm}' if arm else ''}"))
    return figures


def _whole_words(text: str) -> str:
    """Up to the last space: half a word at the cut would be new to a model of words."""
    return text[: text.rfind(" ") if " " in text else None]


def _scored(system: Any, variants: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Variant id -> options of ``log_prob``, each distinct setting once."""
    settings = {}
    for options in variants:
        chosen = {key: value for key, value in options.items() if key in system.SCORING}
        settings[variant_id(chosen)] = chosen
    return settings


def _score_rows(context: StageContext, found: Score, variant: str, part: str, vocabulary: str) -> list[Record]:
    finite = math.isfinite(found.bits_per_byte)
    seed = context.derive("intervals", variant)
    bits = bootstrap_ratio_ci(found.nats / math.log(2), found.sizes, seed) if finite else None
    nats = bootstrap_ratio_ci(found.nats, found.tokens, seed) if finite else None
    size, tokens = int(found.sizes.sum()), int(found.tokens.sum())
    return [
        context.record(
            "bits_per_byte",
            found.bits_per_byte,
            protocol_id("bits_per_byte", "test", part),
            ci95=bits,
            n=size,
            higher_is_better=False,
            variant=variant,
        ),
        context.record(
            "perplexity",
            found.perplexity,
            protocol_id("perplexity", "test", vocabulary, part),
            ci95=(_exp(nats[0]), _exp(nats[1])) if nats is not None else None,
            n=tokens,
            higher_is_better=False,
            variant=variant,
        ),
    ]


def _train_row(context: StageContext, known: Score, variant: str, size: int) -> Record:
    """Bits per byte of the start of the training text: how far the model has learnt it."""
    value = known.bits_per_byte
    interval = (
        bootstrap_ratio_ci(known.nats / math.log(2), known.sizes, context.derive("train", variant))
        if math.isfinite(value)
        else None
    )
    protocol = protocol_id("bits_per_byte", "train", f"first-{size}-bytes")
    common: dict[str, Any] = {"higher_is_better": False, "variant": variant, "split": "train", "slice": "training-text"}
    return context.record("bits_per_byte", value, protocol, ci95=interval, n=size, **common)


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _copying(
    context: StageContext, sets: Sequence[SampleSet], train: TrainingText, pieces: Sequence[str], scoring: EvalConfig
) -> tuple[list[Record], dict[str, Any]]:
    """Copy rates of all variants, and a table that sets them beside text that nobody copied, in ``pieces``."""
    lengths = scoring.copied, scoring.passage
    baseline = [_rate(pieces, train, length, context.derive("held-out", length)) for length in lengths]
    records, rows = [], []
    for item in sets:
        assert item.texts is not None
        (rate, interval, windows), passages = (
            _rate(item.texts, train, n, context.derive("copies", n, item.variant)) for n in lengths
        )
        protocol = protocol_id("verbatim_copy_rate", characters=scoring.copied)
        common: dict[str, Any] = {"higher_is_better": False, "variant": item.variant}
        records.append(context.record("verbatim_copy_rate", rate, protocol, ci95=interval, n=windows, **common))
        verdict = "yes" if flagged(*passages[:2], *baseline[1][:2]) else "no"
        rows.append([item.variant or context.name, round(rate, 4), round(passages[0], 4), verdict])
    rows.append(["held-out text itself", round(baseline[0][0], 4), round(baseline[1][0], 4), "-"])
    columns = ["setting", *(f"{length} characters" for length in lengths), "copier?"]
    note = (
        "Share of windows that stand verbatim in the training text. A copier has a tenth of its "
        f"{scoring.passage}-character windows "
        "from there, and five times the held-out text's share."
    )
    return records, {"title": "Copied from the training text", "columns": columns, "rows": rows, "note": note}


def _rate(texts: Sequence[str], train: TrainingText, length: int, seed: int) -> tuple[float, tuple[float, float], int]:
    """Copy rate, its interval over texts, number of windows."""
    copied, windows = verbatim_copy_counts(texts, train, length)
    if not windows.sum():
        raise BenchError(f"no text holds {length} characters: raise `sample.characters` or lower `evaluate.copied`")
    interval = bootstrap_ratio_ci(copied[windows > 0], windows[windows > 0], seed)
    return float(copied.sum() / windows.sum()), interval, int(windows.sum())


def texts_to_read(sets: Sequence[SampleSet], shown: int = 2, characters: int = 320) -> list[dict[str, str]]:
    """The first texts of each variant, cut, for the report."""
    listed = []
    for item in sets:
        assert item.texts is not None and item.prompts is not None
        title = item.variant.replace("=", " ").replace("_", " ").replace(",", ", ")
        for prompt, text in list(zip(item.prompts, item.texts, strict=True))[:shown]:
            listed.append({"title": title, "variant": item.variant, "prompt": prompt, "text": text[:characters]})
    return listed


def _notes(system: Any, found: Mapping[str, Score]) -> list[str]:
    notes = [
        f"Perplexity is per token of the vocabulary {system.vocabulary_name}; bits per byte alone compares across "
        "vocabularies."
    ]
    if hasattr(system, "window_note"):
        notes.append(system.window_note)
    if any(value.impossible for value in found.values()):
        notes.append(
            "Infinite bits per byte are shown as a dash: the model gives no probability to something in the "
            "held-out text."
        )
    return notes


def _curve(
    settings: Mapping[str, Mapping[str, Any]], found: Mapping[str, Score], seen: Mapping[str, float]
) -> dict[str, Any] | None:
    """Bits per byte over the order n, a line for each smoothing, finite values only; None for systems without n."""
    series: dict[str, list[list[float]]] = {}
    for variant, options in settings.items():
        if "n" not in options:
            continue
        name = str(options.get("smoothing", "")).replace("_", " ")
        lines = {name: found[variant].bits_per_byte}
        if variant in seen:
            lines[f"{name}, on training text"] = seen[variant]
        for line, value in lines.items():
            if math.isfinite(value):
                series.setdefault(line, []).append([float(options["n"]), value])
    if not series:
        return None
    lines_out = [{"name": name, "points": sorted(points)} for name, points in series.items()]
    return {
        "title": "Bits per byte against the order n",
        "x": "n",
        "y": "bits per byte",
        "log_x": False,
        "log_y": False,
        "series": lines_out,
    }
