"""The prompts that every text-to-image generator gets: parts with known answers, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.seeds import generator
from bench.scene_language import COLOURS, DIGIT_WORDS, RELATIONS, AskedScene, caption_of, parse_caption

__all__ = ["Suite", "build_suite"]

_SHOWN = (("single", 20), ("count", 10), ("relation", 10))


@dataclass(frozen=True)
class Suite:
    """Prompts, the part of the suite that each belongs to, and further captions for distances.

    Attributes:
        texts: the suite's prompts.
        parts: ``single``, ``colourless``, ``count`` or ``relation`` for each (``free``: asks nothing that is known).
        count: ``(size,)`` objects asked for, -1 where nothing is known.
        unseen: ``(size,)`` True where a colour-digit pair is asked that training scenes never show.
        repeat: ``(size,)`` how often the same prompt stood in the suite before.
        captions: captions of test scenes, in random order.
        own: True for the prompts of another program: protocols say so, because its numbers are of other prompts.
    """

    texts: tuple[str, ...]
    parts: tuple[str, ...]
    count: NDArray[np.int64]
    unseen: NDArray[np.bool_]
    repeat: NDArray[np.int64]
    captions: tuple[str, ...]
    own: bool = False

    @classmethod
    def of(cls, texts: Sequence[str], parts: Sequence[str], captions: Sequence[str] = (), own: bool = False) -> Suite:
        """The suite of prompts whose parts are known; what they ask is read from their text."""
        asked = [_parsed(text) for text in texts]
        seen: dict[str, int] = {}
        repeat = []
        for text in texts:
            repeat.append(seen.get(text, 0))
            seen[text] = repeat[-1] + 1
        return cls(
            texts=tuple(texts),
            parts=tuple(parts),
            count=np.array([-1 if scene is None else len(scene.objects) for scene in asked], dtype=np.int64),
            unseen=np.array([scene is not None and scene.unseen for scene in asked], dtype=np.bool_),
            repeat=np.array(repeat, dtype=np.int64),
            captions=tuple(captions),
            own=own,
        )

    @classmethod
    def of_samples(cls, prompts: Sequence[str], sizes: Iterable[tuple[str, int]] | None) -> Suite:
        """The suite that samples were asked, from their own prompts.

        Args:
            prompts: of the samples, in order.
            sizes: :attr:`sizes` as the sample stage left it; None for samples of another program, all of which belong
                to the suite, each to the part that its text says (``free`` if the grammar does not have it).
        """
        if sizes is None:
            return cls.of(prompts, [_part_of(_parsed(prompt)) for prompt in prompts], own=True)
        parts = [part for part, n in sizes for _ in range(n)]
        return cls.of(prompts[: len(parts)], parts, prompts[len(parts) :])

    def named(self, part: str) -> str:
        """How a protocol id names a part of the prompts."""
        return f"own-{part}" if self.own else part

    @property
    def sizes(self) -> list[tuple[str, int]]:
        """Part and number of prompts, in their order: what the sample stage writes beside the samples."""
        return [(part, len(list(group))) for part, group in groupby(self.parts)]

    @property
    def size(self) -> int:
        """Prompts in the suite, further captions not counted."""
        return len(self.texts)

    def part(self, name: str) -> NDArray[np.bool_]:
        """``(size,)`` True for the prompts of one part."""
        return np.array([part == name for part in self.parts], dtype=np.bool_)

    def prompts(self, captions: int) -> list[str]:
        """The suite, then the first ``captions`` test captions."""
        return [*self.texts, *self.captions[:captions]]

    def shown_rows(self) -> NDArray[np.int64]:
        """The prompts of the gallery: single digits of all colours, counted ones, relations."""
        rows = [np.flatnonzero(self.part(name))[_spread(int(self.part(name).sum()), count)] for name, count in _SHOWN]
        return np.concatenate(rows).astype(np.int64)

    def shown(self) -> list[str]:
        """Their texts."""
        return [self.texts[row] for row in self.shown_rows()]

    def colourless(self, n: int) -> list[str]:
        """``n`` captions "a three" with no colour asked, the digits in turn."""
        return [caption_of([(None, i % 10, False)]) for i in range(n)]


def _spread(total: int, count: int) -> NDArray[np.int64]:
    """``count`` rows spread over ``total`` with a stride that mixes colours and digits."""
    if total <= count:
        return np.arange(total)
    return np.unique(np.linspace(0, total - 1, count).round().astype(np.int64))


def build_suite(
    validation: Sequence[str],
    test: Sequence[str],
    seed: int,
    *,
    singles: int = 3,
    colourless: int = 40,
    counts: int = 20,
    relations: int = 120,
    captions: int = 1000,
) -> Suite:
    """The suite for a data set.

    Counted and related prompts are captions of validation scenes (with colours, without sizes), so that real scenes
    exist that show just this; no generator trains on them.

    Args:
        validation: captions of validation scenes.
        test: captions of test scenes, for distances.
        seed: of the choices.
        singles: repeats of each of the 80 colour-digit pairs.
        colourless: captions without a colour.
        counts: captions of each number two, three, four.
        relations: captions of two digits in a relation, the four relations in turn.
        captions: test captions.
    """
    chosen: list[tuple[str, str]] = []
    pairs = [(colour, digit) for colour in range(len(COLOURS)) for digit in range(len(DIGIT_WORDS))]
    chosen += [(caption_of([(colour, digit, False)]), "single") for _ in range(singles) for colour, digit in pairs]
    chosen += [(caption_of([(None, i % 10, False)]), "colourless") for i in range(colourless)]
    known = list(dict.fromkeys(validation))
    order = generator(seed, "validation").permutation(len(known))
    pool = [(known[i], parse_caption(known[i])) for i in order]
    pool = [(text, asked) for text, asked in pool if all(o.colour is not None and not o.small for o in asked.objects)]
    for k in (2, 3, 4):
        alike = [text for text, asked in pool if len(asked.objects) == k and _of_a_kind(text, asked)]
        chosen += [(text, "count") for text in _cycle(alike, counts)]
    by_relation = [[text for text, asked in pool if asked.relation == r] for r in range(len(RELATIONS))]
    share = [relations // len(RELATIONS) + (r < relations % len(RELATIONS)) for r in range(len(RELATIONS))]
    columns = [_cycle(texts, n) for texts, n in zip(by_relation, share, strict=True)]
    chosen += [(texts[i], "relation") for i in range(max(share)) for texts in columns if i < len(texts)]
    drawn = generator(seed, "test").permutation(len(test))[:captions]
    return Suite.of([text for text, _ in chosen], [part for _, part in chosen], [test[i] for i in drawn])


def _parsed(text: str) -> AskedScene | None:
    try:
        return parse_caption(text)
    except BenchError:
        return None


def _part_of(asked: AskedScene | None) -> str:
    """The part of the suite that a prompt of another program belongs to."""
    if asked is None:
        return "free"
    if len(asked.objects) == 1:
        return "colourless" if asked.objects[0].colour is None else "single"
    return "count" if asked.relation is None else "relation"


def _of_a_kind(text: str, asked: AskedScene) -> bool:
    return " and " not in text and asked.relation is None


def _cycle(texts: Sequence[str], n: int) -> list[str]:
    """The first ``n``, starting again where there are fewer."""
    return [texts[i % len(texts)] for i in range(n)] if texts else []
