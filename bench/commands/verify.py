"""``bench verify``: is what lies on the disk what ``dvc.lock`` says?

DVC trusts the modification time: a flipped bit that keeps it is served as good, by ``repro``, ``status`` and
``checkout`` alike. Here every byte is hashed again. Found are

- *corrupt*: an output (or an object of the cache) whose bytes are not those that the stage wrote;
- *missing*: an output that is gone;
- *stale*: a stage whose dependencies or parameters changed since it ran, or that never ran;

each with the command that mends it. A database that is declared ``persist`` and not cached (the MLflow store) lives on
after its stage: only its being there is checked.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.base.files import hash_file
from bench.base.progress import Progress
from bench.base.yaml_reader import read_yaml

__all__ = ["Finding", "cache_folder", "md5_of", "run", "verify"]


@dataclass(frozen=True)
class Finding:
    """Something wrong: what, where, whose, and what to do."""

    state: str
    path: str
    stage: str
    what: str
    remedy: str


def md5_of(path: Path) -> str:
    """DVC's hash of a file, or of a folder: md5 of the JSON list of its files, with ``.dir`` behind."""
    if not path.is_dir():
        return hash_file(path, "md5")
    return _tree_hash({file.relative_to(path).as_posix(): hash_file(file, "md5") for file in _files(path)})


def _files(folder: Path) -> list[Path]:
    """Every file under a folder, without those of ``__pycache__``."""
    found = []
    for base, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [Path(base) / name for name in names]
    return sorted(found)


def _tree_hash(hashes: Mapping[str, str]) -> str:
    entries = [{"md5": hashes[name], "relpath": name} for name in sorted(hashes)]  # by text: `a-b/c` before `a/c`
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def cache_folder(root: Path) -> Path:
    """DVC's cache of md5 objects: ``cache.dir`` of .dvc/config.local or .dvc/config, else .dvc/cache."""
    for name in ("config.local", "config"):
        path = root / ".dvc" / name
        parser = configparser.ConfigParser(interpolation=None)
        if path.is_file():
            parser.read(path, encoding="utf-8")
            for section in parser.sections():
                if section.strip("'\"") == "cache" and parser.has_option(section, "dir"):
                    return (path.parent / parser.get(section, "dir")).resolve() / "files" / "md5"
    return root / ".dvc" / "cache" / "files" / "md5"


class _Checker:
    """Hashes of files, each computed once, several at a time."""

    def __init__(self, root: Path, pipeline: _Pipeline, quiet: bool) -> None:
        self.root, self.cache, self.pipeline, self.quiet = root, cache_folder(root), pipeline, quiet
        self.hashes: dict[Path, str] = {}
        self._listed: dict[Path, list[Path]] = {}

    def files(self, folder: Path) -> list[Path]:
        """What DVC sees of a folder."""
        if folder not in self._listed:
            self._listed[folder] = [path for path in _files(folder) if not self.pipeline.hidden(path)]
        return self._listed[folder]

    def hash_all(self, paths: Iterable[Path], label: str) -> None:
        """Fill :attr:`hashes` for every file at or under ``paths``."""
        files = {
            file for path in paths for file in (self.files(path) if path.is_dir() else [path] if path.is_file() else [])
        }
        todo = sorted(files - set(self.hashes))
        with (
            Progress(label, len(todo), "files", quiet=self.quiet) as progress,
            ThreadPoolExecutor(os.cpu_count() or 1) as pool,
        ):
            for path, digest in zip(todo, pool.map(lambda file: hash_file(file, "md5"), todo), strict=True):
                self.hashes[path] = digest
                progress.update()

    def tree(self, folder: Path) -> dict[str, str]:
        """Relative path -> md5 of a hashed folder."""
        return {
            file.relative_to(folder).as_posix(): self.hashes[file] for file in self.files(folder) if file in self.hashes
        }

    def hash_of(self, path: Path) -> str:
        """DVC's hash, from :attr:`hashes`."""
        return _tree_hash(self.tree(path)) if path.is_dir() else self.hashes[path]

    def object_path(self, digest: str) -> Path:
        """Where the cache keeps the bytes of a hash."""
        return self.cache / digest[:2] / digest[2:]

    def object_state(self, digest: str) -> str:
        """``"good"``, ``"corrupt"`` or ``"missing"``; for a folder the worst of its files'."""
        path = self.object_path(digest)
        if not path.is_file():
            return "missing"
        if hash_file(path, "md5") != digest.removesuffix(".dir"):
            return "corrupt"
        if digest.endswith(".dir"):
            states = {self.object_state(entry["md5"]) for entry in json.loads(path.read_bytes())}
            return "corrupt" if "corrupt" in states else "missing" if "missing" in states else "good"
        return "good"

    def differing(self, path: Path, digest: str) -> list[str]:
        """The files of a corrupt folder that differ, where the cache still has its list."""
        listing = self.object_path(digest)
        if not path.is_dir() or not listing.is_file() or hash_file(listing, "md5") != digest.removesuffix(".dir"):
            return []
        expected = {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
        actual = self.tree(path)
        return sorted(name for name in {*expected, *actual} if expected.get(name) != actual.get(name))


def _read_yaml(path: Path) -> dict[str, Any]:
    loaded = read_yaml(path)
    return loaded if isinstance(loaded, dict) else {}


@dataclass(frozen=True)
class _Pipeline:
    """dvc.yaml as params.yaml fills it in: outputs by stage, databases among them, which files .dvcignore hides."""

    stages: Mapping[str, list[str]]
    living: frozenset[str] = frozenset()
    hidden: Callable[[Path], bool] = lambda path: "__pycache__" in path.parts


@contextmanager
def _pipeline(root: Path, lock: Mapping[str, Any]) -> Iterator[_Pipeline]:
    """From DVC itself, or from dvc.lock alone where DVC is not installed."""
    try:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    except ImportError:
        yield _Pipeline({name: [] for name in lock})
        return
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    try:
        repo = Repo(str(root))
        main = [stage for stage in repo.index.stages if Path(stage.path).resolve() == (root / "dvc.yaml").resolve()]
        found = [(str(stage.name), list(stage.outs)) for stage in main]
    except DvcException as error:
        raise BenchError(f"dvc cannot read the pipeline: {error}") from error
    with repo:
        outs = {name: [str(out.def_path) for out in group] for name, group in found}
        living = frozenset(
            str(out.def_path)
            for _, group in found
            for out in group
            if out.persist and not out.use_cache and str(out.def_path).endswith(".db")
        )
        yield _Pipeline(outs, living, lambda path: bool(repo.dvcignore.is_ignored_file(str(path))))


def _lookup(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _mend(checker: _Checker, path: str, digest: str, stage: str) -> str:
    """How to get an output back: from the cache if its object is good, else by running the stage again."""
    state = checker.object_state(digest)
    if state == "good":
        return f"rm -r {path} && dvc checkout {path}"
    if state == "corrupt":
        return f"bench verify --cache, delete what it names, then rm -rf {path} && dvc repro -f -s {stage}"
    return f"dvc repro -f -s {stage}"


def verify(root: Path, *, cache: bool = False, quiet: bool = True) -> list[Finding]:
    """Everything that is wrong.

    Args:
        root: the checkout.
        cache: hash every object of DVC's cache as well.
        quiet: no progress.

    Raises:
        BenchError: no dvc.lock, or it cannot be read.
    """
    path = root / "dvc.lock"
    if not path.is_file():
        raise BenchError(f"no {path}: nothing has been run here yet; run `dvc repro` first")
    lock: dict[str, Any] = _read_yaml(path).get("stages") or {}
    with _pipeline(root, lock) as pipeline:
        checker = _Checker(root, pipeline, quiet)
        findings = [
            Finding("stale", ", ".join(outs), name, "never run", f"dvc repro {name}")
            for name, outs in pipeline.stages.items()
            if name not in lock
        ]
        current = {name: entry for name, entry in lock.items() if name in pipeline.stages}
        entries = [item for stage in current.values() for key in ("deps", "outs") for item in stage.get(key) or ()]
        checker.hash_all({root / item["path"] for item in entries if item["path"] not in pipeline.living}, "verify")
        for name, stage in current.items():
            findings += _check_outs(checker, name, stage)
        wrong = {finding.path for finding in findings if finding.state != "stale"}
        for name, stage in current.items():
            findings += _check_inputs(checker, name, stage, wrong)
        if cache:
            findings += _check_cache(checker)
    return findings


def _check_outs(checker: _Checker, name: str, stage: Mapping[str, Any]) -> list[Finding]:
    found, living = [], checker.pipeline.living
    for out in stage.get("outs") or ():
        path, digest = str(out["path"]), str(out.get("md5", ""))
        here = checker.root / path
        if not here.exists():
            good = path not in living and checker.object_state(digest) == "good"
            found.append(
                Finding(
                    "missing", path, name, "output is gone", f"dvc checkout {path}" if good else f"dvc repro {name}"
                )
            )
        elif path not in living and checker.hash_of(here) != digest:
            files = checker.differing(here, digest)
            what = f"bytes differ from dvc.lock in {', '.join(files[:5])}" if files else "bytes differ from dvc.lock"
            found.append(Finding("corrupt", path, name, what, _mend(checker, path, digest, name)))
    return found


def _check_inputs(checker: _Checker, name: str, stage: Mapping[str, Any], wrong: set[str]) -> list[Finding]:
    reasons = []
    for dep in stage.get("deps") or ():
        path = str(dep["path"])
        here = checker.root / path
        inside = {item for item in wrong if item == path or item.startswith(f"{path}/") or path.startswith(f"{item}/")}
        if inside:
            continue  # the output itself is named already
        if not here.exists():
            reasons.append(f"{path} is gone")
        elif checker.hash_of(here) != dep.get("md5"):
            reasons.append(f"{path} changed")
    for file, values in (stage.get("params") or {}).items():
        document = _read_yaml(checker.root / file) if (checker.root / file).is_file() else {}
        reasons += [f"{file}: {key} changed" for key, value in values.items() if _lookup(document, key) != value]
    outs = ", ".join(str(out["path"]) for out in stage.get("outs") or ())
    return [Finding("stale", outs, name, "; ".join(reasons), f"dvc repro {name}")] if reasons else []


def _check_cache(checker: _Checker) -> list[Finding]:
    objects = [path for path in _files(checker.cache) if len(path.parent.name) == 2 and len(path.stem) == 30]
    checker.hash_all(objects, "cache")
    remedy = "rm -f {}, then dvc repro (it is made again, or restored by dvc pull)"
    return [
        Finding("corrupt", str(path), "(cache)", "bytes differ from the object's name", remedy.format(path))
        for path in objects
        if checker.hashes[path] != path.parent.name + path.stem
    ]


def run(root: Path, cache: bool, as_json: bool, quiet: bool) -> int:
    """Print the findings; exit status 1 if there are any."""
    from bench.commands.printing import print_json, print_table

    findings = verify(root, cache=cache, quiet=quiet)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    elif findings:
        print_table(
            ["state", "path", "stage", "what", "remedy"], [asdict(finding) for finding in findings], fold="path"
        )
    else:
        print("every output is what dvc.lock says" + (", and so is the cache" if cache else ""))
    return 1 if findings else 0
