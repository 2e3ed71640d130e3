"""Pictures of analogies for the report: A, A', B and B' of every task, and one B under every setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.families.by_example.analogies.sampling import in_colour
from bench.families.by_example.analogies.tasks import Question
from bench.results.pictures import grid, png_data_uri

__all__ = ["flat", "gallery", "strips"]

Picture = NDArray[np.uint8]


def flat(listed: Sequence[Question]) -> list[tuple[Question, int]]:
    """Every B of every question, in the order of the answers."""
    return [(question, i) for question in listed for i in range(len(question.pictures))]


def _cell(picture: Picture, height: int, width: int) -> Picture:
    """A picture reduced to fit a cell, on white."""
    colour = in_colour(picture)
    scale = min(1.0, height / colour.shape[0], width / colour.shape[1])
    if scale < 1:
        from PIL import Image

        shape = (max(1, round(colour.shape[1] * scale)), max(1, round(colour.shape[0] * scale)))
        colour = np.asarray(Image.fromarray(colour).resize(shape, Image.Resampling.BOX))
    cell = np.full((height, width, 3), 255, dtype=np.uint8)
    cell[: colour.shape[0], : colour.shape[1]] = colour
    return cell


def gallery(samples: SampleSet, listed: Sequence[Question], each: int) -> list[dict[str, Any]]:
    """A, A', B, B' and, where there is one, the right answer: one grid for each task."""
    assert samples.images is not None
    height, width = samples.images.shape[1:3]
    by_task: dict[str, list[tuple[Question, int, Picture]]] = {}
    for (question, i), answer in zip(flat(listed), samples.images, strict=True):
        by_task.setdefault(question.task, []).append((question, i, answer))
    entries = []
    for task, members in by_task.items():
        count = min(each, len(members))
        chosen = [members[int((k + 0.5) / count * len(members))] for k in range(count)]
        cells, captions = [], []
        for question, i, answer in chosen:
            pair = question.pairs[0]
            cells += [_cell(picture, height, width) for picture in (*pair, question.pictures[i], answer)]
            captions += ["A", "A′", f"B: {question.names[i]}", "B′"]
            if question.truths is not None:
                cells.append(_cell(question.truths[i], height, width))
                captions.append("right answer")
        columns = len(cells) // len(chosen)
        several = f" (the first of {len(chosen[0][0].pairs)} pairs)" if len(chosen[0][0].pairs) > 1 else ""
        entries.append(
            {
                "title": f"{task.capitalize().replace('-', ' ')}: A, A′{several}, B, B′",
                "variant": samples.variant,
                "png": png_data_uri(grid(np.stack(cells), columns=columns), 256),
                "alt": f"{task}: in each row A, A prime, B and the answer B prime for "
                f"{', '.join(q.names[i] for q, i, _ in chosen)}",
                "columns": columns,
                "captions": captions,
            }
        )
    return entries


def strips(samples: Sequence[SampleSet], listed: Sequence[Question], task: str = "painterly") -> list[dict[str, Any]]:
    """One B under every variant of the sweep."""
    places = flat(listed)
    wanted = [k for k, (question, _) in enumerate(places) if question.task == task] or list(range(len(places)))
    if len(samples) < 2:
        return []
    at = wanted[len(wanted) // 2]
    question, i = places[at]
    cells = [in_colour(question.pictures[i]), *(item.images[at] for item in samples if item.images is not None)]
    captions = ["B", *(item.variant or "as it is" for item in samples)]
    name = f"{question.task}, {question.names[i]}"
    return [
        {
            "title": f"One answer under every setting ({name})",
            "variant": "",
            "png": png_data_uri(grid(np.stack(cells), columns=len(cells)), 256),
            "alt": f"{name}: B, then B prime for {'; '.join(captions[1:])}",
            "captions": captions,
        }
    ]
