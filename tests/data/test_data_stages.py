"""The scripts `fetch` and `prepare`: a project from a loopback server to prepared data, and one clear message for each
fault."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from bench.data.datasets import load_meta, load_text

ROOT = Path(__file__).parents[2]
TEXT = "".join(f"Line {i} of the served text.\n" for i in range(500))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/songs.txt").write_text(TEXT, newline="")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "served"))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/songs.txt"
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path, address: str) -> Path:
    root = tmp_path / "project"
    (root / "datasets").mkdir(parents=True)
    card = {
        "name": "songs",
        "kind": "text",
        "licence": "free",
        "attribution": "me",
        "sources": [{"url": address, "sha256": hashlib.sha256(TEXT.encode()).hexdigest()}],
        "split": {"rule": "position", "validation": 0.1, "test": 0.1},
    }
    (root / "datasets/songs.yaml").write_text(yaml.safe_dump(card))
    (root / "params.yaml").write_text("profile: cpu\nseed: 0\ndatasets:\n  songs: {card: datasets/songs.yaml}\n")
    return root


@pytest.fixture
def stage(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(name: str, dataset: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "stages" / f"{name}.py"), dataset]
        return subprocess.run(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_from_a_server_to_prepared_data_and_offline_again(project, stage, tmp_path):
    assert stage("fetch", "songs").returncode == 0
    (tmp_path / "served/songs.txt").unlink()
    again = stage("fetch", "songs")
    assert (again.returncode, again.stdout) == (0, "fetch songs: 1 files\n")
    done = stage("prepare", "songs")
    assert done.returncode == 0, done.stderr
    assert "".join(load_text(project / "data/prepared/songs").values()) == TEXT
    assert load_meta(project / "data/prepared/songs")["splits"].keys() == {"train", "validation", "test"}


def test_faults_are_one_message_and_status_1(project, stage, tmp_path):
    def fails(name: str, dataset: str) -> str:
        done = stage(name, dataset)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "no dataset 'song'. Did you mean 'songs'?" in fails("fetch", "song")
    assert "run `python stages/fetch.py songs` first" in fails("prepare", "songs")
    (tmp_path / "served/songs.txt").write_text("changed")
    message = fails("fetch", "songs")
    assert "songs.txt has sha256" in message
    assert "refused" in message
    assert not (project / "data/raw/songs").exists()
    card = project / "datasets/songs.yaml"
    card.write_text(card.read_text().replace("licence", "license"))
    assert "datasets/songs.yaml: unknown key 'license'. Did you mean 'licence'?" in fails("fetch", "songs")
