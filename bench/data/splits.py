"""Which items are for training, which for selection, which for the one final test. Every draw is seeded; nothing is in
two splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import did_you_mean
from bench.base.seeds import generator
from bench.data.cards import Card
from bench.data.names import composed

__all__ = ["carve", "split_items", "split_positions", "split_texts", "work_sides"]


def carve(n: int, held_out: int, *seed: int | str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(kept, held out) indices of ``n`` items, each sorted; ``held_out`` of them are drawn by ``seed``.

    >>> kept, held_out = carve(10, 3, 0, "digits")
    >>> len(kept), len(held_out), sorted({*kept.tolist(), *held_out.tolist()}) == list(range(10))
    (7, 3, True)
    """
    order = generator(*seed).permutation(n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def split_items(card: Card, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Split -> indices into ``names``.

    Rule ``fraction`` draws a share of the *distinct* names (a picture with several captions stays on one side). Rule
    ``official`` takes the names' first folder (train, validation or test), and carves ``split.validation`` items from
    train if there is no validation folder.

    Raises:
        BenchError: an empty split, or names outside the official folders.
    """
    if card.split.rule == "fraction":
        distinct = sorted(set(names))
        order = generator(card.name, card.split.seed, "split").permutation(len(distinct))
        held = {s: max(1, round(getattr(card.split, s) * len(distinct))) for s in ("validation", "test")}
        side = dict.fromkeys(distinct, "train")
        for at, index in enumerate(order[: sum(held.values())]):
            side[distinct[index]] = "validation" if at < held["validation"] else "test"
        found = [side[name] for name in names]
    else:
        found = [name.split("/")[0] for name in names]
        for name, folder in zip(names, found, strict=True):
            if folder not in ("train", "validation", "test"):
                raise card.error(
                    "split", f"rule official: {name!r} lies in none of the folders train, validation, test"
                )
    result = {s: np.flatnonzero(np.array([f == s for f in found])) for s in ("train", "validation", "test")}
    if card.split.rule == "official" and not len(result["validation"]):
        train, wanted = result["train"], card.split.validation
        if not isinstance(wanted, int) or not 0 < wanted < len(train):
            raise card.error(
                "split.validation", f"must be 1 to {len(train) - 1} pictures of train: there is no folder validation"
            )
        kept, held_out = carve(len(train), wanted, card.name, card.split.seed, "validation")
        result["train"], result["validation"] = train[kept], train[held_out]
    for split, indices in result.items():
        if not len(indices):
            raise card.error("split", f"{split} would be empty with {len(names)} items")
    return result


def split_positions(text: str, validation: float, test: float) -> dict[str, str]:
    """A single text, cut near the given shares of its end, at line ends: train, then validation, then test."""
    cuts = []
    for share in (1 - validation - test, 1 - test):
        at = text.find("\n", int(len(text) * share))
        cuts.append(len(text) if at < 0 else at + 1)
    return {"train": text[: cuts[0]], "validation": text[cuts[0] : cuts[1]], "test": text[cuts[1] :]}


def work_sides(card: Card, works: Iterable[str]) -> dict[str, str]:
    """Name of a work -> its split, by the rules ``works`` and ``fraction``; empty where works are cut (``position``).

    Raises:
        BenchError: a held-out work that does not exist or is named twice, or too few works.
    """
    names = sorted(works)
    if card.split.rule == "position":
        return {}
    if card.split.rule == "works":
        held = {s: tuple(composed(name) for name in getattr(card.split, s)) for s in ("validation", "test")}
        for split, wanted in held.items():
            for name in wanted:
                if name not in names:
                    raise card.error(f"split.{split}", f"no work {name!r}.{did_you_mean(name, names)}")
        both = set(held["validation"]) & set(held["test"])
        if both:
            raise card.error("split", f"{sorted(both)} are in validation and in test")
        return {name: next((s for s in held if name in held[s]), "train") for name in names}
    if len(names) < 3:
        raise card.error("split.rule", f"fraction draws whole files, and there are {len(names)}: use `rule: position`")
    return {names[i]: split for split, rows in split_items(card, names).items() for i in rows}


def split_texts(card: Card, works: Mapping[str, str]) -> dict[str, str]:
    """Split -> one text: the works of each split in the order of their names, with an empty line between them.

    Raises:
        BenchError: a held-out work that does not exist or is named twice, or an empty split.
    """
    sides = work_sides(card, works)
    if sides:
        result = {
            s: "\n\n".join(works[n] for n in sorted(works) if sides[n] == s) for s in ("train", "validation", "test")
        }
    else:
        whole = "\n\n".join(works[name] for name in sorted(works))
        result = split_positions(whole, float(card.split.validation), float(card.split.test))  # type: ignore[arg-type]
    for split, text in result.items():
        if not text.strip():
            raise card.error("split", f"{split} would be empty")
    return result
