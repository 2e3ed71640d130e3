"""Masked language models: hidden words found, pseudo-perplexity, cloze examples, and (in ``label_efficiency``) what
they save in labels."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.progress import Progress
from bench.base.seeds import derive, generator
from bench.context import Evaluation, StageContext
from bench.data.datasets import load
from bench.evaluation.label_efficiency import Judged, LabelConfig, label_efficiency, probe
from bench.families.text_encoders.masked_lm import MaskedLM
from bench.families.text_encoders.masking import hide
from bench.families.text_encoders.wordpiece import MASK
from bench.metrics.perplexity import perplexity
from bench.metrics.protocols import protocol_id
from bench.registry import build_config
from bench.results.records import Record, variant_id
from bench.stats.intervals import bootstrap_ratio_ci

__all__ = ["EvalConfig", "cloze_examples", "evaluate", "windows"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class EvalConfig(LabelConfig):
    """Keys under ``evaluate:`` of a masked language model's block, besides those of :class:`LabelConfig`.

    Attributes:
        windows: stretches of held-out text in which words are hidden.
        pseudo_windows: stretches whose tokens are hidden one at a time (as many passes as tokens); 0 for no
            pseudo-perplexity.
        cloze: held-out sentences shown with a word hidden.
        sentences: further sentences with ``[MASK]`` to show.
    """

    windows: int = 128
    pseudo_windows: int = 16
    cloze: int = 8
    sentences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.windows < 1 or min(self.pseudo_windows, self.cloze) < 0:
            raise ValueError("windows must be at least 1, pseudo_windows and cloze not negative")
        if odd := [text for text in self.sentences if MASK not in text]:
            raise ValueError(f"sentences: {odd[0]!r} has no {MASK}")


def evaluate(context: StageContext) -> Evaluation:
    """Everything on the test split of ``dataset`` and, where a label experiment is asked for, of ``judged_on``."""
    where = f"{context.family}.{context.name}.evaluate"
    config: EvalConfig = build_config(EvalConfig, context.block.get("evaluate") or {}, where)
    system, corpus = context.load(), load(context.data)
    if not isinstance(corpus["test"], str):
        raise BenchError(
            f"{context.name}: {context.block['dataset']} is no text: hidden words need a data set of kind text"
        )
    records = _hidden_words(context, system, windows(system, corpus["test"], config.windows))
    if config.pseudo_windows:
        records += _pseudo(context, system, windows(system, corpus["test"], config.pseudo_windows))
    extras: dict[str, Any] = {
        "notes": _notes(system, corpus["test"]),
        "tables": _cloze_table(context, system, corpus["test"], config),
    }
    if config.probe or config.labels:
        judged = Judged.read(context, config)
        if config.probe:
            records += probe(context, system, judged, config)
        if config.labels:
            found, extras["curves"] = label_efficiency(context, system, judged, config)
            records += found
    return Evaluation(records, extras)


# --- Held-out prose ---


def windows(system: MaskedLM, text: str, count: int) -> Ints:
    """``count`` stretches of ``context - 2`` tokens evenly spread over ``text``, without overlap: ``(N, T)`` with [CLS]
    and [SEP].

    Fewer where the text has fewer; a text shorter than one stretch is one stretch.

    Raises:
        BenchError: fewer than two tokens.
    """
    ids = np.concatenate(
        [np.zeros(0, dtype=np.int64), *system.wordpiece.encode([line for line in text.split("\n") if line.strip()])]
    )
    if len(ids) < 2:
        raise BenchError(f"the held-out text has {len(ids)} tokens: there is nothing to hide a word in")
    size = min(system.shape.context - 2, len(ids))
    available = len(ids) // size
    count = min(count, available)
    starts = np.arange(count) * available // count * size
    return system.frame(ids[starts[:, None] + np.arange(size)])


def _sights(system: MaskedLM) -> dict[str, bool]:
    """Variant -> whether the right side is hidden; a causal network has no other way."""
    left = {variant_id({"context": "left"}): True}
    return left if system.shape.causal else {variant_id({"context": "both"}): False, **left}


def _hidden_words(context: StageContext, system: MaskedLM, stretches: Ints) -> list[Record]:
    share = system.config.mask_share
    batch = hide(stretches, share, system.wordpiece.mask, generator(context.seed, "hidden words"))
    tokens = stretches.shape[1] - 2
    protocol = protocol_id("masked_accuracy", "test", system.vocabulary_name, share=f"{share:g}", tokens=tokens)
    counts = np.full(len(stretches), batch.targets.shape[1])
    records = []
    for variant, left_only in _sights(system).items():
        right = np.zeros(len(stretches))
        for start in range(0, len(stretches), 32):
            rows = slice(start, start + 32)
            guesses = system.fill(batch.inputs[rows], batch.positions[rows], left_only=left_only).argmax(-1)
            right[rows] = (guesses == batch.targets[rows]).sum(1)
        interval_ = bootstrap_ratio_ci(right, counts, context.derive("masked_accuracy", variant))
        common: dict[str, Any] = {
            "ci95": interval_,
            "n": int(counts.sum()),
            "higher_is_better": True,
            "variant": variant,
        }
        records.append(context.record("masked_accuracy", float(right.sum() / counts.sum()), protocol, **common))
    return records


def _pseudo(context: StageContext, system: MaskedLM, stretches: Ints) -> list[Record]:
    tokens = stretches.shape[1] - 2
    protocol = protocol_id("pseudo_perplexity", "test", system.vocabulary_name, tokens=tokens)
    counts = np.full(len(stretches), tokens)
    records = []
    with Progress(
        f"pseudo-perplexity {context.name}", len(stretches) * len(_sights(system)), "stretches", quiet=context.quiet
    ) as progress:
        for variant, left_only in _sights(system).items():
            nats = np.zeros(len(stretches))
            for i, row in enumerate(stretches):
                nats[i] = -system.hidden_one_by_one(row[1:-1], left_only=left_only).sum()
                progress.update()
            low, high = bootstrap_ratio_ci(nats, counts, context.derive("pseudo_perplexity", variant))
            found = perplexity(float(nats.sum()), int(counts.sum()))
            common: dict[str, Any] = {"n": int(counts.sum()), "higher_is_better": False, "variant": variant}
            records.append(context.record("pseudo_perplexity", found, protocol, ci95=(_exp(low), _exp(high)), **common))
    return records


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _notes(system: MaskedLM, text: str) -> list[str]:
    ids = np.concatenate(system.wordpiece.encode(text.split("\n")))
    letters = max(1, len(text)) / max(1, len(ids))
    unknown = float((ids == system.wordpiece.unknown).mean()) if len(ids) else 0.0
    note = (
        f"Vocabulary {system.vocabulary_name}: {letters:.2f} characters a token on held-out text, {unknown:.2%} "
        "of the tokens unknown."
    )
    sight = "Causal: every token sees only those before it." if system.shape.causal else "Reads in both directions."
    return [note, sight]


# --- Cloze ---


def cloze_examples(system: MaskedLM, text: str, count: int, seed: int) -> list[tuple[str, str]]:
    """(sentence with ``[MASK]``, hidden word) of ``count`` held-out sentences.

    Sentences of 8 to 30 words in which some word of three letters or more is a token of its own; sentence and word are
    drawn by ``seed``.
    """
    rng = np.random.default_rng(seed)
    sentences = [s for line in text.split("\n") for s in re.split(r"(?<=[.!?])\s+", line) if 8 <= len(s.split()) <= 30]
    found: list[tuple[str, str]] = []
    for i in rng.permutation(len(sentences)):
        if len(found) == count:
            break
        words = list(re.finditer(r"(?<![\w'])[^\W\d_]{3,}(?![\w'])", sentences[i]))
        for word in (words[at] for at in rng.permutation(len(words))):
            ids = system.wordpiece.encode([word.group()])[0]
            if len(ids) == 1 and ids[0] not in system.wordpiece.special:
                sentence = f"{sentences[i][: word.start()]}{MASK}{sentences[i][word.end() :]}"
                found.append((sentence, system.wordpiece.token(ids[0])))
                break
    return found


def _cloze_table(context: StageContext, system: MaskedLM, text: str, config: EvalConfig) -> list[dict[str, Any]]:
    examples = cloze_examples(system, text, config.cloze, derive(context.seed, "cloze")) + [
        (s, "") for s in config.sentences
    ]
    rows = []
    for sentence, word in examples:
        try:
            guesses = system.cloze(sentence)
        except BenchError:  # longer than the context
            continue
        said = [", ".join(f"{token} {p:.0%}" for token, p in place) for place in guesses]
        rows.append([sentence, word, "; ".join(said)])
    if not rows:
        return []
    note = (
        "The five most probable tokens for the hidden word; the sentences are from held-out text where the "
        "hidden word is named."
    )
    return [
        {
            "title": f"Fill in the blank: {context.name}",
            "columns": ["sentence", "hidden", "first guesses"],
            "rows": rows,
            "note": note,
        }
    ]
