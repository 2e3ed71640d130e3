"""``bench sample``: one command for every contract."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.finite import drawn_by
from bench.base.progress import Progress
from bench.base.settings import build_config
from bench.catalogue.families import FAMILIES
from bench.commands.flags import SETTINGS, TAKES, StyleFiles, check_flags, check_output, parse_options
from bench.config.load import Params, load_params
from bench.contracts import extends
from bench.inference import Request, predict

__all__ = ["SHORT_NAMES", "find", "parse_size", "run", "run_from_files"]

SHORT_NAMES: Mapping[str, str] = {
    "texture": "texture_synthesis",
    "video-texture": "video_textures",
    "analogy": "image_analogies",
    "style": "style_transfer",
}
"""What people type -> the system whose first block is meant."""


def _swept(block: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Text of a value -> (setting, value), over the variants that a block sweeps; the first setting that has the value
    wins."""
    found: dict[str, tuple[str, Any]] = {}
    for options in (block.get("sample") or {}).get("variants") or ():
        for key, value in options.items():
            found.setdefault(str(value), (str(key), value))
    return found


def find(params: Params, name: str) -> tuple[str, dict[str, Any]]:
    """The generator that ``name`` means, and the setting that it selects.

    A block's name; or a short name (``texture``), which means the first block of its system; or the unique beginning of
    a block's name (``latent-diffusion``); or either with ``-VALUE`` behind, where VALUE is one of the values that the
    block sweeps (``ngram-word-3`` is ``ngram-word`` with ``n: 3``).

    Raises:
        BenchError: no such generator, or several.
    """
    known = list(params.generators())

    def block_of(text: str) -> str | None:
        if text in known:
            return text
        matches = [candidate for candidate in known if candidate.startswith(text)]
        if len(matches) > 1:
            raise BenchError(f"{name!r} may be {', '.join(matches)}: give more of the name")
        return matches[0] if matches else None

    if name in known:
        return name, {}
    for candidate, block in params.generators().items():
        if block["system"] == SHORT_NAMES.get(name) and block["role"] == "generator":
            return candidate, {}
    stem, dash, value = name.rpartition("-")
    if dash and stem:
        found = stem if stem in known else None
        if (
            found is None
            and sum(candidate.startswith(stem) for candidate in known) == 1
            and not any(k.startswith(name) for k in known)
        ):
            found = block_of(stem)
        if found is not None:
            swept = _swept(params.generator(found))
            if value in swept:
                key, setting = swept[value]
                return found, {key: setting}
            if not any(candidate.startswith(name) for candidate in known):
                hint = f"it sweeps {', '.join(sorted(swept))}" if swept else "it sweeps nothing"
                near = did_you_mean(name, known)
                raise BenchError(f"no generator {name!r}, and {found!r} has no setting {value!r}: {hint}.{near}")
    match = block_of(name) if name else None
    if match is None:
        raise BenchError(f"no generator {name!r}.{did_you_mean(name, known)}")
    return match, {}


def parse_size(text: str) -> tuple[int, int]:
    """``"96x128"`` -> (96, 128); one number is a square.

    Raises:
        BenchError: not HxW.
    """
    parts = text.lower().split("x")
    try:
        height, width = (int(part) for part in (parts if len(parts) == 2 else parts * 2))
    except ValueError:
        raise BenchError(f"--size {text!r}: give height and width, as in 96x128") from None
    if min(height, width) < 1 or max(height, width) > 4096:
        raise BenchError(f"--size {text!r}: each side from 1 to 4096")
    return height, width


def _exemplar(root: Path, family: str, dataset: str, given: str | None, n: int) -> NDArray[np.uint8] | None:
    """The picture that a texture or a codec starts from: a file, a name in the prepared data, or the first of it."""
    if family not in ("by_example", "codecs", "encoders"):
        return None
    if given is not None and Path(given).is_file():
        from bench.data.readers import read_picture

        picture = read_picture(Path(given))
        return picture if family == "by_example" else (picture if picture.ndim == 3 else picture[..., None])[None]
    folder = root / "data" / "prepared" / dataset
    if not any(folder.glob("*.npz")):
        raise BenchError(
            f"no prepared pictures in {folder}: run `dvc repro prepare@{dataset}`, or give --exemplar FILE"
        )
    from bench.data.datasets import load_exemplars, load_images

    if family == "by_example":
        exemplars = load_exemplars(folder)
        name = given or next(iter(exemplars))
        if name not in exemplars:
            raise BenchError(
                f"--exemplar {name!r} is no file and no texture of {dataset}.{did_you_mean(name, exemplars)}"
            )
        return exemplars[name]
    if given is not None:
        raise BenchError(f"--exemplar {given!r}: no such file")
    return load_images(folder)["test"].images[:n]


_FROM_FILES = {"video-texture": ("video",), "analogy": ("a", "a-prime", "b"), "style": ("content", "style")}
"""What is made from the user's files alone, and the files that it needs."""
_FURTHER = {"video-texture": ("seconds", "loop", "seed"), "analogy": (), "style": ("size", "seed")}
"""Further flags that it takes."""


def run_from_files(
    root: Path,
    name: str,
    files: Mapping[str, Any],
    played: Mapping[str, Any],
    *,
    seed: int,
    size: str,
    options: Sequence[str],
    out: Path | None,
    flags: Collection[str] = (),
) -> bool:
    """A video texture, an analogy or a picture in another's style; False if the name means something else.

    Raises:
        BenchError: a file is missing, or belongs to something else.
    """
    given = [key for key, value in files.items() if value]
    kind = next((kind for kind in _FROM_FILES if name == kind), None)
    if kind is None:
        if given:
            raise BenchError(
                f"--{given[0]} belongs to {next(k for k, needs in _FROM_FILES.items() if given[0] in needs)}, not "
                f"to {name!r}"
            )
        return False
    needs = _FROM_FILES[kind]
    if missing := [key for key in needs if key not in given]:
        raise BenchError(f"{kind} needs {', '.join(f'--{key} FILE' for key in missing)}")
    if odd := [key for key in given if key not in needs]:
        raise BenchError(f"--{odd[0]} does not belong to {kind}, which takes {', '.join(f'--{key}' for key in needs)}")
    check_flags(flags, (*(need.replace("-", "_") for need in needs), *_FURTHER[kind]), kind)
    settings = parse_options(options)
    if kind == "video-texture":
        from bench.commands.video_sampling import run_video

        print(run_video(files["video"], out=out, seed=seed, options=settings, **played))
    elif kind == "analogy":
        from bench.commands.analogy_sampling import run_analogy

        run_analogy(files["a"], files["a-prime"], files["b"], out or Path("analogy.png"), options=settings)
    else:
        from bench.commands.style_sampling import run_style

        own = {key: settings.pop(key) for key in ("weights", "strip") if key in settings}
        given_files = build_config(StyleFiles, own, "--option")
        paths: dict[str, Any] = {key: Path(getattr(given_files, key)) for key in own}
        side = max(parse_size(size)) if "size" in flags else 256
        run_style(
            root,
            files["content"],
            files["style"],
            out or Path("style.png"),
            size=side,
            seed=seed,
            options=settings,
            **paths,
        )
    return True


def run(
    root: Path,
    name: str,
    *,
    prompts: Sequence[str],
    negative_prompt: str | None,
    labels: Sequence[int],
    n: int,
    seed: int,
    chars: int,
    exemplar: str | None,
    size: str,
    settings: Mapping[str, Any],
    options: Sequence[str],
    out: Path | None,
    scale: int,
    flags: Collection[str] = (),
) -> None:
    """Load the model, ask it, print or write the answer.

    Raises:
        BenchError: unknown name, no trained model, an option that the system does not know, a file that cannot be
            written.
    """
    params = load_params(root / "params.yaml")
    found, selected = find(params, name)
    block = params.generator(found)
    family = block["family"]
    if family in ("encoders", "text_encoders"):
        seen = "pictures and draws none" if family == "encoders" else "texts and writes none"
        raise BenchError(f"{found!r} is an encoder: it looks at {seen}. Its measurements: `bench compare {found} ...`")
    if kind := next((short for short in _FROM_FILES if SHORT_NAMES[short] == block["system"]), None):
        files = " ".join(f"--{key} FILE" for key in _FROM_FILES[kind])
        raise BenchError(f"{found!r} works on files of yours: `bench sample {kind} {files}`")
    from bench.base.processes import resolve_device, set_threads
    from bench.capabilities import GrowingSynthesizer, takes_negative_prompts
    from bench.registry import adjust, build_system, contract_of, load_model, resolve, sample_options

    cls = resolve(block["system"])  # before the device: only what is imported tells whether torch is in use
    contract = contract_of(cls, family)
    taken = next((TAKES[one] for one in extends(contract, FAMILIES[family].contracts) if one in TAKES), None)
    if taken is None:
        raise BenchError(
            f"{found!r} is of contract {contract}, and `bench sample` asks only {', '.join(TAKES)}. What its block "
            f"asks for is drawn by `dvc repro sample-{family}@{found}`"
        )
    if "negative_prompt" in taken and not takes_negative_prompts(cls):
        taken = tuple(flag for flag in taken if flag != "negative_prompt")
    check_flags([flag for flag in flags if flag not in SETTINGS], taken, f"{found} ({block['system']})")
    if family != "words":
        read = [Path(exemplar)] if exemplar is not None and Path(exemplar).is_file() else []
        check_output(out := out or Path(f"{found}.png"), (".png",), "pictures", read)
    elif out is not None:
        check_output(out, (), "texts")
    if n > 1 and max(len(prompts), len(labels)) > 1:
        raise BenchError("--n does nothing with several prompts or labels: each gives one sample")
    chosen = parse_options(options)
    if twice := sorted(set(settings) & set(chosen)):
        raise BenchError(f"--{twice[0]} and --option {twice[0]}=...: give one of them")
    chosen = {**selected, **settings, **chosen}
    config = build_config(cls.Config, block["model"], f"{params.path}: {family}.{found}.model")
    sample_options(cls, config, chosen, f"options: {found}")
    height_width = parse_size(size)
    device = resolve_device(params.runtime["device"])
    set_threads(params.runtime["threads"])
    defaults = block["sample"].get("defaults") or {}
    if hasattr(cls, "fit") or (root / "models" / found / "model.json").is_file():
        system = load_model(root / "models" / found, device, defaults=defaults)
    else:  # nothing to train: what its block says is all of it
        system = build_system(block, where := f"{params.path}: {family}.{found}")
        adjust(system, defaults, f"{where}.sample.defaults")
    pictures = _exemplar(root, family, block["dataset"], exemplar, n)
    bar = Progress(
        f"sample {found}",
        n * height_width[0] * height_width[1],
        "pixels",
        quiet=not isinstance(system, GrowingSynthesizer),
    )
    request = Request(
        progress=bar.update,
        prompts=prompts,
        negative_prompts=None if negative_prompt is None else [negative_prompt],
        labels=labels or None,
        n=n,
        n_chars=chars,
        seed=seed,
        exemplar=pictures,
        size=height_width,
        options=chosen,
    )
    with bar, drawn_by(found):
        items = predict(system, family, request)
    if family == "words":
        _write_texts([f"{prompt}{text}" for prompt, text in zip(_all(prompts, n), items, strict=True)], out)
    elif out is not None:
        arrays = [np.asarray(item) for item in items]
        if family == "codecs" and pictures is not None:
            arrays = [np.concatenate([pictures[i], item], axis=0) for i, item in enumerate(arrays)]
        _write_pictures(arrays, out, scale)


def _all(prompts: Sequence[str], n: int) -> list[str]:
    given = list(prompts) or [""]
    return given * n if len(given) == 1 else given


def _write_texts(texts: Sequence[str], out: Path | None) -> None:
    text = "\n\n---\n\n".join(texts) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        from bench.base.files import write_text

        write_text(out, text)
        print(f"wrote {out}")


def _write_pictures(arrays: Sequence[NDArray[Any]], out: Path, scale: int) -> None:
    from bench.base.files import atomic
    from bench.results.pictures import grid, png_bytes

    columns = max(1, round(len(arrays) ** 0.5 + 0.49))
    picture = grid(np.stack(arrays), columns=columns, scale=scale)
    with atomic(out) as temporary:
        temporary.write_bytes(png_bytes(picture))
    print(f"wrote {out}: {len(arrays)} of {arrays[0].shape[1]}x{arrays[0].shape[0]} pixels")
    if sys.stdout.isatty():
        from bench.commands.preview import half_blocks

        print(half_blocks(picture, shutil.get_terminal_size().columns))
