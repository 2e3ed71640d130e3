"""Flags and options of ``bench sample``: which there are for what, and what stands behind ``-o``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.base.errors import BenchError
from bench.base.files import check_writable
from bench.base.settings import Checked
from bench.base.yaml_reader import parse_yaml

__all__ = ["SETTINGS", "TAKES", "StyleFiles", "check_flags", "check_output", "parse_options"]


def parse_options(
    texts: Sequence[str], flag: str = "--option", form: str = "KEY=VALUE, as in temperature=0.8"
) -> dict[str, Any]:
    """What stands behind ``-o``, KEY=VALUE each, the value as in params.yaml.

    Raises:
        BenchError: no KEY=VALUE, a key that is given twice, a value that is not YAML.
    """
    options: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise BenchError(f"{flag} {text!r}: give {form}")
        if key in options:
            raise BenchError(f"{flag} {text!r}: {key} is given twice")
        try:
            options[key] = parse_yaml(value)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise BenchError(f"{flag} {text!r}: the value is not YAML") from error
    return options


def check_output(
    path: Path, endings: Sequence[str], what: str, inputs: Iterable[Path] = (), flag: str = "--out"
) -> None:
    """Refuse a file that could not be written when the work is done.

    Args:
        path: where ``what`` will be written.
        endings: that name its format; empty for any.
        what: is written, for people.
        inputs: files that are read: none of them is overwritten.
        flag: that named the path.

    Raises:
        BenchError: another ending, an input, or a place that cannot be written.
    """
    if endings and path.suffix.lower() not in endings:
        raise BenchError(f"{flag} {path}: {what} are written as {' or '.join(endings)}")
    if any(path.resolve() == one.resolve() for one in inputs):
        raise BenchError(f"{flag} {path}: that is one of the files that are read")
    check_writable(path, f"{flag}: ")


SETTINGS = ("guidance", "steps", "window")
"""Flags that are options of the system: checked like ``-o``."""
TAKES: Mapping[str, tuple[str, ...]] = {
    "LanguageModel": ("prompt", "n", "seed", "chars"),
    "TextToImage": ("prompt", "negative_prompt", "n", "seed", "scale"),
    "ImageGenerator": ("label", "n", "seed", "scale"),
    "Synthesizer": ("exemplar", "size", "n", "seed", "scale"),
    "Codec": ("exemplar", "n", "scale"),
}
"""Contract -> the flags that change what is made, besides options of the system."""


def check_flags(given: Iterable[str], taken: Iterable[str], what: str) -> None:
    """Refuse a flag that would do nothing.

    Raises:
        BenchError: the flag, and those that there are.
    """
    taken = (*taken, "option", "out")
    for flag in given:
        if flag not in (*taken, "name"):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in taken)
            raise BenchError(f"--{flag.replace('_', '-')} does nothing for {what}, which takes {flags}")


@dataclass(frozen=True)
class StyleFiles(Checked):
    """Options of ``bench sample style`` that are no settings of the picture.

    Attributes:
        weights: file of a network of the user's own.
        strip: where the picture's progress is written, .png.
    """

    weights: str = ""
    strip: str = ""
