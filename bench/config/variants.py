"""``sample.variants``: every variant is a row of the table; lists in one stand for their cross product.

``{ smoothing: mle, n: [1, 2, 3] }`` is three variants. Keys are taken in the order that they are written in, the last
one varies fastest, and the name of a variant has its keys in alphabetical order: ``n=1,smoothing=mle``. An option whose
value is itself a list is written as a list of lists.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from bench.base.errors import BenchError
from bench.base.settings import Checked, NothingToSet

__all__ = ["Swept", "expand_variants", "variant_id"]


def variant_id(options: Mapping[str, Any]) -> str:
    """Canonical text of swept settings.

    >>> variant_id({"sampler": "ddim", "steps": 50})
    'sampler=ddim,steps=50'
    """
    return ",".join(f"{key}={value}" for key, value in options.items())


def expand_variants(variants: Any, where: str) -> list[dict[str, Any]]:
    """The variants that a list of mappings stands for.

    >>> expand_variants([{}, {"smoothing": "mle", "n": [1, 2]}], "variants")
    [{}, {'n': 1, 'smoothing': 'mle'}, {'n': 2, 'smoothing': 'mle'}]

    Raises:
        BenchError: not a list of mappings, or a list without a value.
    """
    if not isinstance(variants, list) or not variants:
        raise BenchError(f"{where}: must be a list of at least one variant such as {{temperature: 0.8}}")
    expanded: list[dict[str, Any]] = []
    for number, variant in enumerate(variants):
        if not isinstance(variant, Mapping):
            raise BenchError(f"{where}[{number}]: must be a mapping such as {{temperature: 0.8}}, not {variant!r}")
        choices = {str(key): value if isinstance(value, list) else [value] for key, value in variant.items()}
        for key, values in choices.items():
            if not values:
                raise BenchError(f"{where}[{number}].{key}: the list holds no value")
        for chosen in itertools.product(*choices.values()):
            expanded.append(dict(sorted(zip(choices, chosen, strict=True))))
    return expanded


@dataclass(frozen=True)
class Swept(Checked):
    """Base of the keys under ``sample:`` where a block sweeps variants.

    Attributes:
        variants: options of the system's sampling, each a row of the table; lists stand for their cross product.
        defaults: options of the system's sampling that all variants share; no part of their names.
    """

    variants: tuple[Mapping[str, Any], ...] = ({},)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    Own: ClassVar[type] = NothingToSet
    """Keys of a variant that are for the family, not for the system; they are no part of its name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.variants:
            raise ValueError("variants: at least one is needed")
        own = {each.name for each in fields(self.Own)}
        names = Counter(
            variant_id({key: value for key, value in variant.items() if key not in own}) for variant in self.variants
        )
        name, count = names.most_common(1)[0]
        if count > 1:
            raise ValueError(f"variants: {count} of them are called {name!r}: a name is a row of the table")

    def option_sets(self) -> Iterator[tuple[str, dict[str, Any], type]]:
        """Of every variant where it stands, its options, and the dataclass of those that are not the system's."""
        yield "defaults", dict(self.defaults), NothingToSet
        for variant in self.variants:
            yield f"variants ({variant_id(variant)})", {**self.defaults, **variant}, self.Own
