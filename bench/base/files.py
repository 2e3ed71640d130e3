"""Files: written under a temporary name and renamed, hashed, and the two sample formats."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.finite import drawn_by, refuse_not_finite
from bench.base.texts import read_text, split_lines

__all__ = [
    "SampleSet",
    "atomic",
    "check_writable",
    "hash_file",
    "hash_json",
    "read_image_samples",
    "read_json",
    "read_text_samples",
    "write_image_samples",
    "write_json",
    "write_npz",
    "write_text",
    "write_text_samples",
]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes ``path`` if the block succeeds, and vanishes if it does not.

    Raises:
        BenchError: the disk is full (or another OSError at write), naming the path; nothing half-written is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path, where: str = "") -> None:
    """Refuse a place where :func:`atomic` would fail, before the work begins; missing folders above it are no fault.

    Args:
        path: the file to be written later.
        where: what the message begins with: the flag that named the file.

    Raises:
        BenchError: ``path`` is a folder, lies below something that is none, in a folder that cannot be written, or has
            too long a name.
    """
    try:
        if path.is_dir():
            raise BenchError(f"{where}cannot write {path}: it is a folder")
        above = next(one for one in path.absolute().parents if os.path.lexists(one))
        if not above.is_dir():
            raise BenchError(f"{where}cannot write {path}: {above} is no folder")
        with tempfile.NamedTemporaryFile(prefix=".", dir=above):  # asking for permissions does not tell, as root say
            pass
    except OSError as error:
        raise BenchError(f"{where}cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """UTF-8, newlines as given, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """JSON with sorted keys; refuses NaN, which is not JSON."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The parsed file."""
    return json.loads(path.read_text(encoding="utf-8"))


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def hash_json(value: Any) -> str:
    """sha256 of the canonical JSON of ``value``."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A compressed npz whose bytes depend on the arrays alone (np.savez stores the time of day)."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED
            )


@dataclass(frozen=True)
class SampleSet:
    """The samples of one variant of one generator.

    Attributes:
        variant: canonical ``key=value,key=value`` text, ``""`` if the generator has one variant only.
        images: ``(N, H, W, C)`` uint8, or None for texts.
        texts: sampled texts, or None for images.
        labels: asked class of each image, -1 for none.
        prompts: caption or prompt of each item.
        info: JSON-able facts (seconds, per-item cost, options).
        extra: further arrays (denoising strips, masks, originals of a codec).
    """

    variant: str = ""
    images: NDArray[np.uint8] | None = None
    texts: list[str] | None = None
    labels: NDArray[np.int64] | None = None
    prompts: list[str] | None = None
    info: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, NDArray[Any]] = field(default_factory=dict)


def write_image_samples(path: Path, sets: Iterable[SampleSet]) -> None:
    """All variants of one generator into one npz."""
    arrays: dict[str, NDArray[Any]] = {}
    index = []
    for i, item in enumerate(sets):
        assert item.images is not None
        with drawn_by(item.variant):
            refuse_not_finite(item.images.dtype.kind != "f" or bool(np.isfinite(item.images).all()))
        arrays[f"images_{i}"] = item.images
        if item.labels is not None:
            arrays[f"labels_{i}"] = item.labels
        for key, value in item.extra.items():
            arrays[f"extra_{i}_{key}"] = value
        index.append({"variant": item.variant, "prompts": item.prompts, "info": item.info})
    arrays["index"] = np.frombuffer(json.dumps(index, sort_keys=True).encode(), dtype=np.uint8)
    write_npz(path, arrays)


def read_image_samples(path: Path) -> list[SampleSet]:
    """The inverse of :func:`write_image_samples`."""
    with np.load(path, allow_pickle=False) as file:
        index = json.loads(file["index"].tobytes())
        sets = []
        for i, entry in enumerate(index):
            prefix = f"extra_{i}_"
            sets.append(
                SampleSet(
                    variant=entry["variant"],
                    images=file[f"images_{i}"],
                    labels=file[f"labels_{i}"] if f"labels_{i}" in file.files else None,
                    prompts=entry["prompts"],
                    info=entry["info"],
                    extra={k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)},
                )
            )
    return sets


def write_text_samples(path: Path, sets: Iterable[SampleSet]) -> None:
    """All variants of one generator into one jsonl: a line for each text."""
    lines = []
    for item in sets:
        assert item.texts is not None
        prompts = item.prompts or [""] * len(item.texts)
        for prompt, text in zip(prompts, item.texts, strict=True):
            lines.append(
                json.dumps({"variant": item.variant, "prompt": prompt, "text": text, "info": item.info}, sort_keys=True)
            )
    write_text(path, "\n".join(lines) + "\n")


def read_text_samples(path: Path) -> list[SampleSet]:
    """The inverse of :func:`write_text_samples`."""
    sets: dict[str, SampleSet] = {}
    for line in split_lines(read_text(path)):
        row = json.loads(line)
        item = sets.setdefault(
            row["variant"], SampleSet(variant=row["variant"], texts=[], prompts=[], info=row["info"])
        )
        assert item.texts is not None and item.prompts is not None
        item.texts.append(row["text"])
        item.prompts.append(row["prompt"])
    return list(sets.values())
