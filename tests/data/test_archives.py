"""Archives: named members only, hostile ones refused, nothing half-written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.data import archives
from bench.data.archives import copy_members, replace_folder
from bench.data.cards import Card, Member, Split

FILES = {
    "pkg/data/a.txt": b"alpha",
    "pkg/data/sub/b.txt": b"beta",
    "pkg/data/c.bin": bytes(range(256)),
    "pkg/code.py": b"1 / 0",
}


def card_of(*members: str | Member) -> Card:
    split = Split("position", 0.1, 0.1)
    names = tuple(m if isinstance(m, Member) else Member(m) for m in members)
    return Card(Path("datasets/x.yaml"), "x", "text", "free", "me", split, members=names)


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(content))


def make(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    elif ".t" in path.name:
        with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
            for name, content in files.items():
                add(tar, name, content)
    else:
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def listing(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["a.whl", "a.zip", "a.tar.gz", "a.tgz", "a.tar", "folder"])
def test_members_by_name_and_pattern(tmp_path, out, name):
    source = make(tmp_path / name, FILES)
    assert copy_members(card_of("**/*.txt", "c.bin"), "pkg/data/", [source], out) == ["a.txt", "c.bin", "sub/b.txt"]
    assert listing(out) == ["a.txt", "c.bin", "sub/b.txt"]
    assert (out / "c.bin").read_bytes() == FILES["pkg/data/c.bin"]


def test_single_file_and_single_gz(tmp_path, out):
    (tmp_path / "a.txt").write_bytes(b"plain")
    with gzip.open(tmp_path / "b.txt.gz", "wb") as file:
        file.write(b"packed")
    assert copy_members(card_of("**"), "", [tmp_path / "a.txt", tmp_path / "b.txt.gz"], out) == ["a.txt", "b.txt"]
    assert (out / "b.txt").read_bytes() == b"packed"


def test_hidden_files_of_a_folder_are_left_alone(tmp_path, out):
    source = make(tmp_path / "folder", {"a.txt": b"1", ".git/config": b"2", ".DS_Store": b"3"})
    assert copy_members(card_of("**"), "", [source], out) == ["a.txt"]


@pytest.mark.parametrize("bad", ["../evil.txt", "/evil.txt", "pkg/../../evil.txt", "pkg\\evil.txt", "C:/evil.txt"])
@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_hostile_names_condemn_the_archive(tmp_path, out, name, bad):
    source = make(tmp_path / name, {"a.txt": b"1", bad: b"2"})
    with pytest.raises(BenchError, match="hostile member name"):
        copy_members(card_of("b.txt"), "", [source], out)
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path.parent / "evil.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, out, kind):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        add(tar, "data.txt", kind=kind, link="/etc/passwd")
    with pytest.raises(BenchError, match="is a link or a device"):
        copy_members(card_of("data.txt"), "", [tmp_path / "a.tgz"], out)
    assert listing(out) == []


def test_zip_symlink_is_refused(tmp_path, out):
    info = zipfile.ZipInfo("data.txt")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(BenchError, match="is a link or a device"):
        copy_members(card_of("data.txt"), "", [tmp_path / "a.zip"], out)


def test_link_out_of_the_users_folder_is_refused(tmp_path, out):
    (tmp_path / "secret").write_text("s")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/data.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(BenchError, match="is a link or a device"):
        copy_members(card_of("**"), "", [tmp_path / "folder"], out)


def test_a_member_twice_is_refused(tmp_path, out):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        add(tar, "a.txt", b"1")
        add(tar, "a.txt", b"2")
    with pytest.raises(BenchError, match="is there twice"):
        copy_members(card_of("a.txt"), "", [tmp_path / "a.tgz"], out)


def test_missing_member_is_named(tmp_path, out):
    source = make(tmp_path / "a.zip", FILES)
    with pytest.raises(BenchError, match=r"datasets/x.yaml: members: nothing named 'pkg/data/d\.txt' in .*a\.zip"):
        copy_members(card_of("a.txt", "d.txt"), "pkg/data/", [source], out)


def test_member_digest(tmp_path, out):
    source = make(tmp_path / "a.zip", FILES)
    good = hashlib.sha256(b"alpha").hexdigest()
    assert copy_members(card_of(Member("a.txt", good)), "pkg/data/", [source], out) == ["a.txt"]
    (out / "a.txt").unlink()
    with pytest.raises(BenchError, match=f"member a.txt has sha256 {good}"):
        copy_members(card_of(Member("a.txt", "0" * 64)), "pkg/data/", [source], out)
    assert listing(out) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "b.gz"])
def test_truncated_archives_are_named(tmp_path, out, name):
    path = tmp_path / name
    content = bytes(hashlib.sha256(str(i).encode()).digest()[0] for i in range(50_000))
    if name == "b.gz":
        path.write_bytes(gzip.compress(content))
    else:
        make(path, {"b": content})
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(BenchError, match=r"[ab]\.(zip|tgz|gz).*truncated or broken"):
        copy_members(card_of("b"), "", [path], out)
    assert listing(out) == []


def test_encrypted_zip_is_refused(tmp_path, out):
    source = make(tmp_path / "a.zip", {"a.txt": b"1"})
    content = bytearray(source.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag of the central directory
    source.write_bytes(bytes(content))
    with pytest.raises(BenchError, match="encrypted"):
        copy_members(card_of("a.txt"), "", [source], out)


def test_endless_member_is_refused(tmp_path, out, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1 << 21)
    source = make(tmp_path / "a.tgz", {"a": bytes(1 << 22)})
    with pytest.raises(BenchError, match="unpacks to more than"):
        copy_members(card_of("a"), "", [source], out)
    assert listing(out) == []


def test_disk_full_leaves_the_old_folder_and_nothing_else(tmp_path, monkeypatch):
    source, target = make(tmp_path / "a.zip", FILES), tmp_path / "raw" / "x"
    make(target, {"old.txt": b"old"})
    opened = Path.open

    class Full(io.BytesIO):
        def write(self, _content):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", *a, **k: Full() if mode == "wb" else opened(self, mode, *a, **k)
    )
    with pytest.raises(BenchError, match="No space left on device"), replace_folder(target) as fresh:
        copy_members(card_of("a.txt"), "pkg/data/", [source], fresh)
    assert listing(tmp_path / "raw") == ["x/old.txt"]


def test_replace_folder_swaps_whole_folders(tmp_path):
    target = make(tmp_path / "x", {"old.txt": b"old"})
    with replace_folder(target) as fresh:
        (fresh / "new.txt").write_text("new")
        assert listing(target) == ["old.txt"]
    assert listing(tmp_path) == ["x/new.txt"]
    with pytest.raises(IsADirectoryError), replace_folder(target) as fresh:
        fresh.write_text("fails in the middle of the work")
    assert listing(tmp_path) == ["x/new.txt"]


CLUTTER = {"__MACOSX/pkg/._a.txt": b"\0", "pkg/.DS_Store": b"1", "pkg/Thumbs.db": b"2", "pkg/.git/config": b"3"}


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar", "folder"])
@pytest.mark.parametrize("clutter", [dict([item]) for item in CLUTTER.items()] + [CLUTTER])
def test_what_systems_leave_behind_is_no_member(tmp_path, out, name, clutter):
    source = make(tmp_path / name, {"pkg/a.txt": b"1", **clutter})
    assert copy_members(card_of("**"), "", [source], out) == ["pkg/a.txt"]


@pytest.mark.parametrize("pattern", ["**", "my/**", "my/*/*.txt", "my/dog/0.txt"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_linked_class_folder_is_refused_by_name(tmp_path, out, pattern, inside):
    files = {"my/cat/0.txt": b"1", "my/bird/0.txt": b"2"}
    source = make(tmp_path / "folder", files)
    elsewhere = make(tmp_path / "elsewhere", {"0.txt": b"3"})
    (source / "my/dog").symlink_to(source / "my/cat" if inside else elsewhere)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as tar:
        for name, content in files.items():
            add(tar, name, content)
        add(tar, "my/dog", kind=tarfile.SYMTYPE, link="cat")
    for path in (source, tmp_path / "a.tgz"):
        with pytest.raises(BenchError, match="'my/dog' is a link or a device"):
            copy_members(card_of(pattern), "", [path], out)
        assert copy_members(card_of("my/cat/*"), "", [path], out) == ["my/cat/0.txt"]  # nothing linked is asked for


def test_a_link_inside_the_users_folder_is_refused_as_in_an_archive(tmp_path, out):
    source = make(tmp_path / "folder", {"a.txt": b"1"})
    (source / "b.txt").symlink_to(source / "a.txt")
    with pytest.raises(BenchError, match=r"'b.txt' is a link"):
        copy_members(card_of("*.txt"), "", [source], out)


def named(path: Path, stored: bytes, *, utf8: bool = False, extra: bytes = b"") -> Path:
    """A zip with one member whose name has these bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("n" * len(stored))
        info.extra = extra
        archive.writestr(info, b"1")
    content = path.read_bytes().replace(b"n" * len(stored), stored)
    if utf8:
        content = content.replace(b"PK\x03\x04\x14\0\0\0", b"PK\x03\x04\x14\0\0\x08")
        at = content.index(b"PK\x01\x02") + 8
        content = content[:at] + b"\0\x08" + content[at + 2 :]
    path.write_bytes(content)
    return path


def test_names_of_a_zip(tmp_path, out):
    assert copy_members(card_of("**"), "", [named(tmp_path / "1.zip", "Zürich.txt".encode(), utf8=True)], out) == [
        "Zürich.txt"
    ]
    assert copy_members(card_of("**"), "", [named(tmp_path / "2.zip", "Köln.txt".encode("cp437"))], out) == ["Köln.txt"]
    with pytest.raises(BenchError, match=r"called 'Genève.txt' \(UTF-8\) or 'Gen├¿ve.txt' \(code page 437\)"):
        copy_members(card_of("**"), "", [named(tmp_path / "3.zip", "Genève.txt".encode())], out)
    stored = "Århus.txt".encode()
    field = b"\x01" + struct.pack("<I", zlib.crc32(stored)) + stored
    path = named(tmp_path / "4.zip", stored, extra=struct.pack("<HH", 0x7075, len(field)) + field)
    assert copy_members(card_of("**"), "", [path], out) == ["Århus.txt"]


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "folder"])
def test_accents_are_composed_in_every_form(tmp_path, out, name):
    apart = unicodedata.normalize("NFD", "Zürich/é.txt")
    source = make(tmp_path / name, {apart: b"1"})
    assert copy_members(card_of("Zürich/*.txt"), "", [source], out) == [unicodedata.normalize("NFC", apart)]


def test_a_name_that_is_not_utf8_is_refused(tmp_path, out):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "caf\udce9.txt")
    with pytest.raises(BenchError, match=r"the name b'caf.xe9.txt' of a member is not UTF-8"):
        copy_members(card_of("**"), "", [tmp_path / "a.tar"], out)
