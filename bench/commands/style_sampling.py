"""``bench sample style``: the content of one picture in the style of another."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.finite import drawn_by
from bench.base.progress import Progress
from bench.commands.flags import check_output

__all__ = ["run_style"]

Picture = NDArray[np.uint8]
LARGEST = 2048


def run_style(
    root: Path,
    content: Path,
    style: Path,
    out: Path = Path("style.png"),
    *,
    size: int = 256,
    seed: int = 0,
    weights: Path | None = None,
    options: Mapping[str, Any] | None = None,
    strip: Path | None = None,
    quiet: bool = False,
) -> Picture:
    """Draws one of the user's picture files in the style of another and writes it as PNG.

    Pictures may be grey, in colour, with alpha (laid over white) or with 16 bits (scaled to 8).

    Args:
        root: the project's folder.
        content, style: picture files; each is scaled so that its longer side has ``size`` pixels.
        out: where the picture is written, .png.
        size: longer side in pixels.
        seed: of a start from noise.
        weights: a user's network (VGG-16, VGG-19 or EfficientNet-lite0, .safetensors or .pth); None for the packaged
            one.
        options: settings of :class:`bench.families.style_transfer.style_losses.StyleConfig` (``ratio``, ``steps``,
            ``colour``, ``style_layers`` ...).
        strip: where the picture's progress is written, .png, or None.
        quiet: no progress, no preview, no message.

    Returns:
        ``(H, W, 3)``.

    Raises:
        BenchError: a file that cannot be read or written, no network, an unknown setting.
    """
    from bench.data.readers import read_picture
    from bench.families.style_transfer.style_transfer import Job

    if not 16 <= size <= LARGEST:
        raise BenchError(f"--size {size}: the longer side of the picture, from 16 to {LARGEST} pixels")
    check_output(out, (".png",), "pictures", (content, style))
    if strip is not None:
        check_output(strip, (".png",), "pictures", (content, style, out), "--option strip")
    job = Job(_scaled(read_picture(content), size), _scaled(read_picture(style), size), seed, dict(options or {}))
    system = _system(root, weights)
    steps = system.settings(job.options).steps
    frames = sorted({0, *(max(1, round(steps * share)) for share in (0.03, 0.1, 0.3, 1.0))}) if strip else ()
    with Progress("style", steps, "steps", quiet=quiet) as progress, drawn_by("style"):
        done = system.run(job, frames, progress.update)
    picture: Picture = done.picture
    _write(out, picture)
    if strip is not None:
        _write(strip, np.concatenate(list(done.frames), axis=1))
    if not quiet:
        height, width = picture.shape[:2]
        print(
            f"wrote {out}: {width}x{height} pixels"
            + (f"; {strip}: after {', '.join(map(str, frames))} steps" if strip else "")
        )
        if sys.stdout.isatty():
            from bench.commands.preview import half_blocks

            print(half_blocks(picture, shutil.get_terminal_size().columns))
    return picture


def _system(root: Path, weights: Path | None) -> Any:
    """The generator of ``params.yaml`` as it is trained, or with the packaged network or the user's own."""
    from bench.base.processes import resolve_device
    from bench.base.settings import build_config
    from bench.config.load import load_params
    from bench.contracts import RunContext
    from bench.families.style_transfer.style_transfer import StyleConfig, StyleTransfer
    from bench.registry import load_model

    params = load_params(root / "params.yaml")
    device = resolve_device(params.runtime["device"])
    blocks = {
        name: b
        for name, b in params.generators().items()
        if b["system"] == "style_transfer" and b["role"] == "generator"
    }
    name = next(iter(blocks), "")
    if weights is None and (root / "models" / name / "model.json").is_file():
        return load_model(root / "models" / name, device)
    block = blocks.get(name, {})
    settings = {
        key: value for key, value in block.get("model", {}).items() if not key.endswith("_layers") or weights is None
    }
    config = build_config(StyleConfig, {**settings, "weights": str(weights or "")}, "style")
    data = {"network": root / "data" / "prepared" / block["network"]} if block else {}
    system = StyleTransfer(config)
    system.fit({}, RunContext(name=name or "style", device=device, data=data))
    return system


def _scaled(picture: Picture, size: int) -> Picture:
    """The picture with a longer side of ``size`` pixels, never enlarged."""
    from PIL import Image

    factor = min(1.0, size / max(picture.shape[:2]))
    if factor == 1.0:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    scaled: Picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
    return scaled


def _write(path: Path, picture: Picture) -> None:
    from bench.base.files import atomic
    from bench.results.pictures import png_bytes

    with atomic(path) as temporary:
        temporary.write_bytes(png_bytes(picture))
