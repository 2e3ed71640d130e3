"""What a data set card says: where a data set comes from and how it is split. It holds no code;
:mod:`bench.data.card_reader` reads it.

See ``docs/bring-your-own-data.md`` for a worked example and the table of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.contracts import DataFacts

__all__ = ["SPLITS", "Card", "Member", "Render", "Source", "Split"]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """One place that the data can come from.

    Attributes:
        client: ``pypi``, ``npm``, ``url``, ``path`` or ``installed``.
        targets: ``name==version``, ``name@version``, addresses (several files may make one source), a file or folder,
            or the name of an installed distribution.
        sha256: digest of each target, None where the members' digests do the checking.
        kind: ``sdist`` or ``wheel`` for pypi.
        prefix: folder inside the archive that member names are relative to.
    """

    client: str
    targets: tuple[str, ...]
    sha256: tuple[str | None, ...]
    kind: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.client}: {', '.join(self.targets)}"


@dataclass(frozen=True)
class Member:
    """A file (or, with ``*`` and ``**``, files) to read out of the source, relative to its prefix."""

    name: str
    sha256: str | None = None


@dataclass(frozen=True)
class Split:
    """How items come into train, validation and test.

    Attributes:
        rule: ``works`` (named files are held out), ``fraction`` (a share of the files or pictures, drawn by seed),
            ``position`` (the end of a single text), ``official`` (the source has its own test set), ``none``,
            ``rendered``.
        validation, test: names, a share below 1, or a number of items, as the rule needs.
        seed: of the draw.
    """

    rule: str
    validation: tuple[str, ...] | float | int = 0
    test: tuple[str, ...] | float | int = 0
    seed: int = 0


@dataclass(frozen=True)
class Render:
    """How many scenes of each split the renderer makes, and how large.

    ``judge`` is drawn from training digits with *all* colour-digit pairs: the detector that judges generators learns
    from it. Pictures are ``32 scale`` pixels wide and high.
    """

    train: int = 40_000
    validation: int = 2_000
    test: int = 4_000
    judge: int = 40_000
    scale: int = 1


@dataclass(frozen=True)
class Card:
    """A data set; the fields are the keys of its card (see the module's documentation)."""

    path: Path
    name: str
    kind: str
    licence: str
    attribution: str
    split: Split
    title: str = ""
    sources: tuple[Source, ...] = ()
    members: tuple[Member, ...] = (Member("**"),)
    format: str = ""
    encoding: str = "utf-8"
    size: tuple[int, int] | None = None
    channels: int = 3
    classes: tuple[str, ...] = ()
    captions: str = ""
    on_broken: str = "refuse"
    source: str = ""
    render: Render = field(default_factory=Render)
    states: tuple[Mapping[str, Any], ...] = ()
    rendered: tuple[str, ...] = ()
    limit: Mapping[str, int] = field(default_factory=dict)

    @property
    def facts(self) -> DataFacts:
        """What is known of the data before it is fetched."""
        items = None
        if self.kind in ("textures", "video") and not any("*" in member.name for member in self.members):
            stems = (member.name.rsplit(".", 1)[0] for member in self.members)
            items = (*(stem.replace("/", "-") for stem in stems), *self.rendered)
        if self.kind == "scenes":
            side = 32 * self.render.scale
            return DataFacts(self.name, self.kind, size=(side, side), channels=3, classes=0)
        if self.kind not in ("images", "captioned_images"):
            return DataFacts(self.name, self.kind, items)
        channels = 1 if self.format == "idx" else self.channels
        return DataFacts(self.name, self.kind, None, self.size, channels, len(self.classes) or None)

    def error(self, key: str, text: str) -> BenchError:
        """An error about this card that names the file and the key."""
        return BenchError(f"{self.path}: {key}: {text}")
