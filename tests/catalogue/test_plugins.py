"""What an installed package adds to the tables, and how its code gets into the plans."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.catalogue.metrics import CATALOGUE, metric_info
from bench.catalogue.plugins import plugins
from bench.pipeline.fingerprint import fingerprint, forget
from bench.registry import systems, target_of
from bench.scoring import resolve_scorer, scorers

ROOT = Path(__file__).parents[2]
SOURCE = {
    "__init__.py": "",
    "system.py": "from .parts.counts import COUNTS\nfrom . import tables\nimport numpy\n",
    "tables.py": "from plugged import far\n",
    "far.py": "",
    "parts/__init__.py": "",
    "parts/counts.py": "from ..near import A\nCOUNTS = {}\n",
    "near.py": "A = 1\n",
    "unused.py": "",
    "metrics.py": (
        "from bench.catalogue.metrics import MetricInfo\n"
        'SPREAD = MetricInfo("spread", "Spread", True, "letters", "How far letters lie apart")\n'
    ),
    "scorer.py": "def spread(subject, options): ...\n",
}

Install = Callable[[str, Mapping[str, str]], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes an installed package of SOURCE with entry points ``{"systems:name": "module:object"}``."""

    def make(name: str, points: Mapping[str, str]) -> Path:
        site = tmp_path / name
        for file, text in SOURCE.items():
            (site / "plugged" / file).parent.mkdir(parents=True, exist_ok=True)
            (site / "plugged" / file).write_text(text)
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[words_and_pixels.{key.split(':')[0]}]\n{key.split(':')[1]} = {to}\n" for key, to in points.items()]
        (info / "entry_points.txt").write_text("".join(lines))
        monkeypatch.syspath_prepend(site)
        plugins.cache_clear()
        forget()
        return site / "plugged"

    yield make
    plugins.cache_clear()
    forget()
    for name in [name for name in sys.modules if name.split(".")[0] == "plugged"]:
        del sys.modules[name]
    CATALOGUE._known.pop("spread", None)  # type: ignore[attr-defined]


def test_its_entries_stand_in_the_tables(install: Install) -> None:
    install("one", {"systems:letters": "plugged.system:Letters", "metrics:spread": "plugged.metrics:SPREAD"})
    assert target_of("letters") == "plugged.system:Letters"
    assert "spread" in list(CATALOGUE)
    assert "plugged.metrics" not in sys.modules, "nothing is imported before it is asked for"
    assert (metric_info("spread").arrow, metric_info("spread").unit) == ("↑", "letters")
    assert len(CATALOGUE) == len(list(CATALOGUE))


def test_without_it_there_are_none() -> None:
    assert "letters" not in systems()
    assert CATALOGUE.get("spread") is None
    with pytest.raises(BenchError, match="unknown metric 'spread'"):
        metric_info("spread")


def test_a_name_that_is_taken_is_refused(install: Install) -> None:
    install("one", {"systems:ngram": "plugged.system:Letters", "metrics:fid": "plugged.metrics:SPREAD"})
    with pytest.raises(BenchError, match=r"'ngram' \(plugged.system:Letters\).*taken by bench.families.words.ngram"):
        systems()
    with pytest.raises(BenchError, match="'fid'"):
        list(CATALOGUE)


def test_two_packages_with_one_name_are_refused(install: Install) -> None:
    install("one", {"scorers:spread": "plugged.scorer:spread"})
    install("other", {"scorers:spread": "plugged.scorer:another"})
    with pytest.raises(BenchError, match="two installed packages add 'spread' to the scorers"):
        scorers()


def test_what_is_no_scorer_or_metric_is_refused(install: Install) -> None:
    install("one", {"scorers:spread": "plugged.scorer:spread", "metrics:spread": "plugged.scorer:spread"})
    with pytest.raises(BenchError, match=r"lacks the decorator bench\.scoring\.scorer"):
        resolve_scorer("spread")
    with pytest.raises(BenchError, match="is no MetricInfo of this name"):
        metric_info("spread")


def test_the_closure_goes_on_inside_the_package(install: Install, tmp_path: Path) -> None:
    package = install("one", {"systems:letters": "plugged.system:Letters"})
    entry = package / "system.py"
    before = fingerprint(ROOT, [entry])
    names = {"__init__", "system", "tables", "far", "parts/__init__", "parts/counts", "near"}
    assert set(before["files"]) == {f"plugged/{name}.py" for name in names}, "wherever it is installed"
    (package / "near.py").write_text("A = 2\n")
    forget()
    after = fingerprint(ROOT, [entry])
    assert {name for name in before["files"] if before["files"][name] != after["files"][name]} == {"plugged/near.py"}
    moved = tmp_path / "elsewhere"
    shutil.copytree(package.parent, moved)
    assert fingerprint(ROOT, [moved / "plugged" / "system.py"])["files"].keys() == before["files"].keys()
