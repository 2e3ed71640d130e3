"""Readers of the kinds of file."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.base.texts import read_text
from bench.data.readers import read_captions, read_idx, read_picture, read_pictures, read_rows


def idx(array: np.ndarray, code: int) -> bytes:
    return (
        bytes([0, 0, code, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.mark.parametrize(("kind", "code"), [("u1", 8), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)])
def test_idx(tmp_path, kind, code):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    (tmp_path / "a").write_bytes(idx(array, code))
    assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an IDX file"),
        (b"\1\0\x08\1", "not an IDX"),
        (b"\0\0\x08\3\0\0", "not an IDX"),
        (idx(np.zeros(9, "u1"), 8)[:-1], "8 bytes of data"),
    ],
)
def test_broken_idx(tmp_path, content, said):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BenchError, match=said):
        read_idx(tmp_path / "a")


def test_rows(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)
    Image.fromarray(pictures.reshape(5, 12, 3)).save(tmp_path / "a.png")
    assert np.array_equal(read_rows(tmp_path / "a.png", (4, 3), 3), pictures)
    with pytest.raises(BenchError, match="rows of 12 pixels, but size is 4 x 4"):
        read_rows(tmp_path / "a.png", (4, 4), 3)


def gallery(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(np.full((8, 8), 100, np.uint8)).save(folder / "grey.png")
    Image.fromarray(np.full((8, 8, 3), (10, 20, 30), np.uint8)).save(folder / "sub/colour.PNG")
    layer = np.zeros((8, 8, 4), np.uint8)
    layer[..., 3] = np.repeat([0, 255], 4)
    Image.fromarray(layer).save(folder / "transparent.png")
    return folder


def test_pictures_as_they_are(tmp_path):
    found = read_pictures(gallery(tmp_path / "g"), None, None)
    assert found.names == ["grey.png", "sub/colour.PNG", "transparent.png"]
    assert [image.shape for image in found.images] == [(8, 8, 1), (8, 8, 3), (8, 8, 3)]
    assert np.array_equal(np.unique(found.images[2][:, :4]), [255])  # see-through lies over white
    assert np.array_equal(np.unique(found.images[2][:, 4:]), [0])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_pictures_are_scaled(tmp_path, suffix):
    """Pillow by itself cuts 16-bit values off at 255."""
    deep = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    (image,) = read_pictures(tmp_path, None, None).images
    assert np.array_equal(image[:, :, 0], np.rint(deep / 257))
    assert np.array_equal(read_picture(tmp_path / f"deep.{suffix}"), image[:, :, 0])


def test_float_pictures_are_scaled_or_refused(tmp_path):
    Image.fromarray(np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)).save(tmp_path / "unit.tif")
    assert np.array_equal(read_picture(tmp_path / "unit.tif").ravel(), np.rint(np.linspace(0, 255, 16)))
    Image.fromarray(np.linspace(-1, 3, 16, dtype=np.float32).reshape(4, 4)).save(tmp_path / "odd.tif")
    with pytest.raises(
        BenchError, match=r"odd.tif: not a readable picture \(values from -1 to 3, mode F: rescale them"
    ):
        read_picture(tmp_path / "odd.tif")


def test_one_picture_keeps_its_kind(tmp_path):
    folder = gallery(tmp_path / "g")
    assert read_picture(folder / "grey.png").shape == (8, 8)
    see_through = read_picture(folder / "transparent.png")
    assert see_through.shape == (8, 8, 3)
    assert np.array_equal(see_through[0, :, 0], np.repeat([255, 0], 4))
    Image.fromarray(np.dstack([np.full((4, 4), 10), np.full((4, 4), 0)]).astype(np.uint8)).save(folder / "veil.png")
    assert np.array_equal(read_picture(folder / "veil.png"), np.full((4, 4), 255))
    with pytest.raises(BenchError, match=r"gone.png: not a readable picture"):
        read_picture(folder / "gone.png")


def test_pictures_to_one_size(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200  # the middle third
    (tmp_path / "g").mkdir()
    Image.fromarray(wide).save(tmp_path / "g/wide.png")
    (image,) = read_pictures(tmp_path / "g", (5, 5), 1).images
    assert image.shape == (5, 5, 1)
    assert np.array_equal(np.unique(image), [200])
    (larger,) = read_pictures(tmp_path / "g", (20, 60), 3).images
    assert larger.shape == (20, 60, 3)
    assert larger[10, 30, 0] == 200
    assert larger[10, 5, 0] == 0


def break_some(folder: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "grey.png").read_bytes()[:40])
    (folder / "sub/empty.jpg").write_bytes(b"")
    (folder / "text.gif").write_text("not a picture")


def test_broken_pictures_are_each_named(tmp_path):
    folder = gallery(tmp_path / "g")
    break_some(folder)
    with pytest.raises(BenchError) as error:
        read_pictures(folder, None, None, "refuse")
    for said in ("3 of 6 pictures cannot be read", "broken.png", "sub/empty.jpg", "text.gif", "on_broken: skip"):
        assert said in str(error.value)
    found = read_pictures(folder, None, None, "skip")
    assert len(found.names) == 3
    assert [b.split(": ")[0] for b in found.broken] == [
        str(folder / n) for n in ("broken.png", "sub/empty.jpg", "text.gif")
    ]


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(BenchError, match="not one readable picture"):
        read_pictures(tmp_path, None, None, "skip")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.data.picture_files.MAX_PIXELS", 63)
    gallery(tmp_path / "g")
    with pytest.raises(BenchError, match=r"grey\.png: not a readable picture \(8x8 pixels are more than 63"):
        read_pictures(tmp_path / "g", None, None)


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        (b"one\r\ntwo\rthree\n", "utf-8", "one\ntwo\nthree\n"),
        ("\ufeffnaïve".encode(), "utf-8", "naïve"),
        ("naïve".encode("latin-1"), "latin-1", "naïve"),
        (b"end\n\x1a", "utf-8", "end\n"),
    ],
)
def test_text(tmp_path, content, encoding, text):
    (tmp_path / "a.txt").write_bytes(content)
    assert read_text(tmp_path / "a.txt", encoding) == text


def test_undecodable_bytes_are_located(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\nna\xefve\n")
    with pytest.raises(BenchError, match=r"a\.txt: line 3: byte 0xef at offset 10 is not utf-8; .*encoding: cp1252"):
        read_text(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    with pytest.raises(BenchError, match="NUL characters at offset 1"):
        read_text(tmp_path / "a.txt")


NAMES = ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.tsv", "file\tcaption\nb.png\ta dog\na.png\ta cat, sitting\na.png\tthe  cat\n"),
        ("c.csv", 'file,caption\nb.png,a dog\na.png,"a cat, sitting"\na.png,the  cat\n'),
        (
            "c.jsonl",
            '{"file": "b.png", "caption": "a dog"}\n{"file": "a.png", "caption": "a cat, '
            'sitting"}\n\n{"file":"a.png","caption":"the cat"}',
        ),
    ],
)
def test_captions(tmp_path, name, content):
    gallery(tmp_path / "g")
    for picture in NAMES:
        (tmp_path / "g" / picture).write_bytes(b"")
    (tmp_path / "g" / name).write_text(content)
    pairs = [("a.png", "a cat, sitting"), ("a.png", "the cat"), ("b.png", "a dog")]
    assert read_captions(tmp_path / "g", name, NAMES) == pairs


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x0c"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.tsv", "file\tcaption\na.png\ta{0}cat\nb.png\tb\n"),
        ("c.csv", "file,caption\r\na.png,a{0}cat\r\nb.png,b\r\n"),
        ("c.jsonl", '{{"file": "a.png", "caption": "a{0}cat"}}\n{{"file": "b.png", "caption": "b"}}\n'),
        ("sidecar", "a{0}cat"),
    ],
)
def test_only_line_ends_end_a_row_of_captions(tmp_path, name, content, odd):
    for picture in NAMES:
        (tmp_path / picture).write_bytes(b"")
    (tmp_path / "b.txt").write_text("b")
    path = tmp_path / ("a.txt" if name == "sidecar" else name)
    escaped = json.dumps(odd)[1:-1] if name == "c.jsonl" and odd < " " else odd  # as JSON must write them
    path.write_text(content.format(escaped), encoding="utf-8", newline="")
    (first, caption), second = read_captions(tmp_path, name, NAMES)
    assert (first, caption.replace(odd, " "), second) == ("a.png", "a cat", ("b.png", "b"))


def test_captions_in_the_encoding_of_the_card(tmp_path):
    for picture in NAMES:
        (tmp_path / picture).write_bytes(b"")
    (tmp_path / "c.csv").write_bytes("file,caption\na.png,\u201cCaf\u00e9\u201d 5 \u20ac\nb.png,b\n".encode("cp1252"))
    assert read_captions(tmp_path, "c.csv", NAMES, "cp1252")[0] == ("a.png", "\u201cCaf\u00e9\u201d 5 \u20ac")


def test_captions_are_looked_up_a_number_of_times_in_proportion_to_their_number(tmp_path):
    """Counted, not timed: each name of a picture is gone through once, however many captions there are."""

    class Counted(list):
        passes = 0

        def __iter__(self):
            type(self).passes += 1
            return super().__iter__()

    for picture in NAMES:
        (tmp_path / picture).write_bytes(b"")
    (tmp_path / "c.tsv").write_text("file\tcaption\n" + "".join(f"a.png\t{i}\nb.png\t{i}\n" for i in range(50)))
    assert len(read_captions(tmp_path, "c.tsv", Counted(NAMES))) == 100
    assert Counted.passes <= 2


def test_sidecar_captions(tmp_path):
    (tmp_path / "a.txt").write_text("a cat\n\nthe cat\n")
    (tmp_path / "b.txt").write_text("a dog")
    assert read_captions(tmp_path, "sidecar", NAMES) == [("a.png", "a cat"), ("a.png", "the cat"), ("b.png", "a dog")]
    (tmp_path / "b.txt").unlink()
    with pytest.raises(BenchError, match=r"b\.png: no caption"):
        read_captions(tmp_path, "sidecar", NAMES)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.tsv", "file\tcaption\na.png\ta\nb.png\tb\nd.png\td\n", "line 4: no picture 'd.png'"),
        ("c.tsv", "file\tcaption\na.png\ta\n", "b.png: no caption"),
        ("c.tsv", "file\tcaption\na.png\t\nb.png\tb\n", "line 2: no caption for 'a.png'"),
        ("c.csv", "name,caption\na.png,a\n", "must name the columns file and caption, not name, caption"),
        ("c.jsonl", '{"file": "a.png"}\n', "line 1: not a JSON object"),
        (
            "c.csv",
            "file,caption\na.png,a dog, black, on grass\nb.png,b\n",
            "c.csv: line 2: 4 fields under the 2 columns",
        ),
        ("c.csv", "file,caption\na.png,a\nb.png\n", "c.csv: line 3: 1 fields under the 2 columns file, caption"),
        ("c.tsv", "file\tcaption\na.png\ta\tcat\nb.png\tb\n", "c.tsv: line 2: 3 fields"),
        ("c.csv", "file;caption\na.png;a\n", "not file;caption (a .csv has commas"),
        ("c.xml", "", "must be `sidecar` or a .tsv"),
    ],
)
def test_wrong_captions_are_located(tmp_path, name, content, said):
    for picture in NAMES:
        (tmp_path / picture).write_bytes(b"")
    (tmp_path / name).write_text(content)
    with pytest.raises(BenchError) as error:
        read_captions(tmp_path, name, NAMES)
    assert said in str(error.value)
