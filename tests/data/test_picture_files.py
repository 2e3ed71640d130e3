"""The decoder of picture files: what a viewer shows is what is read."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from bench.base.errors import BenchError
from bench.data.picture_files import decode_picture
from bench.data.samples_from_files import read_samples


def corners() -> np.ndarray:
    """16 x 24, another colour in each quarter."""
    picture = np.zeros((16, 24, 3), np.uint8)
    picture[:8, :12], picture[:8, 12:], picture[8:, :12], picture[8:, 12:] = (
        (250, 10, 10),
        (10, 250, 10),
        (10, 10, 250),
        (250, 250, 250),
    )
    return picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_orientation_is_carried_out(tmp_path: Path, orientation: int, suffix: str) -> None:
    """Against Pillow's own turning, which this decoder does not call."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    Image.fromarray(corners()).save(path, exif=tags, **({"lossless": True} if suffix == ".webp" else {}))
    with Image.open(path) as file:
        expected = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    assert expected.shape[:2] == ((16, 24) if orientation < 5 else (24, 16))
    np.testing.assert_array_equal(decode_picture(path), expected)


def test_grey_pictures_are_turned_as_well_and_broken_tags_are_ignored(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    Image.fromarray(deep).save(tmp_path / "deep.png", exif=tags)
    np.testing.assert_array_equal(decode_picture(tmp_path / "deep.png")[..., 0], np.rint(np.rot90(deep, -1) / 257))
    for number, broken in enumerate((b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"nonsense")):
        Image.fromarray(corners()).save(tmp_path / f"{number}.png", exif=broken)
        np.testing.assert_array_equal(decode_picture(tmp_path / f"{number}.png"), corners())


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows: list[bytes], width: int, depth: int, colour: int, clear: bytes, palette: bytes = b"") -> bytes:
    """A PNG file from packed rows, with a tRNS chunk."""
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"tRNS", clear)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize(
    ("content", "opaque"),
    [
        (png([b"\x40"], 2, 1, 0, b"\0\0"), 255),  # grey, 1 bit: the values 0 and 1
        (png([b"\x80"], 2, 1, 0, b"\0\1"), 0),
        (png([b"\x90"], 2, 2, 0, b"\0\2"), 85),  # 2 bits: 2 and 1
        (png([b"\x3a"], 2, 4, 0, b"\0\3"), 170),  # 4 bits: 3 and 10
        (png([b"\x07\x08"], 2, 8, 0, b"\0\7"), 8),
        (png([struct.pack(">2H", 1000, 40000)], 2, 16, 0, struct.pack(">H", 1000)), 156),
        (png([struct.pack(">2H", 65535, 1001)], 2, 16, 0, struct.pack(">H", 65535)), 4),
        (png([bytes([1, 2, 3, 9, 9, 9])], 2, 8, 2, struct.pack(">3H", 1, 2, 3)), 9),
        (png([struct.pack(">6H", *[0x1234] * 3, *[0x2222] * 3)], 2, 16, 2, struct.pack(">3H", *[0x1234] * 3)), 0x22),
        (png([b"\x00\x01"], 2, 8, 3, b"\x00", bytes([9, 9, 9, 7, 7, 7])), 7),  # a palette
        (png([b"\x10"], 2, 4, 3, b"\xff\x00", bytes([5, 5, 5, 7, 7, 7])), 5),
    ],
)
def test_one_transparent_colour_lies_over_white(content: bytes, opaque: int, channels: int | None) -> None:
    """The first pixel is transparent, the second is not, whatever the mode and the depth."""
    array = decode_picture(content, channels)
    assert array.shape[2] == channels or channels is None
    assert array[0, 0].tolist() == [255] * array.shape[2]
    assert array[0, 1].tolist() == [opaque] * array.shape[2]


def test_grey_with_transparency_keeps_its_single_channel() -> None:
    assert decode_picture(png([b"\x07\x08"], 2, 8, 0, b"\0\7")).shape == (1, 2, 1)


@pytest.mark.parametrize(("mode", "size"), [("1", (20_000, 10_000)), ("L", (12_000, 12_000)), ("1", (60_000, 60_000))])
def test_decompression_bombs_are_named(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    head = struct.pack(">IIBBBBB", *size, 1 if mode == "1" else 8, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)))
    with pytest.raises(BenchError, match=r"bomb\.png: not a readable picture \(.*pixels"):
        decode_picture(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_no_broken_file_ends_in_an_error_of_pillow(kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(corners()).save(buffer, kind)
    whole, rng = buffer.getvalue(), np.random.default_rng(0)
    decode_picture(whole)
    said = []
    for _ in range(60):
        content = bytearray(whole[: int(rng.integers(1, len(whole) + 1))])
        for at in rng.integers(0, len(content), 3):
            content[at] = int(rng.integers(256))
        try:
            decode_picture(bytes(content), name="x.bin")
        except BenchError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all(text.startswith("x.bin: not a readable picture (") for text in said)


def test_samples_of_other_programs_come_through_the_same_decoder(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX/._a.jpg").write_bytes(b"\0\5\x16\7")
    (tmp_path / "._a.jpg").write_bytes(b"\0\5\x16\7")
    Image.fromarray(corners()).save(tmp_path / "a.jpg", exif=tags, quality=95)
    (one,) = read_samples(tmp_path, ".npz")
    assert one.images is not None and one.images.shape == (1, 24, 16, 3)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:60])
    with pytest.raises(BenchError, match=r"b\.jpg: not a readable picture"):
        read_samples(tmp_path, ".npz")
    (tmp_path / "b.jpg").unlink()
    (tmp_path / "more").symlink_to(tmp_path / "__MACOSX")
    with pytest.raises(BenchError, match="more is a link to a folder"):
        read_samples(tmp_path, ".npz")
