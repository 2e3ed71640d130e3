"""How well masked language models restore hidden tokens of held-out text, from both sides and from the left alone, and
what they fill in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.base.errors import BenchError
from bench.base.progress import Progress
from bench.base.seeds import derive, generator
from bench.base.settings import Checked, Count, Natural
from bench.config.variants import variant_id
from bench.contracts import Ints, MaskedLanguageModel
from bench.families.text_encoders.masking import hide
from bench.families.text_encoders.wordpiece import MASK
from bench.metrics.perplexity import perplexity, perplexity_bounds
from bench.metrics.protocols import protocol_id
from bench.results.extras import Note, Table
from bench.scorers.texts import corpus
from bench.scoring import Output, Score, Subject, scorer
from bench.stats.intervals import bootstrap_ratio_ci

__all__ = [
    "ClozeOptions",
    "MaskedOptions",
    "PseudoOptions",
    "cloze",
    "cloze_examples",
    "masked_tokens",
    "pseudo_perplexity",
    "windows",
]


@dataclass(frozen=True)
class MaskedOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        windows: stretches of held-out text in which words are hidden.
    """

    windows: Count = 128


@dataclass(frozen=True)
class PseudoOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        pseudo_windows: stretches whose tokens are hidden one at a time (as many passes as tokens); 0 for no
            pseudo-perplexity.
    """

    pseudo_windows: Natural = 16


def windows(system: MaskedLanguageModel, text: str, count: int) -> Ints:
    """``count`` stretches of ``context - 2`` tokens evenly spread over ``text``, without overlap: ``(N, T)`` with [CLS]
    and [SEP].

    Fewer where the text has fewer; a text shorter than one stretch is one stretch.

    Raises:
        BenchError: fewer than two tokens.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    ids = np.concatenate([np.zeros(0, dtype=np.int64), *system.wordpiece.encode(lines)])
    if len(ids) < 2:
        raise BenchError(f"the held-out text has {len(ids)} tokens: there is nothing to hide a word in")
    size = min(system.shape.context - 2, len(ids))
    available = len(ids) // size
    count = min(count, available)
    starts = np.arange(count) * available // count * size
    return system.frame(ids[starts[:, None] + np.arange(size)])


def _views(system: MaskedLanguageModel) -> dict[str, bool]:
    """Variant -> whether the right side is hidden; a causal network has no other way."""
    left = {variant_id({"context": "left"}): True}
    return left if system.shape.causal else {variant_id({"context": "both"}): False, **left}


@scorer("MaskedLanguageModel", options=MaskedOptions, model=True)
def masked_tokens(subject: Subject, options: MaskedOptions) -> Iterator[Output]:
    """Share of hidden tokens that the first guess restores."""
    system: MaskedLanguageModel = subject.system
    stretches = windows(system, corpus(subject)["test"], options.windows)
    share, tokens = system.mask_share, stretches.shape[1] - 2
    batch = hide(stretches, share, system.wordpiece.mask, generator(subject.seed, "hidden words"))
    protocol = protocol_id("masked_accuracy", "test", system.vocabulary_name, share=f"{share:g}", tokens=tokens)
    counts = np.full(len(stretches), batch.targets.shape[1])
    for variant, left_only in _views(system).items():
        right = np.zeros(len(stretches))
        for start in range(0, len(stretches), 32):
            rows = slice(start, start + 32)
            guesses = system.fill(batch.inputs[rows], batch.positions[rows], left_only=left_only).argmax(-1)
            right[rows] = (guesses == batch.targets[rows]).sum(1)
        interval = bootstrap_ratio_ci(right, counts, subject.derive("masked_accuracy", variant), share=True)
        value, n = float(right.sum() / counts.sum()), int(counts.sum())
        yield Score("masked_accuracy", value, protocol, interval, n, variant)


@scorer("MaskedLanguageModel", options=PseudoOptions, model=True)
def pseudo_perplexity(subject: Subject, options: PseudoOptions) -> Iterator[Output]:
    """exp of the mean nats of a token, hidden alone and predicted from all others (Salazar et al. 2020, eq. 2)."""
    if not options.pseudo_windows:
        return
    system: MaskedLanguageModel = subject.system
    stretches = windows(system, corpus(subject)["test"], options.pseudo_windows)
    tokens = stretches.shape[1] - 2
    protocol = protocol_id("pseudo_perplexity", "test", system.vocabulary_name, tokens=tokens)
    counts, views = np.full(len(stretches), tokens), _views(system)
    title, passes = f"pseudo-perplexity {subject.name}", len(stretches) * len(views)
    with Progress(title, passes, "stretches", quiet=subject.context.quiet) as progress:
        for variant, left_only in views.items():
            nats = np.zeros(len(stretches))
            for i, row in enumerate(stretches):
                nats[i] = -system.hidden_one_by_one(row[1:-1], left_only=left_only).sum()
                progress.update()
            seed, n = subject.derive("pseudo_perplexity", variant), int(counts.sum())
            value = perplexity(float(nats.sum()), n)
            interval = perplexity_bounds(bootstrap_ratio_ci(nats, counts, seed))
            yield Score("pseudo_perplexity", value, protocol, interval, n, variant)


@dataclass(frozen=True)
class ClozeOptions(Checked):
    """Keys under ``evaluate:``.

    Attributes:
        cloze: held-out sentences shown with a word hidden.
        sentences: further sentences with ``[MASK]`` to show.
    """

    cloze: Natural = 8
    sentences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if odd := [text for text in self.sentences if MASK not in text]:
            raise ValueError(f"sentences: {odd[0]!r} has no {MASK}")


@scorer("MaskedLanguageModel", options=ClozeOptions, model=True)
def cloze(subject: Subject, options: ClozeOptions) -> Iterator[Output]:
    """A table of sentences, hidden words and first guesses; what a token is, and which way the model reads."""
    system: MaskedLanguageModel = subject.system
    text = corpus(subject)["test"]
    ids = np.concatenate(system.wordpiece.encode(text.split("\n")))
    letters = max(1, len(text)) / max(1, len(ids))
    unknown = float((ids == system.wordpiece.unknown).mean()) if len(ids) else 0.0
    yield Note(
        f"Vocabulary {system.vocabulary_name}: {letters:.2f} characters a token on held-out text, {unknown:.2%} of "
        "the tokens unknown."
    )
    causal = "Causal: every token sees only those before it."
    yield Note(causal if system.shape.causal else "Reads in both directions.")
    rows = []
    examples = cloze_examples(system, text, options.cloze, derive(subject.seed, "cloze"))
    for sentence, word in (*examples, *((sentence, "") for sentence in options.sentences)):
        try:
            guesses = system.cloze(sentence)
        except BenchError:  # longer than the context
            continue
        said = (", ".join(f"{token} {p:.0%}" for token, p in place) for place in guesses)
        rows.append((sentence, word, "; ".join(said)))
    if rows:
        yield Table(
            f"Fill in the blank: {subject.name}",
            ("sentence", "hidden", "first guesses"),
            tuple(rows),
            "The five most probable tokens for the hidden word; the sentences are from held-out text where the hidden "
            "word is named.",
        )


def cloze_examples(system: MaskedLanguageModel, text: str, count: int, seed: int) -> list[tuple[str, str]]:
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
