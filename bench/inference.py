"""One request, whatever the contract: texts for a prompt, pictures for captions, classes, a count, an exemplar or named
pictures.

The command line and the logged MLflow models share it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.contracts import AnalogySolver, BatchSynthesizer, Styler, VideoSynthesizer

__all__ = ["PREDICT_PARAMS", "Request", "answer", "request_of"]

PREDICT_PARAMS: dict[str, Any] = {
    "seed": 0,
    "n_chars": 400,
    "n_frames": 100,
    "height": 96,
    "width": 96,
    "guidance": -1.0,
    "options": "",
}
"""Params of ``predict``; a negative guidance means the generator's own."""


NAMED_PICTURES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "analogy": (AnalogySolver, ("a", "a_prime", "b")),
    "stylise": (Styler, ("content", "style")),
}
"""Method -> the contract that has it, and the pictures that it takes."""


@dataclass(frozen=True)
class Request:
    """What is asked of a trained generator.

    Attributes:
        prompts: captions (text to image) or beginnings of texts (words), one for each item.
        negative_prompts: what the pictures shall not show, one for each prompt, or None.
        labels: asked classes (images), one for each picture, or None for the generator's own choice.
        n: number of items where neither prompts nor labels tell.
        n_chars: length of a text.
        n_frames: length of a video texture.
        seed: the same seed gives the same bytes.
        guidance: scale of classifier-free guidance, None for the system's or the variant's own.
        exemplar: ``(H, W)`` or ``(H, W, 3)`` uint8 (textures), ``(T, H, W, C)`` frames (video textures), or ``(N, H, W,
            C)`` pictures (codecs, encoders).
        pictures: ``a``, ``a_prime`` and ``b`` (analogies), ``content`` and ``style`` (style transfer), each ``(H, W)``
            or ``(H, W, 3)``.
        size: height and width of a grown texture.
        options: further keyword arguments of the system's ``sample`` or ``synthesize`` (sampler, steps, window ...).
        progress: called with the number of pixels that a growing texture has gained.
    """

    prompts: Sequence[str] = ()
    negative_prompts: Sequence[str] | None = None
    labels: Sequence[int] | None = None
    n: int = 1
    n_chars: int = 400
    n_frames: int = 100
    seed: int = 0
    guidance: float | None = None
    exemplar: NDArray[np.uint8] | None = None
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    size: tuple[int, int] = (96, 96)
    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Callable[[int], None] | None = None


def answer(system: Any, family: str, request: Request) -> list[str] | list[NDArray[Any]]:
    """Texts for ``words``; for the other families a list of arrays, uint8 pictures except an encoder's features.

    Raises:
        BenchError: the request lacks what the family needs, or does not fit it.
    """
    from bench.base.seeds import derive

    if family == "words":
        prompts = list(request.prompts) or [""] * request.n
        if len(prompts) == 1:
            prompts *= request.n
        return [
            str(system.sample(request.n_chars, derive(request.seed, i), prompt, **request.options))
            for i, prompt in enumerate(prompts)
        ]
    if family == "text_to_image":
        if not request.prompts:
            raise BenchError('a text-to-image generator needs a caption: --prompt "a red three above a blue seven"')
        prompts = list(request.prompts) * (request.n if len(request.prompts) == 1 else 1)
        negative = None if request.negative_prompts is None else list(request.negative_prompts)
        if negative is not None and len(negative) == 1:
            negative *= len(prompts)
        if negative is not None and len(negative) != len(prompts):
            raise BenchError(f"{len(negative)} negative prompts for {len(prompts)} prompts: give one, or one for each")
        options = dict(request.options)
        if request.guidance is not None:
            options["guidance"] = request.guidance
        return list(system.sample(prompts, request.seed, negative_prompts=negative, **options))
    if family == "images":
        labels = None if request.labels is None else np.asarray(request.labels, dtype=np.int64)
        if labels is not None and len(labels) == 1:
            labels = np.repeat(labels, request.n)
        n = request.n if labels is None else len(labels)
        return list(system.sample(n, request.seed, labels=labels, **request.options))
    if family == "text_encoders":
        return list(system.embed_texts(list(request.prompts)))
    for method, (contract, names) in NAMED_PICTURES.items():
        if isinstance(system, contract):
            return [np.asarray(getattr(system, method)(*_named(request, names), request.seed, **request.options))]
    if request.exemplar is None:
        raise BenchError(f"a generator of the family {family!r} starts from a picture: --exemplar FILE")
    if isinstance(system, VideoSynthesizer):
        return list(request.exemplar[system.play(request.exemplar, request.n_frames, request.seed, **request.options)])
    if family == "by_example":
        seeds = [derive(request.seed, i) for i in range(request.n)]
        if isinstance(system, BatchSynthesizer):  # grown together: cheaper, and each is what it would be alone
            grown = system.growths(request.exemplar, request.size, seeds, progress=request.progress, **request.options)
            return [np.asarray(one.picture) for one in grown]
        return [
            np.asarray(system.synthesize(request.exemplar, request.size, seed, **request.options)) for seed in seeds
        ]
    pictures = request.exemplar
    if pictures.ndim != 4:
        raise BenchError(f"pictures must be (N, H, W, C), not {pictures.shape}")
    if family == "codecs":
        return list(system.decode(system.encode(pictures)))
    return list(system.embed_images(pictures))


def _named(request: Request, names: Sequence[str]) -> list[NDArray[np.uint8]]:
    if set(request.pictures) != set(names):
        raise BenchError(
            f"this generator needs the pictures {', '.join(names)}; given: {', '.join(request.pictures) or 'none'}"
        )
    return [request.pictures[name] for name in names]


def request_of(family: str, model_input: Any, params: Mapping[str, Any]) -> Request:
    """The request that a ``predict`` call stands for.

    Raises:
        ValueError: the input is none of the forms of :mod:`bench.tracking.pyfunc`.
    """
    given = {**PREDICT_PARAMS, **params}
    common: dict[str, Any] = {
        "seed": int(given["seed"]),
        "n_chars": int(given["n_chars"]),
        "n_frames": int(given["n_frames"]),
        "size": (int(given["height"]), int(given["width"])),
        "guidance": float(given["guidance"]) if given["guidance"] >= 0 else None,
        "options": json.loads(given["options"]) if given["options"] else {},
    }
    if isinstance(model_input, Mapping):
        return Request(
            pictures={str(name): np.asarray(picture, dtype=np.uint8) for name, picture in model_input.items()}, **common
        )
    if hasattr(model_input, "columns"):  # a data frame
        columns = {str(name): list(model_input[name]) for name in model_input.columns}
        if "prompt" in columns:
            negative = columns.get("negative_prompt")
            return Request(prompts=[str(p) for p in columns["prompt"]], negative_prompts=negative, **common)
        if "label" in columns:
            return Request(labels=[int(label) for label in columns["label"]], **common)
        if "count" in columns:
            return Request(n=int(sum(columns["count"])), **common)
        if len(columns) == 1:
            model_input = next(iter(columns.values()))
        else:
            raise ValueError(f"expected a column prompt, label or count, got {', '.join(columns)}")
    if isinstance(model_input, int | np.integer):
        return Request(n=int(model_input), **common)
    if isinstance(model_input, str):
        return Request(prompts=[model_input], **common)
    if isinstance(model_input, np.ndarray) and model_input.ndim >= 2:
        return Request(exemplar=model_input.astype(np.uint8), **common)
    items = list(model_input)
    if items and all(isinstance(item, str) for item in items):
        return Request(prompts=items, **common)
    if items and all(isinstance(item, int | np.integer) for item in items):
        return (
            Request(n=int(items[0]), **common)
            if len(items) == 1 or family == "words"
            else Request(labels=[int(i) for i in items], **common)
        )
    raise ValueError(
        f"cannot sample from an input of type {type(model_input).__name__}: give prompts, labels, a count or pictures"
    )
