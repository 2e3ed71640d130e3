"""``bench sample analogy``: A is to A' as B is to the picture that is written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.finite import drawn_by
from bench.base.progress import Progress
from bench.commands.flags import check_output

__all__ = ["run_analogy"]

Picture = NDArray[np.uint8]


def run_analogy(
    a: Sequence[Path],
    a_prime: Sequence[Path],
    b: Path,
    out: Path = Path("analogy.png"),
    *,
    options: Mapping[str, Any] | None = None,
    sheet: Path | None = None,
    quiet: bool = False,
) -> Picture:
    """Solves one analogy of the user's picture files and writes B' as PNG.

    Pictures may be grey, in colour, with alpha (laid over white) or with 16 bits (scaled to 8). Nothing needs to be
    trained first.

    Args:
        a: one or more A.
        a_prime: the same pictures afterwards, in the same order.
        b: B.
        out: where B' is written, .png.
        options: settings of :class:`bench.families.by_example.analogies.image_analogies.AnalogyConfig` (``kappa``,
            ``colour``, ``search`` ...).
        sheet: where A, A', B and B' are written side by side, .png, or None.
        quiet: no progress, no preview, no message.

    Returns:
        B'.

    Raises:
        BenchError: a file that cannot be read or written, A and A' that do not fit together, an unknown setting.
    """
    from bench.data.readers import read_picture
    from bench.families.by_example.analogies.image_analogies import ImageAnalogies

    if len(a) != len(a_prime) or not a:
        raise BenchError(
            f"--a and --a-prime name {len(a)} and {len(a_prime)} pictures: give one A' for each A, at least one pair"
        )
    for path in (out, *([sheet] if sheet else [])):
        check_output(path, (".png",), "pictures", (*a, *a_prime, b))
    pairs = [(read_picture(one), read_picture(other)) for one, other in zip(a, a_prime, strict=True)]
    question = read_picture(b)
    system, settings = ImageAnalogies(), dict(options or {})
    with (
        Progress("analogy", system.work(pairs, [question], **settings), "pixels", quiet=quiet) as progress,
        drawn_by("analogy"),
    ):
        (answer,) = system.solve(pairs, [question], progress=progress.update, **settings)
    _write(out, answer.picture)
    if sheet is not None:
        _write(sheet, _beside([*pairs[0], question, answer.picture]))
    if not quiet:
        height, width = answer.picture.shape[:2]
        copied = f"{100 * float(answer.coherent.mean()):.0f} % of them where a neighbour's copy went on"
        print(
            f"wrote {out}: {width}x{height} pixels, {copied}"
            + (f"; {sheet}: A, A', B, B' side by side" if sheet else "")
        )
        if sys.stdout.isatty():
            from bench.commands.preview import half_blocks

            print(half_blocks(_beside([question, answer.picture]), shutil.get_terminal_size().columns))
    return answer.picture


def _write(path: Path, picture: Picture) -> None:
    from bench.base.files import atomic
    from bench.results.pictures import png_bytes

    with atomic(path) as temporary:
        temporary.write_bytes(png_bytes(picture))


def _beside(pictures: Sequence[Picture]) -> Picture:
    """Pictures of any sizes next to one another, on white, with a gap of 4 pixels."""
    gap, colour = (
        4,
        [picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2) for picture in pictures],
    )
    height, width = max(p.shape[0] for p in colour), sum(p.shape[1] + gap for p in colour) - gap
    canvas, x = np.full((height, width, 3), 255, dtype=np.uint8), 0
    for picture in colour:
        canvas[: picture.shape[0], x : x + picture.shape[1]] = picture
        x += picture.shape[1] + gap
    return canvas
