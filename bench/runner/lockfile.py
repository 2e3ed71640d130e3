"""The lock file, whole or not at all; and the mending of one that another program left cut off.

DVC rewrites ``dvc.lock`` in place after each stage. A process that is killed meanwhile leaves a prefix of the file,
which DVC either refuses to read or, worse, accepts with a wrong last stage. Here the file is written beside its place,
synced and renamed, with a copy in ``.dvc/tmp``.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

__all__ = ["LockText", "mend", "problem", "save", "write_whole"]

_KEY = re.compile(r"  (\S.*):\n")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_KEPT = Path(".dvc", "tmp", "bench")
"""Where the copy of the last good lock file and the last broken one lie."""


def write_whole(path: Path, text: str) -> None:
    """Write a file so that, whatever happens, its old or its new content is there after a restart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def save(root: Path, path: Path, text: str) -> None:
    """Write a lock file and the copy that :func:`mend` takes when the file is found broken."""
    write_whole(path, text)
    write_whole(_copy_of(root, path), text)


def _copy_of(root: Path, path: Path) -> Path:
    return root / _KEPT / path.relative_to(root)


class LockText:
    """A lock file as one piece of text for each stage, so that writing costs what changed and not what is there.

    The bytes are those that DVC writes: its dumper makes each piece.

    Args:
        text: the file's content, empty if there is none.
        dump: DVC's own YAML dumper.
    """

    def __init__(self, text: str, dump: Callable[[dict[str, Any]], str]) -> None:
        self._dump = dump
        self._entries: dict[str, str] = {}
        self._head, self._tail = "schema: '2.0'\n", ""
        if text:
            data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            names = list(data.get("stages") or {})
            if not self._split(text) or list(self._entries) != names:  # edited by hand: first in DVC's layout
                self._head, self._entries, self._tail = (
                    dump({key: value for key, value in data.items() if key != "stages"}),
                    {},
                    "",
                )
                for name in names:
                    self.update(name, data["stages"][name])

    def _split(self, text: str) -> bool:
        """Cut a text into head, stages and tail; False if it is not laid out as DVC does it."""
        lines = text.splitlines(keepends=True)
        if "stages:\n" not in lines:
            self._head, self._entries, self._tail = text, {}, ""
            return "\nstages:" not in text
        first = lines.index("stages:\n") + 1
        last = next((i for i in range(first, len(lines)) if not lines[i].startswith(" ")), len(lines))
        self._head, self._tail = "".join(lines[: first - 1]), "".join(lines[last:])
        self._entries = {}
        name = None
        for line in lines[first:last]:
            if match := _KEY.fullmatch(line):
                name = str(yaml.safe_load(match[1]))
                self._entries[name] = ""
            elif name is None:
                return False
            self._entries[name] += line
        return True

    def update(self, name: str, entry: Mapping[str, Any]) -> None:
        """Put a stage's entry in."""
        self._entries[name] = self._dump({"stages": {name: entry}}).removeprefix("stages:\n")

    def text(self, order: Iterable[str]) -> str:
        """The whole file, its stages in ``order``, those that the pipeline no longer has behind them."""
        names = [name for name in order if name in self._entries]
        known = set(names)
        names += [name for name in self._entries if name not in known]
        stages = "".join(self._entries[name] for name in names)
        return self._head + ("stages:\n" + stages if stages else "stages: {}\n") + self._tail


def problem(text: str) -> str:
    """What is wrong with the content of a lock file; empty if nothing is.

    A file that was cut at the end of a line can still be YAML: therefore every hash and every size must be there too.
    """
    if not text.endswith("\n"):
        return "its last line is cut off" if text else "it is empty"
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        return f"it is not YAML ({str(error).splitlines()[0]})"
    stages = data.get("stages") if isinstance(data, dict) else None
    if not isinstance(stages, dict) or data.get("schema") != "2.0":
        return "it lacks its head or its stages"
    for name, entry in stages.items():
        if not isinstance(entry, dict) or not entry.get("cmd"):
            return f"the entry of {name} has no command"
        for part in ("deps", "outs", "params"):
            if part in entry and not entry[part]:
                return f"the entry of {name} is cut off in its {part}"
        items = [item for part in ("deps", "outs") for item in entry.get(part, [])]
        if not all(isinstance(item, dict) and _whole(item) for item in items):
            return f"the entry of {name} lacks a hash or a size"
    return ""


def _whole(item: dict[str, Any]) -> bool:
    """Whether a dependency or an output has all that DVC writes for it."""
    if item.get("hash") != "md5":
        return len(item) > 1  # of another kind (a URL, an old hash): more than its path must be there
    if "files" in item:
        return bool(item["files"])
    match = _MD5.fullmatch(str(item.get("md5", "")))
    return bool(match) and "size" in item and (not match or not match[1] or "nfiles" in item)


def mend(root: Path) -> list[str]:
    """Put a broken ``dvc.lock`` and a broken ``.dvc/tmp/rwlock`` right; a sentence for each that was.

    The lock file comes from the runner's last copy, else from git, else it goes: DVC's run cache gives the results
    back. Nothing is touched while another DVC process holds the repository.
    """
    with _idle(root) as idle:
        return [said for said in (_mend_lock(root), _mend_rwlock(root)) if said] if idle else []


@contextmanager
def _idle(root: Path) -> Iterator[bool]:
    """Hold DVC's lock of the repository, without waiting; False if somebody else does."""
    path = root / ".dvc" / "tmp" / "lock"
    if not (root / ".dvc").is_dir():
        yield False
        return
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _mend_lock(root: Path) -> str:
    path = root / "dvc.lock"
    if not path.is_file():
        return ""
    content = path.read_bytes()
    wrong = problem(content.decode("utf-8", errors="replace"))
    if not wrong:
        return ""
    broken = root / _KEPT / "dvc.lock.broken"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(content)
    copy = _copy_of(root, path)
    candidates = {
        "the copy of the last run": copy.read_text(encoding="utf-8") if copy.is_file() else "",
        "git": _from_git(root),
    }
    kept = f"the broken one is kept as {broken.relative_to(root)}"
    for source, text in candidates.items():
        if not problem(text):
            write_whole(path, text)
            return f"dvc.lock was broken ({wrong}): restored from {source}; the run cache gives the rest back; {kept}"
    path.unlink()
    return f"dvc.lock was broken ({wrong}) and there was no copy: removed; the run cache gives the results back; {kept}"


def _from_git(root: Path) -> str:
    try:
        done = subprocess.run(["git", "show", "HEAD:./dvc.lock"], cwd=root, capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", errors="replace")


def _mend_rwlock(root: Path) -> str:
    path = root / ".dvc" / "tmp" / "rwlock"
    for _ in range(3):  # a process that runs a stage writes it without holding the repository: look again
        if not path.is_file():
            return ""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and all(isinstance(value, dict) for value in data.values()):
                return ""
        except ValueError:
            pass
        time.sleep(0.1)
    path.unlink(missing_ok=True)
    return ".dvc/tmp/rwlock was broken: removed; it holds nothing but who is at work now"
