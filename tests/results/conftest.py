"""A made-up workspace with every family: what the stages would leave, with invented numbers and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bench.base.files import write_json, write_text
from bench.results.extras import Curve, Extra, Gallery, Line, Note, Strip, Table, Text, write_extras
from bench.results.pictures import grid, png

REPOSITORY = Path(__file__).resolve().parents[2]
Rows = list[dict[str, Any]]
SYSTEMS: dict[str, dict[str, tuple[str, str, str]]] = {
    "words": {
        "ngram-char": ("ngram", "shakespeare", "generator"),
        "ngram-word": ("ngram", "shakespeare", "generator"),
        "transformer-char": ("transformer_lm", "shakespeare", "generator"),
        "dummy-words": ("dummy_words", "shakespeare", "floor"),
        "memoriser-words": ("memoriser_words", "shakespeare", "memoriser"),
    },
    "by_example": {
        "efros-leung": ("texture_synthesis", "textures", "generator"),
        "dummy-texture": ("dummy_texture", "textures", "floor"),
        "real-texture": ("real_texture", "textures", "ceiling"),
    },
    "encoders": {
        "resnet-digits": ("resnet", "mnist", "generator"),
        "clip-scenes-a": ("clip", "scenes", "generator"),
        "clip-scenes-b": ("clip", "scenes", "generator"),
        "dummy-encoder": ("dummy_encoder", "scenes", "floor"),
    },
    "codecs": {
        "vqvae-gradient": ("vqvae", "mnist", "generator"),
        "vqvae-ema": ("vqvae", "mnist", "generator"),
        "vqvae-restart": ("vqvae", "mnist", "generator"),
        "dummy-codec": ("dummy_codec", "mnist", "floor"),
    },
    "images": {
        "ddpm-mnist": ("ddpm", "mnist", "generator"),
        "real-mnist": ("real_images", "mnist", "ceiling"),
        "memoriser-images": ("memoriser_images", "mnist", "memoriser"),
        "dummy-images": ("dummy_images", "mnist", "floor"),
    },
    "text_to_image": {
        "latent-diffusion-scenes": ("latent_diffusion", "scenes", "generator"),
        "real-scenes": ("real_scenes", "scenes", "ceiling"),
        "dummy-scenes": ("dummy_scenes", "scenes", "floor"),
    },
}


class Writer:
    """Collects the records of one generator."""

    def __init__(self, name: str, family: str) -> None:
        self.name, self.family = name, family
        self.system, self.dataset, self.role = SYSTEMS[family][name]
        self.rows: Rows = []

    def add(
        self,
        metric: str,
        value: float | None,
        half: float | None,
        protocol: str,
        *,
        variant: str = "",
        part: str = "",
        split: str = "test",
    ) -> None:
        interval = None if value is None or half is None else [value - half, value + half]
        self.rows.append(
            {
                "generator": self.name,
                "system": self.system,
                "family": self.family,
                "dataset": self.dataset,
                "role": self.role,
                "seed": 0,
                "metric": metric,
                "protocol": protocol,
                "value": value,
                "ci95": interval,
                "n": 2000,
                "variant": variant,
                "split": split,
                "slice": part,
            }
        )


def _words(w: Writer) -> None:
    protocol, ppl = "bits_per_byte/shakespeare/by-work/v1", "perplexity/char/v1"
    if w.system == "ngram":
        word = w.name == "ngram-word"
        for n in range(1, 4 if word else 7):
            for smoothing, extra in (("mle", None if n > 2 else 0.5), ("add_k", 0.15 * n), ("kneser_ney", 0.0)):
                base = (2.9 if word else 4.7) * 0.8 ** min(n, 4) + (0.35 if word else 0.2) + 0.003 * n
                variant = f"n={n},smoothing={smoothing}"
                value = None if extra is None else base + extra
                w.add("bits_per_byte", value, 0.02, protocol, variant=variant)
                w.add("bits_per_byte", value, 0.02, "bits_per_byte/validation/v1", variant=variant, split="validation")
                w.add("perplexity", None if extra is None else 2 ** (base + extra), 0.2, ppl, variant=variant)
                w.add(
                    "verbatim_copy_rate",
                    min(0.95, 0.02 * 2**n),
                    0.01,
                    "verbatim_copy_rate/window=20/v1",
                    variant=variant,
                )
    else:
        value = {"transformer-char": 2.24, "dummy-words": 6.9, "memoriser-words": 5.1}[w.name]
        w.add("bits_per_byte", value, 0.02, protocol)
        w.add("verbatim_copy_rate", 0.99 if w.role == "memoriser" else 0.03, 0.01, "verbatim_copy_rate/window=20/v1")


def _by_example(w: Writer) -> None:
    for window in (5, 11, 17) if w.role == "generator" else (0,):
        variant = f"window={window}" if window else ""
        value = {"floor": 0.4, "ceiling": 0.02}.get(w.role, 0.2 - 0.008 * window)
        w.add("structure_error", value, 0.006, "structure_error/patch=9/v1", variant=variant)
        distance = {"floor": 4.1, "ceiling": 1.05}.get(w.role, 1.2 - 0.004 * window)
        w.add("texture_distance", distance, 0.03, "texture_distance/ref=unseen/v1", variant=variant)
        w.add(
            "copied_share",
            {"floor": 0.0, "ceiling": 0.0}.get(w.role, 0.04 * window),
            0.02,
            "copied_share/patch=15/v1",
            variant=variant,
        )


def _encoders(w: Writer) -> None:
    if w.dataset == "mnist":
        w.add("accuracy", 0.9943, 0.0015, "accuracy/test/v1")
        return
    for templates in ("single", "ensemble"):
        for part, gap in (("", 0.0), ("seen", -0.01), ("unseen-combinations", 0.06)):
            value = (
                0.013
                if w.role == "floor"
                else 0.93 + 0.015 * (templates == "ensemble") - gap - 0.004 * w.name.endswith("b")
            )
            w.add(
                "zero_shot_accuracy",
                value,
                0.012,
                "zero_shot_accuracy/classes=80/v1",
                variant=f"templates={templates}",
                part=part,
            )
    w.add("retrieval_at_1", 0.002 if w.role == "floor" else 0.71, 0.02, "retrieval_at_1/n=500/v1")


def _codecs(w: Writer) -> None:
    psnr, ssim, usage = {
        "vqvae-gradient": (20.3, 0.84, 0.19),
        "vqvae-ema": (21.6, 0.87, 0.07),
        "vqvae-restart": (23.1, 0.92, 1.0),
        "dummy-codec": (9.9, 0.12, 0.5),
    }[w.name]
    w.add("psnr", psnr, 0.1, "psnr/test/v1")
    w.add("ssim", ssim, 0.004, "ssim/test/v1")
    w.add("codebook_usage", usage, 0.004, "codebook_usage/test/k=256/v1")


def _images(w: Writer) -> None:
    fid, kid = "fid/resnet-digits/n=2000/ref=test/v1", "kid/resnet-digits/n=2000/v1"
    steps = (
        {1: 2457.0, 3: 61.5, 10: 15.1, 50: 14.0}
        if w.role == "generator"
        else {0: {"ceiling": 3.9, "memoriser": 4.2, "floor": 27000.0}[w.role]}
    )
    for step, value in steps.items():
        variant = f"sampler=ddim,steps={step}" if step else ""
        w.add("fid", value, 0.06 * value, fid, variant=variant)
        if variant:
            w.add("fid", value, 0.06 * value, fid.replace("test", "validation"), variant=variant, split="validation")
        w.add("kid", value / 900, 0.1 * value / 900, kid, variant=variant)
        w.add(
            "class_accuracy",
            0.1 if value > 1000 else 0.97,
            0.01,
            "class_accuracy/resnet-digits/v1",
            variant=variant,
        )
        w.add(
            "near_copy_share",
            1.0 if w.role == "memoriser" else 0.01,
            0.004,
            "near_copy_share/pixels/q=0.01/v1",
            variant=variant,
        )
        ratio = 0.0 if w.role == "memoriser" else 1.1
        w.add("nearest_train_ratio", ratio, 0.03, "nearest_train_ratio/pixels/v1", variant=variant)


def _text_to_image(w: Writer) -> None:
    for guidance in (1, 3, 5) if w.role == "generator" else (0,):
        variant = f"guidance={guidance},steps=50" if guidance else ""
        value = {"floor": 0.012, "ceiling": 0.97}.get(w.role, {1: 0.69, 3: 0.96, 5: 0.965}.get(guidance, 0.0))
        for part, gap in (
            ("single", 0.0),
            ("unseen-combinations", 0.03),
            ("relation", 0.6 if w.role == "generator" else 0.0),
        ):
            w.add(
                "both_accuracy",
                max(0.0, value - gap),
                0.02,
                "both_accuracy/detector-scenes/v1",
                variant=variant,
                part=part,
            )
        w.add("both_accuracy", value, 0.02, "both_accuracy/detector-scenes/v1", variant=variant)
        w.add("clip_score", 20 + 60 * value, 0.8, "clip_score/clip-scenes-b/v1", variant=variant)
        w.add(
            "fid",
            {"floor": 900.0, "ceiling": 5.0}.get(w.role, 40.0 + guidance),
            3.0,
            "fid/detector-scenes/n=1000/v1",
            variant=variant,
        )


MAKERS: dict[str, Callable[[Writer], None]] = {
    "words": _words,
    "by_example": _by_example,
    "encoders": _encoders,
    "codecs": _codecs,
    "images": _images,
    "text_to_image": _text_to_image,
}


def _blobs(seed: int, n: int = 20, size: int = 28, channels: int = 1) -> np.ndarray:
    """Smooth random pictures."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    centre = rng.uniform(0.25, 0.75, (n, 2, 1, 1))
    picture = np.exp(-(((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2) / rng.uniform(0.01, 0.06, (n, 1, 1))))
    colour = rng.uniform(0.3, 1, (n, 1, 1, channels)) if channels > 1 else 1.0
    return (255 * picture[..., None] * colour).astype(np.uint8)


def _extras(w: Writer) -> list[Extra]:
    seed = sum(map(ord, w.name))
    if w.family == "words":
        text = "To be the state of all the world, and let the man that hath no music in himself\nBe sorrowful.  " * 3
        return [Text(text, f"sample {i}", prompt="To be") for i in range(5)]
    if w.family == "encoders":
        return []
    channels = 3 if w.dataset == "scenes" else 1
    size = 32 if w.dataset == "scenes" else 28
    sheets = [png(grid(_blobs(seed + i, size=size, channels=channels))) for i in range(2)]
    gallery = Gallery(
        "DDIM, 50 steps",
        sheets[0],
        f"Twenty pictures by {w.name}",
        columns=10,
        captions=tuple(f"a red {i}" for i in range(20)),
        neighbours_png=sheets[1],
    )
    extras: list[Extra] = [gallery, Note("Invented for the tests.")]
    if w.name == "ddpm-mnist":
        points = ((1, 2457.0), (3, 61.5), (10, 15.1), (50, 14.0))
        extras += [
            Strip("Noise to digit", sheets[0], "Noise becoming digits", captions=("t=999", "t=0")),
            Curve("FID against steps", "steps", "FID", (Line("ddim", points),), log_x=True, log_y=True),
            Table("Ladder of known degradations", ("what", "FID"), (("blur 1.0", 355.0), ("noise 0.2", 493.0)), "n"),
        ]
    return extras


def make_workspace(root: Path) -> Path:
    """Write the whole workspace under ``root``."""
    params: dict[str, Any] = {"profile": "cpu", "seed": 0, "datasets": {}}
    lock: dict[str, Any] = {"schema": "2.0", "stages": {}}
    for dataset in ("shakespeare", "textures", "mnist", "scenes"):
        params["datasets"][dataset] = {"card": f"datasets/{dataset}.yaml"}
        meta = {
            "name": dataset,
            "kind": "text",
            "splits": {"train": 9, "test": 2},
            "licence": f"licence of {dataset}",
            "attribution": f"made by {dataset}",
            "digest": "ab" * 32,
        }
        write_json(root / "data/prepared" / dataset / "meta.json", meta)
    for family, members in SYSTEMS.items():
        params[family] = {}
        for name, (system, dataset, role) in members.items():
            params[family][name] = {"system": system, "dataset": dataset, "role": role}
            writer = Writer(name, family)
            MAKERS[family](writer)
            extras = write_extras(root / "evaluations" / name, _extras(writer))
            write_json(
                root / "evaluations" / f"{name}.json", {"generator": name, "records": writer.rows, "extras": extras}
            )
            seed = sum(map(ord, name))
            cost = {
                "seconds": 10.0 + seed % 200,
                "train_flops": 1e11 * (1 + seed % 97),
                "parameters": 1000 * (1 + seed % 50),
                "peak_memory_bytes": 4e8,
            }
            write_json(
                root / f"runs/{name}/train.json",
                {**cost, "machine": {"device": "cpu", "threads": 2, "name": "Test CPU"}},
            )
            variants = dict.fromkeys(row["variant"] for row in writer.rows)
            write_json(
                root / f"runs/{name}/sample.json",
                {"seconds": 1.0, "variants": {v: {"seconds_per_item": 0.01 + 0.001 * len(v)} for v in variants}},
            )
            if role == "generator":
                steps = np.arange(1, 400)
                loss = 0.1 + 2.0 / np.sqrt(steps) + 0.02 * np.random.default_rng(seed).normal(size=len(steps))
                lines = [f"{s}\t{0.05 * s}\t{1e9 * s}\t{value:.5f}" for s, value in zip(steps, loss, strict=True)]
                write_text(root / f"runs/{name}/history.tsv", "\n".join(["step\tseconds\tflops\tloss", *lines]) + "\n")
            for kind, folder in (("train", f"models/{name}"), ("evaluate", f"evaluations/{name}.json")):
                deps = [
                    {"path": f"data/prepared/{dataset}", "md5": "cd" * 16},
                    {"path": f"build/plan/{kind}-{name}.json", "md5": "ef" * 16},
                ]
                lock["stages"][f"{kind}-{family}@{name}"] = {
                    "cmd": f"python stages/{kind}.py {name}",
                    "deps": deps,
                    "outs": [{"path": folder}],
                }
    write_text(root / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    write_text(root / "dvc.lock", yaml.safe_dump(lock))
    return root


def blocks(root: Path) -> dict[str, dict[str, Any]]:
    """name -> block, as ``bench.config.load.Params.generators`` gives it (without the slots that a real block must
    name)."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    return {
        name: {**block, "name": name, "family": family}
        for family in SYSTEMS
        for name, block in params.get(family, {}).items()
    }


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up workspace; do not write into it."""
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def fresh_workspace(tmp_path: Path) -> Path:
    """A made-up workspace of one's own."""
    return make_workspace(tmp_path)


@pytest.fixture(scope="session")
def declared() -> Callable[[Path], dict[str, dict[str, Any]]]:
    """The function that reads the declared blocks of a workspace."""
    return blocks


@pytest.fixture(scope="session")
def reports() -> Path:
    """The repository's ``reports/`` folder with schema, claims and templates."""
    return REPOSITORY / "reports"
