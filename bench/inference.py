"""One request, whatever the contract: texts for a prompt, images for captions, classes, a count, an exemplar or named
pictures. The command line and the logged MLflow models share it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.finite import rounded_pixels
from bench.base.seeds import derive
from bench.base.settings import NothingToSet, field_types
from bench.capabilities import GrowingSynthesizer, takes_negative_prompts
from bench.data.datasets import check_images
from bench.registry import contract_of

__all__ = ["PREDICT_PARAMS", "Request", "parse_request", "predict"]

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


NAMED_PICTURES: Mapping[str, tuple[str, ...]] = {"analogy": ("a", "a_prime", "b"), "stylise": ("content", "style")}
"""Method of the contract -> the pictures that it takes."""


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


def predict(system: Any, family: str, request: Request) -> list[str] | list[NDArray[Any]]:
    """Texts of a language model; of everything else a list of arrays, uint8 images except an encoder's features.

    Raises:
        BenchError: the request lacks what the system's contract needs, or does not fit it.
    """
    found: list[str] | list[NDArray[Any]] = _BY_CONTRACT[contract_of(type(system), family)](system, request)
    return found


def _texts(system: Any, request: Request) -> list[str]:
    prompts = list(request.prompts) or [""] * request.n
    if len(prompts) == 1:
        prompts *= request.n
    seeds = [derive(request.seed, i) for i in range(len(prompts))]
    return [
        str(system.sample(request.n_chars, seed, prompt, **request.options))
        for seed, prompt in zip(seeds, prompts, strict=True)
    ]


def _captioned_images(system: Any, request: Request) -> list[NDArray[Any]]:
    if not request.prompts:
        raise BenchError('a text-to-image generator needs a caption: --prompt "a red three above a blue seven"')
    prompts = list(request.prompts) * (request.n if len(request.prompts) == 1 else 1)
    negative = None if request.negative_prompts is None else list(request.negative_prompts)
    if negative is not None and len(negative) == 1:
        negative *= len(prompts)
    if negative is not None and len(negative) != len(prompts):
        raise BenchError(f"{len(negative)} negative prompts for {len(prompts)} prompts: give one, or one for each")
    options = dict(request.options)
    if negative is not None:
        if not takes_negative_prompts(type(system)):
            raise BenchError(f"{type(system).__name__} takes no negative prompts: leave them out")
        options["negative_prompts"] = negative
    if request.guidance is not None:
        if "guidance" not in field_types(getattr(type(system), "SampleOptions", NothingToSet)):
            raise BenchError(f"{type(system).__name__} has no guidance: leave it out")
        options["guidance"] = request.guidance
    return list(system.sample(prompts, request.seed, **options))


def _images(system: Any, request: Request) -> list[NDArray[Any]]:
    labels = None if request.labels is None else np.asarray(request.labels, dtype=np.int64)
    if labels is not None and len(labels) == 1:
        labels = np.repeat(labels, request.n)
    n = request.n if labels is None else len(labels)
    return list(system.sample(n, request.seed, labels=labels, **request.options))


def _text_features(system: Any, request: Request) -> list[NDArray[Any]]:
    return list(system.embed_texts(list(request.prompts)))


def _image_features(system: Any, request: Request) -> list[NDArray[Any]]:
    return list(system.embed_images(_batch(system, request)))


def _reconstructions(system: Any, request: Request) -> list[NDArray[Any]]:
    return list(system.decode(system.encode(_batch(system, request))))


def _analogy(system: Any, request: Request) -> list[NDArray[Any]]:
    return [np.asarray(system.analogy(*_named(request, "analogy"), request.seed, **request.options))]


def _styled(system: Any, request: Request) -> list[NDArray[Any]]:
    return [np.asarray(system.stylise(*_named(request, "stylise"), request.seed, **request.options))]


def _frames(system: Any, request: Request) -> list[NDArray[Any]]:
    frames = _exemplar(request)
    return list(frames[system.play(frames, request.n_frames, request.seed, **request.options)])


def _textures(system: Any, request: Request) -> list[NDArray[Any]]:
    exemplar = _exemplar(request)
    seeds = [derive(request.seed, i) for i in range(request.n)]
    if isinstance(system, GrowingSynthesizer):  # grown together: cheaper, and each is what it would be alone
        grown = system.growths(exemplar, request.size, seeds, progress=request.progress, **request.options)
        return [np.asarray(one.picture) for one in grown]
    return [np.asarray(system.synthesize(exemplar, request.size, seed, **request.options)) for seed in seeds]


_BY_CONTRACT: Mapping[str, Callable[[Any, Request], Any]] = {
    "LanguageModel": _texts,
    "StateModel": _texts,
    "TextEncoder": _text_features,
    "WordEmbedding": _text_features,
    "MaskedLanguageModel": _text_features,
    "Synthesizer": _textures,
    "AnalogySolver": _analogy,
    "VideoSynthesizer": _frames,
    "Styler": _styled,
    "Encoder": _image_features,
    "Codec": _reconstructions,
    "ImageGenerator": _images,
    "TextToImage": _captioned_images,
}
"""Contract -> how a request becomes a call of its method."""


def _named(request: Request, method: str) -> list[NDArray[np.uint8]]:
    names = NAMED_PICTURES[method]
    if set(request.pictures) != set(names):
        given = ", ".join(request.pictures) or "none"
        raise BenchError(f"this generator needs the pictures {', '.join(names)}; given: {given}")
    return [request.pictures[name] for name in names]


def _exemplar(request: Request) -> NDArray[np.uint8]:
    if request.exemplar is None:
        raise BenchError("this generator starts from a picture: --exemplar FILE")
    return request.exemplar


def _batch(system: Any, request: Request) -> NDArray[np.uint8]:
    pictures = _exemplar(request)
    if pictures.ndim != 4:
        raise BenchError(f"pictures must be (N, H, W, C), not {pictures.shape}")
    check_images(getattr(system, "config", None), pictures, type(system).__name__, "the request")
    return pictures


def parse_request(family: str, model_input: Any, params: Mapping[str, Any]) -> Request:
    """The request that a ``predict`` call stands for.

    Raises:
        ValueError: the input is none of the forms of :mod:`bench.tracking.pyfunc`.
        BenchError: pictures of another scale than 0 to 255 or [0, 1], labels that are no integers, no finite guidance.
    """
    given = {**PREDICT_PARAMS, **params}
    if not math.isfinite(given["guidance"]):
        raise BenchError(f"guidance: must be a finite number, not {given['guidance']}")
    common: dict[str, Any] = {
        "seed": int(given["seed"]),
        "n_chars": int(given["n_chars"]),
        "n_frames": int(given["n_frames"]),
        "size": (int(given["height"]), int(given["width"])),
        "guidance": float(given["guidance"]) if given["guidance"] >= 0 else None,
        "options": json.loads(given["options"]) if given["options"] else {},
    }
    return Request(**{**common, **_asked(family, model_input)})


def _asked(family: str, model_input: Any) -> dict[str, Any]:
    """The fields of the request that the input itself says."""
    if isinstance(model_input, Mapping):
        return {"pictures": {str(name): _pixels(one, str(name)) for name, one in model_input.items()}}
    if hasattr(model_input, "columns"):  # a data frame
        columns = {str(name): list(model_input[name]) for name in model_input.columns}
        if "prompt" in columns:
            prompts = [str(prompt) for prompt in columns["prompt"]]
            return {"prompts": prompts, "negative_prompts": columns.get("negative_prompt")}
        if "label" in columns:
            return {"labels": _integers(columns["label"], "label")}
        if "count" in columns:
            return {"n": sum(_integers(columns["count"], "count"))}
        if len(columns) != 1:
            raise ValueError(f"expected a column prompt, label or count, got {', '.join(columns)}")
        model_input = next(iter(columns.values()))
    if isinstance(model_input, int | np.integer):
        return {"n": _integers([model_input], "count")[0]}
    if isinstance(model_input, str):
        return {"prompts": [model_input]}
    if isinstance(model_input, np.ndarray) and model_input.ndim >= 2:
        return {"exemplar": _pixels(model_input, "picture")}
    return _asked_by_items(family, list(model_input))


def _pixels(given: Any, name: str) -> NDArray[np.uint8]:
    """Bytes as they are, integers of 0 to 255, and floats in [0, 1] scaled to 0 to 255.

    Raises:
        BenchError: anything else, and integers of 0 and 1 alone, which may be black and white.
    """
    array = np.asarray(given)
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8)
    allowed = "pixels are uint8, integers from 0 to 255, or floats in [0, 1]"
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        found = f"{array.dtype} values" if array.dtype.kind != "f" else "NaN or infinity"
        raise BenchError(f"{name}: {found}: {allowed}")
    low, high = array.min(), array.max()
    if low < 0 or high > (1 if array.dtype.kind == "f" else 255):
        raise BenchError(f"{name}: {array.dtype} from {low:g} to {high:g}: {allowed}")
    if array.dtype.kind == "f":
        return rounded_pixels(255.0 * array.astype(np.float64))
    if high == 1:
        raise BenchError(
            f"{name}: {array.dtype} of 0 and 1 alone: give uint8 if 1 is one step above black, floats if it is white"
        )
    return array.astype(np.uint8)


def _integers(given: Sequence[Any], name: str) -> list[int]:
    """Labels or counts; a float would be cut off, and True is no class.

    Raises:
        BenchError: something that is no integer.
    """
    for one in given:
        if isinstance(one, bool | np.bool_) or not isinstance(one, int | np.integer):
            raise BenchError(f"{name}: {one!r} is no integer")
    return [int(one) for one in given]


def _asked_by_items(family: str, items: Sequence[Any]) -> dict[str, Any]:
    if items and all(isinstance(item, str) for item in items):
        return {"prompts": items}
    if items and all(isinstance(item, int | np.integer) for item in items):
        single = len(items) == 1 or family == "words"
        integers = _integers(items, "count" if single else "label")
        return {"n": integers[0]} if single else {"labels": integers}
    raise ValueError(f"cannot sample from an input of {len(items)} items: give prompts, labels, a count or pictures")
