"""What a language model must not do while it is scored: look ahead, or give more than one to the next character.

Both would lower the bits per byte without predicting anything. They are asked of the trained model, on the text that it
is scored on, at random places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.base.errors import BenchError
from bench.contracts import Floats, Ints

__all__ = ["check_excerpt", "check_prefix", "check_sums"]

TOLERANCE = 2e-3
"""Nats by which a token's log-probability may differ between a text and its beginning: float32 in batches of another
shape rounds otherwise."""
EXCESS = 2e-3
"""By which the probabilities of one place may exceed one in sum, for the same reason."""
EXCERPT = 120
"""Characters of an excerpt, and before a place, at most."""


def check_prefix(
    who: str, model: Any, options: Mapping[str, Any], text: str, nats: Floats, sizes: Ints, rng: np.random.Generator
) -> None:
    """The beginning of the text, cut at a space in its first quarter, has the same log-probabilities alone as it has in
    the whole. Tokens that the cut changes are left out.

    Args:
        who: generator and setting, for the error.
        model: a language model.
        options: of its ``log_prob``.
        text: what is scored.
        nats: minus the log-probability of each token.
        sizes: bytes of each token.
        rng: draws the place.

    Raises:
        BenchError: what follows changes a probability.
    """
    place = int(rng.integers(len(text) // 20, max(len(text) // 4, len(text) // 20 + 1)))
    place = text.rfind(" ", 0, place) if " " in text[:place] else place
    if place > 1:
        _compare_beginning(who, model, options, text[:place], nats, sizes)


def check_excerpt(who: str, model: Any, options: Mapping[str, Any], text: str, rng: np.random.Generator) -> None:
    """The same of a short excerpt, cut before each character that occurs there: what reads the very next one shows.

    Raises:
        BenchError: what follows changes a probability.
    """
    start = int(rng.integers(0, max(1, len(text) - EXCERPT)))
    excerpt = text[start : start + EXCERPT]
    nats, sizes = _scores(model, excerpt, options)
    for character in sorted(set(excerpt)):
        places = [i for i in range(2, len(excerpt)) if excerpt[i] == character]
        if places:
            _compare_beginning(who, model, options, excerpt[: places[rng.integers(len(places))]], nats, sizes)


def _scores(model: Any, text: str, options: Mapping[str, Any]) -> tuple[Floats, Ints]:
    return (
        -np.asarray(model.log_prob(text, **options), dtype=np.float64),
        np.asarray(model.token_bytes(text), dtype=np.int64),
    )


def _compare_beginning(
    who: str, model: Any, options: Mapping[str, Any], beginning: str, nats: Floats, sizes: Ints
) -> None:
    alone, parts = _scores(model, beginning, options)
    differs = np.flatnonzero(parts != sizes[: len(parts)])
    same = int(differs[0]) if len(differs) else len(parts)
    with np.errstate(invalid="ignore"):
        apart = np.nan_to_num(np.abs(alone[:same] - nats[:same]), nan=0.0)  # both infinite
    if (len(parts) > 50 and same < len(parts) // 2) or (apart > TOLERANCE * np.maximum(1.0, nats[:same])).any():
        worst = int(apart.argmax()) if same else 0
        raise BenchError(
            f"{who}: token {worst:,} has another log-probability in the first {len(beginning):,} characters of a text "
            f"than in the whole ({-alone[worst]:.4f} and {-nats[worst]:.4f} nats): log_prob may look only at what "
            "stands before a token"
        )


def check_sums(
    who: str, model: Any, options: Mapping[str, Any], text: str, rng: np.random.Generator, places: int = 2
) -> None:
    """The probabilities of all characters that may come next sum to at most one, at random places and after a space.

    Only for models of characters: elsewhere a further character changes the tokens before it.

    Args:
        who: generator and setting, for the error.
        model: a language model.
        options: of its ``log_prob``.
        text: what is scored.
        rng: draws the places.
        places: how many of each kind.

    Raises:
        BenchError: more than one.
    """
    if not str(model.vocabulary_name).startswith("characters"):
        return
    spaces = [place for place in np.flatnonzero(np.array(list(text)) == " ") + 1 if place < len(text)]
    chosen = [int(place) for place in rng.integers(1, len(text), places)]
    chosen += [int(spaces[i]) for i in rng.integers(0, len(spaces), places if spaces else 0)]
    characters = sorted(set(text))
    for place in chosen:
        before = text[max(0, place - EXCERPT) : place]
        nothing = float(np.sum(model.log_prob(before, **options)))
        if not np.isfinite(nothing):
            continue  # a text that the model gives no probability says nothing about what follows
        total = sum(
            float(np.exp(np.sum(model.log_prob(before + character, **options)) - nothing)) for character in characters
        )
        if total > 1.0 + EXCESS:
            raise BenchError(
                f"{who}: after character {place:,} of the text the probabilities of the next character sum to "
                f"{total:.4f}: bits per byte mean something only for a distribution"
            )
