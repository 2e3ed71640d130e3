"""Back-off models as ARPA files, the exchange format of language models: log10 of a probability, a gram, log10 of its
back-off weight.

A model with interpolation is written with its own share and the lower order's added up, which gives the same
probabilities. Our tokens hold spaces and line breaks, which the format cannot: a space becomes ``▁``, a line break
``\\x0a;``, and so on. There are no sentences: ``<s>`` and ``</s>`` are written, since readers insist on them, with a
probability of 1e-99.

Files of other programs are read as KenLM and SRILM read them: a token ends at a space, a tab or a line end and at no
other white space, ``<UNK>`` is ``<unk>``, a probability above one is refused. Where no token has ``▁`` or ``\\x0a;`` in
it, the tokens are plain words, and a text is cut at white space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary
from bench.base.errors import BenchError
from bench.families.words.counts import GramCounts
from bench.families.words.smoothing import BACKING_OFF, Level, SmoothedModel

__all__ = ["BEGIN", "END", "arpa_lines", "arpa_token", "plain_token", "plain_words", "read_arpa"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

BEGIN, END = "<s>", "</s>"
"""Marks of a sentence's two ends."""
_UNKNOWN, _UNKNOWNS = "<unk>", ("<unk>", "<UNK>")
_NEVER = -99.0
_HIDDEN = re.compile(r"[\s\\▁]")
_SHOWN = re.compile(r"\\x([0-9a-f]{2,6});|▁")
_SPACE = " \t\r\n"
"""What ends a token in a file; a no-break space does not."""
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")


def arpa_token(token: str) -> str:
    """A token without white space.

    >>> arpa_token(" or"), arpa_token("\\n")
    ('▁or', '\\\\x0a;')
    """
    return _HIDDEN.sub(lambda found: "▁" if found[0] == " " else f"\\x{ord(found[0]):02x};", token)


def plain_token(text: str) -> str:
    """The inverse of :func:`arpa_token`.

    >>> plain_token(arpa_token(" a\\\\b\\n▁"))
    ' a\\\\b\\n▁'
    """
    return _SHOWN.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)


def plain_words(text: str) -> list[str]:
    """What stands between ASCII white space, at which KenLM cuts a text.

    >>> plain_words("to be,\\n 20\\xa0000")
    ['to', 'be,', '20\\xa0000']
    """
    return re.findall(r"[^ \t-\r]+", text)


def _log10(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log10(values), _NEVER)


def _tables(model: SmoothedModel, n: int, smoothing: str) -> Iterator[tuple[Floats, Floats | None]]:
    """For each order (probability of each gram, weight of each gram as a context or None)."""
    below: Floats | None = None
    levels = [model.level(m, n, smoothing) for m in range(1, n + 1)]
    for m, level in enumerate(levels, 1):
        p = level.alpha
        if smoothing not in BACKING_OFF:
            lower = below[model.links(m)] if below is not None else 1 / model.counts.size
            p = p + level.gamma[model.counts.prefixes(m)] * lower
        yield p, levels[m].gamma if m < n else None
        below = p


def arpa_lines(model: SmoothedModel, vocabulary: Vocabulary, n: int, smoothing: str) -> Iterator[str]:
    """The lines of the file, each with its line end.

    Args:
        model: counts and distributions.
        vocabulary: the tokens' names.
        n: order.
        smoothing: one that hands down to lower orders: Kneser-Ney, modified or not, Katz, stupid back-off.

    Raises:
        BenchError: a smoothing that the format cannot hold, or an n that was not counted.
    """
    model.check(n, smoothing)
    if smoothing in ("mle", "add_k"):
        raise BenchError(
            f"an ARPA file holds models that back off to lower orders, not {smoothing!r}: use katz or "
            "modified_kneser_ney"
        )
    counts = model.counts
    names = [_UNKNOWN, *(arpa_token(token) for token in vocabulary.tokens)]
    seen = set(counts.keys[0].tolist())
    unseen = [token for token in range(counts.size) if token not in seen]
    marks = [mark for mark in ("<s>", "</s>") if mark not in names]
    yield "\n\\data\\\n"
    for m in range(1, n + 1):
        yield f"ngram {m}={len(counts.keys[m - 1]) + (len(unseen) + len(marks) if m == 1 else 0)}\n"
    contexts = [""]
    for m, (p, weights) in enumerate(_tables(model, n, smoothing), 1):
        yield f"\n\\{m}-grams:\n"
        prefixes = counts.prefixes(m)
        tokens = counts.keys[m - 1] - prefixes * counts.size
        grams = [
            f"{contexts[prefix]} {names[token]}".lstrip(" ") for prefix, token in zip(prefixes, tokens, strict=True)
        ]
        tails = [f"\t{weight:.9g}" for weight in _log10(weights)] if weights is not None else [""] * len(grams)
        yield from (f"{value:.9g}\t{gram}{tail}\n" for value, gram, tail in zip(_log10(p), grams, tails, strict=True))
        if m == 1:
            first = model.level(1, n, smoothing)
            rest = float(_log10(np.array([first.gamma[0] / counts.size]))[0])
            tail = "\t0" if n > 1 else ""
            yield from (f"{rest:.9g}\t{names[token]}{tail}\n" for token in unseen)
            yield from (f"{_NEVER:g}\t{mark}{tail}\n" for mark in marks)
        contexts = grams
    yield "\n\\end\\\n"


class _Reader:
    """Lines with their numbers, and errors that name them."""

    def __init__(self, lines: Iterable[str], where: str) -> None:
        self.where, self.number = where, 0
        self._lines = iter(lines)

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, 1):
            self.number = number
            if text := line.strip(_SPACE):
                yield text

    def error(self, text: str) -> BenchError:
        return BenchError(f"{self.where}: line {self.number}: {text}")


def _number(text: str) -> float:
    """NaN for what is no number."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _sections(reader: _Reader) -> tuple[list[int], list[list[tuple[list[str], float, float]]]]:
    """Declared counts, and for each order (gram, log10 probability, log10 weight)."""
    declared: list[int] = []
    sections: list[list[tuple[list[str], float, float]]] = []
    inside = ended = False
    for line in reader:
        if not inside:
            inside = line == "\\data\\"
        elif line == "\\end\\":
            ended = True
            break
        elif found := re.fullmatch(r"\\(\d+)-grams:", line):
            if int(found[1]) != len(sections) + 1:
                raise reader.error(f"{line} where \\{len(sections) + 1}-grams: was expected")
            sections.append([])
        elif not sections:
            if (count := _COUNT.fullmatch(line)) is None or int(count[1]) != len(declared) + 1:
                raise reader.error(f"must be `ngram {len(declared) + 1}=COUNT`, not {line!r}")
            declared.append(int(count[2]))
        else:
            m, parts = len(sections), re.split(f"[{_SPACE}]+", line)
            value, weight = (_number(part) for part in (parts[0], parts[m + 1] if len(parts) == m + 2 else "0"))
            if len(parts) not in (m + 1, m + 2) or math.isnan(value + weight) or weight == math.inf:
                raise reader.error(f"must be a number, {m} tokens and perhaps a number, not {line!r}")
            if value > 0:
                raise reader.error(f"the log10 probability {parts[0]} is above 0: no probability is above 1")
            sections[-1].append((parts[1 : m + 1], value, weight))
    if not inside or not ended:
        raise reader.error(
            "the file ends before " + ("\\end\\: it is cut off" if inside else "\\data\\: it is no ARPA file")
        )
    for m, (wanted, rows) in enumerate(zip(declared, sections, strict=False), 1):
        if wanted != len(rows):
            raise reader.error(f"{wanted} grams of order {m} were announced and {len(rows)} are there")
    if len(declared) != len(sections) or not sections:
        raise reader.error(f"{len(declared)} orders were announced and {len(sections)} are there")
    return declared, sections


def read_arpa(lines: Iterable[str], where: str = "ARPA file") -> tuple[Vocabulary, SmoothedModel]:
    """Vocabulary and model of an ARPA file, ours or another program's.

    Sentence marks are tokens like any other, but ``<s>`` is never predicted, whatever probability is written there.

    Args:
        lines: the file's lines (an open file will do).
        where: its name, for errors.

    Raises:
        BenchError: not an ARPA file, a malformed or missing line, a probability above one, or a gram whose beginning is
            no gram (the line or gram is named).
    """
    _, sections = _sections(_Reader(lines, where))
    named = {gram[0]: plain_token(gram[0]) for gram, _, _ in sections[0] if gram[0] not in _UNKNOWNS}
    vocabulary = Vocabulary(sorted(set(named.values())))
    encode = dict.fromkeys(_UNKNOWNS, UNKNOWN) if len(named) < len(sections[0]) else {}
    encode |= {token: int(vocabulary.encode([name])[0]) for token, name in named.items()}
    size = len(vocabulary)
    keys: list[Ints] = []
    levels: list[Level] = []
    index: Mapping[tuple[str, ...], int] = {(): 0}
    gamma = np.zeros(1)  # what the file does not list as a token has no probability
    for m, rows in enumerate(sections, 1):
        packed = np.empty(len(rows), dtype=np.int64)
        for i, (gram, _, _) in enumerate(rows):
            prefix, token = index.get(tuple(gram[:-1])), encode.get(gram[-1])
            if prefix is None or token is None:
                raise BenchError(f"{where}: the gram {' '.join(gram)!r} begins or ends with what the lower orders lack")
            packed[i] = prefix * size + token
        order = np.argsort(packed, kind="stable")
        keys.append(packed[order])
        if (keys[-1][1:] == keys[-1][:-1]).any():
            raise BenchError(f"{where}: a gram of order {m} is there twice")
        weights = np.array([weight for _, _, weight in rows])[order]
        p = 10.0 ** np.array([_NEVER if gram == [BEGIN] else value for gram, value, _ in rows])[order]
        levels.append(Level(p, gamma))
        gamma = 10.0**weights
        index = {tuple(rows[place][0]): rank for rank, place in enumerate(order)} if m < len(sections) else {}
    counts = GramCounts(size, keys, [np.ones(len(k), dtype=np.int32) for k in keys], [])
    return vocabulary, SmoothedModel(counts, [1.0] * len(keys), given=levels)
