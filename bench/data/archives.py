"""Reading named members straight out of archives: nothing is extracted by its stored path, nothing of an archive is
run.

An archive is a wheel or zip, a tar (``.tar.gz``, ``.tgz``, ``.tar``, ``.tar.bz2``, ``.tar.xz``), a folder, or a single
file (a single ``.gz`` file is its unpacked content). The same files give the same members in whichever form they come:

- Names that leave the folder (``../x``, absolute, with a backslash or a drive) condemn the whole archive.
- Hidden files and what systems leave behind (``__MACOSX/``, ``Thumbs.db``) are no members.
- Links and devices are refused where a card asks for them, or for something below a linked folder.
- Names are UTF-8, in composed form (NFC). A zip that does not mark its names as UTF-8 has them in code page 437, as the
  standard says; a name that could be either is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import struct
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
from bench.data.names import composed, is_clutter, matches, may_hold, plain_path, relative

__all__ = ["Entry", "copy_members", "entries", "replace_folder"]

CHUNK = 1 << 20
MAX_MEMBER_BYTES = 8 << 30
"""No member is unpacked beyond this: a guard against archives that unfold without end."""

_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)


@dataclass(frozen=True)
class Entry:
    """A file inside an archive: its stored name, and how to open it.

    ``plain`` is False for links and devices; ``also`` is what else the bytes of the name may mean.
    """

    name: str
    open: Callable[[], IO[bytes]]
    plain: bool = True
    also: str = ""


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _folder_entries(folder: Path) -> Iterator[Entry]:
    """The visible files below ``folder``, sorted. Links, to files or to folders, are not followed and not plain."""
    found: list[Path] = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_clutter(name)]
        found += [Path(base, name) for name in names]
        found += [Path(base, name) for name in folders if Path(base, name).is_symlink()]
    for path in sorted(found):
        name = path.relative_to(folder).as_posix()
        yield Entry(name, _opener(path), plain=path.is_file() and not path.is_symlink())


def _zip_names(info: zipfile.ZipInfo) -> tuple[str, str]:
    """The name of a member, and what else its bytes may mean."""
    if info.flag_bits & 0x800 or info.orig_filename.isascii():
        return info.orig_filename, ""
    stored, extra = info.orig_filename.encode("cp437"), info.extra
    while len(extra) >= 4:  # Info-ZIP writes the name in UTF-8 into a field of its own
        kind, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == 0x7075 and field[1:5] == struct.pack("<I", zlib.crc32(stored)):
            return field[5:].decode("utf-8", "surrogateescape"), ""
    try:
        return info.orig_filename, stored.decode("utf-8")
    except UnicodeDecodeError:
        return info.orig_filename, ""


def _zip_entries(file: zipfile.ZipFile) -> Iterator[Entry]:
    for info in file.infolist():
        if not info.is_dir():
            if info.flag_bits & 1:
                raise BenchError(
                    f"{file.filename}: {info.filename!r} is encrypted: unpack the archive and name the folder as "
                    "`path:`"
                )
            kind = (info.external_attr >> 16) & 0o170000
            name, also = _zip_names(info)
            yield Entry(name, lambda info=info: file.open(info), kind in (0, 0o100000), also)  # type: ignore[misc]


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


def _asks_for(pattern: str, name: str, entry: Entry) -> bool:
    """Whether a card wants an entry; a link is wanted for what may lie below it, too."""
    return matches(name, pattern) or (not entry.plain and may_hold(name, pattern))


def _refuse(path: Path, entry: Entry) -> None:
    """Refuse an entry whose content or name is not a plain one.

    Raises:
        BenchError: a link, a device, a name that is not UTF-8 or that could be read in two ways.
    """
    if not entry.plain:
        raise BenchError(
            f"{path}: {entry.name!r} is a link or a device, not a file: refused; put what it leads to in its place, or "
            "leave it out of `members`"
        )
    if entry.also:
        raise BenchError(
            f"{path}: the archive does not say whether a member is called {entry.also!r} (UTF-8) or {entry.name!r} "
            "(code page 437): unpack it and name the folder as `path:`"
        )
    try:
        entry.name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(entry.name)
        raise BenchError(f"{path}: the name {shown!r} of a member is not UTF-8: rename it") from None


def copy_members(card: Card, prefix: str, paths: list[Path], folder: Path) -> list[str]:
    """Copy the card's members out of ``paths`` into ``folder``; their names, sorted.

    Args:
        card: says which members, and their digests.
        prefix: folder inside the archive that member names are relative to.
        paths: the files or folders of one source, searched together.
        folder: target; must not hold anything else.

    Raises:
        BenchError: a hostile name, a link, device or ambiguous name asked for, a member twice, missing or with another
            sha256, a broken archive, no space.
    """
    found: dict[str, str] = {}
    hits = dict.fromkeys((m.name for m in card.members), 0)
    for path in paths:
        with entries(path) as items:
            for entry in items:
                if not plain_path(entry.name.removeprefix("./")):
                    raise BenchError(f"{path}: hostile member name {entry.name!r}: the archive is refused")
                name = relative(composed(entry.name.removeprefix("./")), composed(prefix))
                if not name or is_clutter(entry.name.removeprefix("./")):
                    continue
                wanted = [m for m in card.members if _asks_for(composed(m.name), name, entry)]
                if not wanted:
                    continue
                _refuse(path, entry)
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
