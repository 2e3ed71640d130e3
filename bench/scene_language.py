"""The words of the digit scenes: colours, numbers, relations, captions, and the reading of a caption.

Grammar (every word of it is in :data:`VOCABULARY`; brackets mark what may be left out)::

    caption  = object [relation object]              "a red three left of a small blue seven"
             | object "and" object {"and" object}    "a red one and a two and a green zero"   (2 to 4 objects)
             | count [colour] plural                 "two yellow fours"                       (2 to 4 of a kind)
    object   = ("a" | "an") ["small"] [colour] digit
    relation = "left of" | "right of" | "above" | "below"

Captions are exact: what they say is true of the picture. What a caption leaves out is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean

__all__ = [
    "COLOURS",
    "DIGIT_PLURALS",
    "DIGIT_WORDS",
    "KINDS",
    "MAX_OBJECTS",
    "MAX_WORDS",
    "RELATIONS",
    "VOCABULARY",
    "AskedObject",
    "AskedScene",
    "asked_arrays",
    "caption_of",
    "encode_captions",
    "is_unseen",
    "parse_caption",
    "unseen_pairs",
]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (230, 40, 40),
    "green": (40, 200, 60),
    "blue": (60, 90, 255),
    "yellow": (240, 225, 40),
    "cyan": (40, 220, 230),
    "pink": (235, 70, 220),
    "orange": (245, 140, 30),
    "white": (240, 240, 240),
}
"""Colour word -> RGB; a colour's index (in the arrays of ground truth) is its place in this mapping."""

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_PLURALS = ("zeros", "ones", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines")
RELATIONS = ("left of", "right of", "above", "below")
"""Where the first object of a caption lies, seen from the second."""

KINDS = ("one", "relation", "two of a kind", "three of a kind", "four of a kind", "three mixed", "four mixed")
"""The kinds of scene that the renderer makes, in the order of the ground truth's ``kind`` index."""

MAX_OBJECTS = 4
MAX_WORDS = 18
"""Longest caption (four mixed objects) with its start and end marks, and one to spare."""

VOCABULARY = (
    *("<pad>", "<start>", "<end>", "a", "small", "and", "left", "right", "of", "above", "below"),
    *COLOURS,
    *DIGIT_WORDS,
    *DIGIT_PLURALS,
)
"""All 39 words; a word's token is its place. 0 pads, 1 starts, 2 ends; "an" has the token of "a"."""

_TOKEN = {word: token for token, word in enumerate(VOCABULARY)}
_COLOUR_NAMES = tuple(COLOURS)


@dataclass(frozen=True)
class AskedObject:
    """One object that a caption asks for; None means that the caption leaves it free.

    Attributes:
        digit: 0 to 9.
        colour: index into COLOURS, or None.
        small: True if the caption says "small"; None otherwise (captions have no word for big).
    """

    digit: int
    colour: int | None = None
    small: bool | None = None


@dataclass(frozen=True)
class AskedScene:
    """What a caption asks for: the objects in the caption's order, and how the first lies to the second (index into
    RELATIONS)."""

    objects: tuple[AskedObject, ...]
    relation: int | None = None

    @property
    def unseen(self) -> bool:
        """True if some object has one of the colour-digit pairs that training scenes never show."""
        return any(o.colour is not None and is_unseen(o.colour, o.digit) for o in self.objects)


def is_unseen(colour: Any, digit: Any) -> Any:
    """Colour ``i`` is held out with digit ``(3 i + 1) mod 10``: 8 of the 80 pairs. Takes whole numbers or arrays of
    them."""
    return digit == (3 * colour + 1) % 10


def unseen_pairs() -> list[tuple[int, int]]:
    """The held-out (colour index, digit) pairs.

    >>> [(list(COLOURS)[c], d) for c, d in unseen_pairs()][:3]
    [('red', 1), ('green', 4), ('blue', 7)]
    """
    return [(colour, (3 * colour + 1) % 10) for colour in range(len(COLOURS))]


def _object_words(digit: int, colour: int | None, small: bool) -> str:
    colour_word = _COLOUR_NAMES[colour] if colour is not None else ""
    words = [word for word in ("small" if small else "", colour_word, DIGIT_WORDS[digit]) if word]
    return " ".join(["an" if words[0] in ("orange", "eight") else "a", *words])


def caption_of(
    objects: Sequence[tuple[int | None, int, bool]], relation: int | None = None, *, of_a_kind: bool = False
) -> str:
    """The caption of ``objects``, each (colour index or None, digit, small).

    Args:
        objects: one to four, in the caption's order.
        relation: index into RELATIONS, for two objects.
        of_a_kind: all objects are alike and are counted ("two yellow fours").

    >>> caption_of([(0, 3, False), (2, 7, True)], relation=2)
    'a red three above a small blue seven'
    >>> caption_of([(3, 4, False)] * 2, of_a_kind=True)
    'two yellow fours'
    >>> caption_of([(None, 8, False)])
    'an eight'
    """
    if of_a_kind:
        colour, digit, _ = objects[0]
        return " ".join(
            filter(
                None,
                (DIGIT_WORDS[len(objects)], _COLOUR_NAMES[colour] if colour is not None else "", DIGIT_PLURALS[digit]),
            )
        )
    words = [_object_words(digit, colour, small) for colour, digit, small in objects]
    return f" {RELATIONS[relation]} ".join(words) if relation is not None else " and ".join(words)


class _Reader:
    """A caption's words, read from left to right; "an" counts as "a"."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.words = ["a" if word == "an" else word for word in text.lower().split()]
        for word in self.words:
            if word not in _TOKEN or word.startswith("<"):
                known = [w for w in VOCABULARY if not w.startswith("<")]
                raise BenchError(f"caption {text!r}: {word!r} is not a word of the scenes.{did_you_mean(word, known)}")

    def take(self, *words: str) -> bool:
        if tuple(self.words[self.at : self.at + len(words)]) == words:
            self.at += len(words)
            return True
        return False

    def one_of(self, words: Sequence[str]) -> int | None:
        if self.at < len(self.words) and self.words[self.at] in words:
            self.at += 1
            return list(words).index(self.words[self.at - 1])
        return None

    def fail(self, expected: str) -> BenchError:
        found = repr(self.words[self.at]) if self.at < len(self.words) else "the end"
        return BenchError(
            f"caption {self.text!r}: expected {expected}, found {found} (a caption is like 'a small red three "
            "above a blue seven')"
        )

    def object(self) -> AskedObject:
        if not self.take("a"):
            raise self.fail("'a'")
        small = self.take("small")
        colour = self.one_of(_COLOUR_NAMES)
        digit = self.one_of(DIGIT_WORDS)
        if digit is None:
            raise self.fail("a digit" if colour is not None else "a colour or a digit")
        return AskedObject(digit, colour, True if small else None)


def parse_caption(text: str) -> AskedScene:
    """What ``text`` asks for: the inverse of :func:`caption_of`.

    Raises:
        BenchError: an unknown word (with the nearest known one), or words in an order that the grammar does not have.

    >>> parse_caption("two yellow fours").objects
    (AskedObject(digit=4, colour=3, small=None), AskedObject(digit=4, colour=3, small=None))
    >>> parse_caption("a red three above a seven").relation
    2
    """
    reader = _Reader(text)
    relation: int | None = None
    count = reader.one_of(DIGIT_WORDS[: MAX_OBJECTS + 1])
    if count is not None:
        if count < 2:
            raise BenchError(f"caption {text!r}: of a kind come two, three or four")
        colour = reader.one_of(_COLOUR_NAMES)
        digit = reader.one_of(DIGIT_PLURALS)
        if digit is None:
            raise reader.fail("the plural of a digit" if colour is not None else "a colour or the plural of a digit")
        objects = [AskedObject(digit, colour)] * count
    else:
        objects = [reader.object()]
        relation = next((i for i, name in enumerate(RELATIONS) if reader.take(*name.split())), None)
        if relation is not None:
            objects.append(reader.object())
        else:
            while reader.take("and"):
                objects.append(reader.object())
            if len(objects) > MAX_OBJECTS:
                raise BenchError(f"caption {text!r}: {len(objects)} objects, at most {MAX_OBJECTS} fit a scene")
    if reader.at < len(reader.words):
        raise reader.fail("the end" if relation is not None or count is not None else "'and', a relation or the end")
    return AskedScene(tuple(objects), relation)


def asked_arrays(prompts: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """What each prompt asks for: ``count (N,)``, ``digits``, ``colours``, ``sizes`` ``(N, 4)``, ``relation (N,)``; -1
    where left open.

    A prompt that the grammar does not have (the empty one) asks for nothing: count -1.
    """
    n = len(prompts)
    arrays: dict[str, NDArray[np.int64]] = {
        key: np.full((n, MAX_OBJECTS), -1, np.int64) for key in ("digits", "colours", "sizes")
    }
    for key in ("count", "relation"):
        arrays[key] = np.full(n, -1, np.int64)
    for i, prompt in enumerate(prompts):
        try:
            asked: AskedScene = parse_caption(prompt)
        except BenchError:
            continue
        arrays["count"][i] = len(asked.objects)
        arrays["relation"][i] = -1 if asked.relation is None else asked.relation
        for k, item in enumerate(asked.objects):
            arrays["digits"][i, k] = item.digit
            arrays["colours"][i, k] = -1 if item.colour is None else item.colour
            arrays["sizes"][i, k] = 1 if item.small else -1
    return arrays


def encode_captions(captions: Sequence[str], length: int = MAX_WORDS) -> NDArray[np.int64]:
    """Tokens of each caption, ``(N, length)``: start mark, words, end mark, padding. The empty caption is start, end.

    Raises:
        BenchError: an unknown word, or a caption of more than ``length - 2`` words.
    """
    tokens = np.zeros((len(captions), length), dtype=np.int64)
    for row, caption in enumerate(captions):
        words = _Reader(caption).words
        if len(words) > length - 2:
            raise BenchError(f"caption {caption!r}: {len(words)} words, at most {length - 2} fit")
        tokens[row, : len(words) + 2] = [1, *(_TOKEN[word] for word in words), 2]
    return tokens
