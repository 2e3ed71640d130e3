"""Samples that any program left: folders of images, arrays, texts, and the captions that belong to images.

=================  ==================================================================================================
images             a folder of PNG, JPEG, WebP, BMP, GIF or TIFF files of one size (whole-numbered subfolders are
                   classes); an ``.npz`` with ``images`` (or ``arr_0``), ``labels`` (or ``arr_1``) and ``captions``; an
                   ``.npy``
texts              a ``.jsonl`` with ``text``, and perhaps ``prompt`` and ``variant``, in each line; a folder of
                   ``.txt`` files; one ``.txt`` file
captions           a ``.jsonl`` with ``caption`` in each line, and ``file`` where the images are files
=================  ==================================================================================================

Arrays are uint8, ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``. The harness's own sample files are read as well.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import SampleSet, hash_file, read_image_samples, read_text_samples
from bench.base.texts import read_text, split_lines
from bench.data.names import visible_files
from bench.data.picture_files import PICTURES, decode_picture

__all__ = ["digest_of", "fitted", "read_samples"]

_ADVICE = "save the file as UTF-8"


def read_samples(path: Path, ending: str, captions: Path | None = None) -> list[SampleSet]:
    """The samples in a file or folder, one set for each variant that it names.

    Args:
        path: see the table above.
        ending: ``.npz`` for images, ``.jsonl`` for texts (:attr:`bench.catalogue.families.Family.samples`).
        captions: captions of the images.

    Raises:
        BenchError: no such file, another format, or arrays that are no images; with what is allowed.
    """
    if not path.exists():
        raise BenchError(f"{path}: no such file or folder")
    if ending == ".jsonl":
        return _texts(path)
    if path.is_dir():
        sets, names = _folder(path)
    elif path.suffix in (".npz", ".npy"):
        sets, names = _arrays(path)
    else:
        raise BenchError(f"{path}: images are a folder of {', '.join(PICTURES)} files, an .npz or an .npy")
    return sets if captions is None else [_captioned(one, names, captions) for one in sets]


def digest_of(*paths: Path) -> str:
    """sha256 over the names and bytes of files and folders: what makes results of them stale."""
    whole = hashlib.sha256()
    for path in paths:
        for file in visible_files(path) if path.is_dir() else [path]:
            whole.update(f"{file.relative_to(path.parent).as_posix()} {hash_file(file)}\n".encode())
    return whole.hexdigest()


def fitted(sets: Sequence[SampleSet], like: NDArray[np.uint8], where: str) -> list[SampleSet]:
    """Images with the channels of ``like`` (grey or RGB); one size is demanded, because scaling changes distances.

    Raises:
        BenchError: images of another size.
    """
    found = []
    for one in sets:
        assert one.images is not None
        images = one.images
        if images.shape[1:3] != like.shape[1:3]:
            raise BenchError(
                f"{where}: images of {images.shape[1]}x{images.shape[2]} cannot be compared with the data's "
                f"{like.shape[1]}x{like.shape[2]}: scale them first, the same way for every program"
            )
        if images.shape[3] != like.shape[3]:
            grey = np.rint(images @ np.array([0.299, 0.587, 0.114])) if images.shape[3] == 3 else images[..., 0]
            images = np.repeat(grey.astype(np.uint8)[..., None], like.shape[3], axis=3)
        found.append(SampleSet(one.variant, images, None, one.labels, one.prompts, one.info, one.extra))
    return found


def _folder(path: Path) -> tuple[list[SampleSet], list[str]]:
    files = visible_files(path, PICTURES)
    if not files:
        raise BenchError(f"{path}: no image in this folder; known are {', '.join(PICTURES)}")
    images = []
    for file in files:
        images.append(decode_picture(file))
        if images[-1].shape != images[0].shape:
            raise BenchError(
                f"{file} is {images[-1].shape}, {files[0]} is {images[0].shape}: one size and mode for all"
            )
    folders = [file.parent.name for file in files]
    labels = np.array(folders, dtype=np.int64) if all(name.isdecimal() for name in folders) else None
    if path in {file.parent for file in files}:
        labels = None  # the folder itself may be called "2024"
    names = [file.relative_to(path).as_posix() for file in files]
    return [SampleSet(images=np.stack(images), labels=labels)], names


def _arrays(path: Path) -> tuple[list[SampleSet], list[str]]:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BenchError(f"{path} is no file of arrays, or is broken: {error}") from error
    if isinstance(loaded, np.ndarray):
        return [SampleSet(images=_images(loaded, path))], []
    with loaded as file:
        if "index" in file.files:
            return read_image_samples(path), []
        names = [name for name in ("images", "arr_0", *file.files) if name in file.files]
        labels = next((file[name] for name in ("labels", "arr_1") if name in file.files), None)
        captions = next((file[name] for name in ("captions", "prompts") if name in file.files), None)
        sample = SampleSet(
            images=_images(file[names[0]], path) if names else None,
            labels=None if labels is None else labels.astype(np.int64),
            prompts=None if captions is None else [str(text) for text in captions],
        )
    if sample.images is None:
        raise BenchError(f"{path}: no array `images` in this file")
    for name, column in (("labels", sample.labels), ("captions", sample.prompts)):
        if column is not None and len(column) != len(sample.images):
            raise BenchError(f"{path}: {len(column)} {name} for {len(sample.images)} images")
    return [sample], []


def _images(array: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    if array.dtype != np.uint8:
        raise BenchError(f"{path}: images must be uint8 (0 to 255), not {array.dtype}")
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4 and array.shape[-1] in (1, 3):
        return array
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    raise BenchError(f"{path}: images must be (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3, not {array.shape}")


def _rows(path: Path, key: str) -> list[Mapping[str, Any]]:
    rows = []
    for number, line in enumerate(split_lines(read_text(path, advice=_ADVICE)), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise BenchError(f"{path}: line {number} is not JSON: {error}") from None
        if not isinstance(row, Mapping) or not isinstance(row.get(key), str):
            raise BenchError(f"{path}: line {number} lacks {key!r}, a text")
        rows.append(row)
    if not rows:
        raise BenchError(f"{path}: the file is empty")
    return rows


def _texts(path: Path) -> list[SampleSet]:
    if path.is_dir() or path.suffix == ".txt":
        files = visible_files(path, (".txt",)) if path.is_dir() else [path]
        rows: list[Mapping[str, Any]] = [{"text": read_text(file, advice=_ADVICE)} for file in files]
        if not rows:
            raise BenchError(f"{path}: no .txt file in this folder")
    elif path.suffix == ".jsonl":
        rows = _rows(path, "text")
        if all("info" in row and "variant" in row for row in rows):
            return read_text_samples(path)
    else:
        raise BenchError(f"{path}: texts are a .jsonl, a .txt, or a folder of .txt files")
    by_variant: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_variant.setdefault(str(row.get("variant", "")), []).append(row)
    return [
        SampleSet(
            variant,
            texts=[str(row["text"]) for row in group],
            prompts=[str(row.get("prompt", "")) for row in group],
            info={"characters": max(1, max(len(row["text"]) for row in group))},
        )
        for variant, group in by_variant.items()
    ]


def _captioned(one: SampleSet, names: Sequence[str], path: Path) -> SampleSet:
    assert one.images is not None
    rows = _rows(path, "caption")
    if names and all("file" in row for row in rows):
        by_name = {str(row["file"]): str(row["caption"]) for row in rows}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise BenchError(f"{path}: no caption for {missing[0]} ({len(missing)} of {len(names)} images have none)")
        captions = [by_name[name] for name in names]
    else:
        captions = [str(row["caption"]) for row in rows]
    if len(captions) != len(one.images):
        raise BenchError(f"{path}: {len(captions)} captions for {len(one.images)} images")
    return SampleSet(one.variant, one.images, None, one.labels, captions, one.info, one.extra)
