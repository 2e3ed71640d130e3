"""Reading named members straight out of archives: nothing is extracted by its stored path, nothing of an archive is
run.

An archive is a wheel or zip, a tar (``.tar.gz``, ``.tgz``, ``.tar``, ``.tar.bz2``, ``.tar.xz``), a folder, or a single
file (a single ``.gz`` file is its unpacked content). Names that leave the folder (``../x``, absolute, with a backslash
or a drive) condemn the whole archive; links and devices are refused where a card asks for them.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.data.cards import Card
from bench.data.names import matches, plain_path, relative

__all__ = ["Entry", "copy_members", "entries", "replace_folder"]

CHUNK = 1 << 20
MAX_MEMBER_BYTES = 8 << 30
"""No member is unpacked beyond this: a guard against archives that unfold without end."""

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)


@dataclass(frozen=True)
class Entry:
    """A file inside an archive: its stored name, and how to open it. ``plain`` is False for links and devices."""

    name: str
    open: Callable[[], IO[bytes]]
    plain: bool = True


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _folder_entries(folder: Path) -> Iterator[Entry]:
    """The visible files below ``folder``, sorted. A link that leaves the folder is not plain."""
    base = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")) or path.is_dir():
            continue
        yield Entry(name, _opener(path), plain=path.is_file() and path.resolve().is_relative_to(base))


def _zip_entries(file: zipfile.ZipFile) -> Iterator[Entry]:
    for info in file.infolist():
        if not info.is_dir():
            if info.flag_bits & 1:
                raise BenchError(
                    f"{file.filename}: {info.filename!r} is encrypted: unpack the archive and name the folder as "
                    "`path:`"
                )
            kind = (info.external_attr >> 16) & 0o170000
            yield Entry(info.orig_filename, lambda info=info: file.open(info), plain=kind in (0, 0o100000))  # type: ignore[misc]


def _tar_entries(file: tarfile.TarFile) -> Iterator[Entry]:
    def opener(info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        def open_member() -> IO[bytes]:
            stream = file.extractfile(info)
            assert stream is not None
            return stream

        return open_member

    for info in file:
        if not info.isdir():
            yield Entry(info.name, opener(info), plain=info.isreg())


@contextmanager
def entries(path: Path) -> Iterator[Iterator[Entry]]:
    """The files of an archive, in stored order; each must be read before the next is asked for.

    Raises:
        BenchError: no such file, or a truncated or broken archive.
    """
    if not path.exists():
        raise BenchError(f"{path}: no such file or folder")
    try:
        if path.is_dir():
            yield _folder_entries(path)
        elif path.suffix in (".whl", ".zip", ".npz") or zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _zip_entries(archive)
        elif path.name.endswith((".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")):
            with tarfile.open(path, "r:*") as tar:
                yield _tar_entries(tar)
        elif path.suffix == ".gz":
            yield iter([Entry(path.stem, lambda: cast(IO[bytes], gzip.open(path, "rb")))])  # noqa: SIM115 (the reader closes it)
        else:
            yield iter([Entry(path.name, _opener(path))])
    except _BROKEN as error:
        raise BenchError(f"{path}: truncated or broken archive ({error}); delete it and fetch it again") from error


def _copy(stream: IO[bytes], target: Path, where: str) -> str:
    """Copy to ``target`` under a temporary name; the sha256 of what was copied."""
    digest, size = hashlib.sha256(), 0
    with atomic(target) as temporary, temporary.open("wb") as out:
        try:
            while block := stream.read(CHUNK):
                size += len(block)
                if size > MAX_MEMBER_BYTES:
                    raise BenchError(f"{where}: unpacks to more than {MAX_MEMBER_BYTES >> 30} GiB: refused")
                digest.update(block)
                out.write(block)
        except _BROKEN as error:
            raise BenchError(
                f"{where}: truncated or broken ({error}); delete the archive and fetch it again"
            ) from error
    return digest.hexdigest()


def copy_members(card: Card, prefix: str, paths: list[Path], folder: Path) -> list[str]:
    """Copy the card's members out of ``paths`` into ``folder``; their names, sorted.

    Args:
        card: says which members, and their digests.
        prefix: folder inside the archive that member names are relative to.
        paths: the files or folders of one source, searched together.
        folder: target; must not hold anything else.

    Raises:
        BenchError: a hostile name, a link or device asked for, a member twice, missing or with another sha256, a broken
            archive, no space.
    """
    found: dict[str, str] = {}
    hits = dict.fromkeys((m.name for m in card.members), 0)
    for path in paths:
        with entries(path) as items:
            for entry in items:
                if not plain_path(entry.name.removeprefix("./")):
                    raise BenchError(f"{path}: hostile member name {entry.name!r}: the archive is refused")
                name = relative(entry.name.removeprefix("./"), prefix)
                wanted = [m for m in card.members if name and matches(name, m.name)]
                if not wanted or name is None:
                    continue
                if not entry.plain:
                    raise BenchError(f"{path}: {entry.name!r} is a link or a device, not a file: refused")
                if name in found:
                    raise BenchError(f"{path}: {entry.name!r} is there twice: refused")
                with entry.open() as stream:
                    found[name] = _copy(stream, folder / name, f"{path}: {entry.name}")
                for member in wanted:
                    hits[member.name] += 1
                    if member.sha256 and member.sha256 != found[name]:
                        (folder / name).unlink()
                        raise BenchError(
                            f"{path}: member {name} has sha256 {found[name]}, but {card.path} says "
                            f"{member.sha256}: refused"
                        )
    for pattern, count in hits.items():
        if not count:
            places = ", ".join(str(p) for p in paths)
            raise BenchError(f"{card.path}: members: nothing named {(prefix + pattern)!r} in {places}")
    return sorted(found)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of ``folder`` if the block succeeds, and vanishes if it does not.

    Raises:
        BenchError: it cannot be written (no space, no permission).
    """
    fresh, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with _writing(folder):
            fresh.mkdir(parents=True)
        yield fresh
        with _writing(folder):
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
