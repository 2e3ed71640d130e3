"""Variants: lists stand for cross products, and the names are those that the committed results have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.config.load import load_params
from bench.config.variants import Swept, expand_variants, variant_id

ROOT = Path(__file__).parents[2]
PARAMS = load_params(ROOT / "params.yaml", "cpu")
SWEEPS = {
    name: block["sample"]["variants"] for name, block in PARAMS.generators().items() if "variants" in block["sample"]
}
NOT_NAMED = {"images": {"n"}, "text_to_image": {"captions"}}

NGRAM_CHAR = [
    *(f"n={n},smoothing=mle" for n in range(1, 9)),
    *(f"n={n},smoothing=add_k" for n in range(2, 9)),
    *(f"n={n},smoothing=katz" for n in range(2, 9)),
    "n=5,smoothing=stupid_backoff",
    *(f"n={n},smoothing=kneser_ney" for n in range(1, 9)),
    *(f"n={n},smoothing=modified_kneser_ney" for n in range(3, 9)),
]
NGRAM_WORD = [
    *(f"n={n},smoothing=kneser_ney" for n in range(1, 6)),
    *(f"n={n},smoothing=modified_kneser_ney" for n in range(2, 6)),
    *(f"n={n},smoothing=mle" for n in range(1, 6)),
    *(f"n={n},smoothing=add_k" for n in range(2, 6)),
    *(f"n={n},smoothing=katz" for n in range(2, 6)),
    "n=3,smoothing=stupid_backoff",
]
POSITIONS = [
    "arm=attention-only",
    "arm=one-layer",
    *(f"arm={arm},context={c}" for arm in ("rotary", "learned", "sinusoidal", "none") for c in (64, 256)),
]
SCALING = [f"arm={size}-{share}" for size in ("xs", "s", "m", "l") for share in (1, 10, 100)]
DDPM = [
    *(f"sampler=ddim,steps={steps}" for steps in (50, 1, 2, 3, 5, 10, 20)),
    "sampler=ancestral,steps=50",
    "sampler=ddim,steps=1000",
    "sampler=ancestral,steps=1000",
]
LATENT = [f"guidance={g},steps={s}" for g, s in ((3.0, 50), (1.0, 50), (2.0, 50), (5.0, 50), (3.0, 10))]
VIDEO = ["", "taps=1", "taps=2", "sigma=0.0", "sigma=0.05", "sigma=0.3", "sigma=1.0", "alpha=0.0", "p=1.0"]


def names(name: str) -> list[str]:
    unnamed = NOT_NAMED.get(PARAMS.generator(name)["family"], set())
    return [
        variant_id({key: value for key, value in variant.items() if key not in unnamed}) for variant in SWEEPS[name]
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ngram-char", NGRAM_CHAR),
        ("ngram-word", NGRAM_WORD),
        ("transformer-positions", POSITIONS),
        ("transformer-scaling", SCALING),
        ("neural-lm", ["mixture=none", "mixture=ngram", "mixture=both"]),
        ("analogies-filters", ["kappa=0", "kappa=0.5", "kappa=2", "kappa=10", "features=steerable"]),
        ("video-textures", VIDEO),
        ("ddpm-mnist", DDPM),
        ("latent-diffusion-scenes", LATENT),
    ],
)
def test_cross_products_are_the_lists_that_they_replaced(name: str, expected: list[str]) -> None:
    assert names(name) == expected


def test_every_variant_has_its_rows_in_the_committed_results() -> None:
    rows = json.loads((ROOT / "reports" / "leaderboard.json").read_text(encoding="utf-8"))["rows"]
    measured: dict[str, set[str]] = {}
    for row in rows:
        measured.setdefault(row["generator"], set()).add(row["variant"])
    for name in SWEEPS:
        if name in measured and PARAMS.generator(name)["system"] != "video_textures":  # it names every setting
            missing = set(names(name)) - measured[name]
            assert not missing, f"{name}: {sorted(missing)}"


def test_the_last_list_varies_fastest_and_names_are_sorted() -> None:
    expanded = expand_variants([{"b": [1, 2], "a": ["x", "y"]}, {}, {"c": [[1, 2], [3]]}], "variants")
    assert [variant_id(one) for one in expanded] == [
        "a=x,b=1", "a=y,b=1", "a=x,b=2", "a=y,b=2", "", "c=[1, 2]", "c=[3]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([], r"variants: must be a list of at least one variant"),
        ({"n": 1}, r"variants: must be a list of at least one variant"),
        ([{"n": []}], r"variants\[0\].n: the list holds no value"),
        ([{}, 3], r"variants\[1\]: must be a mapping"),
    ],
)
def test_wrong_variants(variants: object, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        expand_variants(variants, "variants")


def test_two_variants_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="2 of them are called 'n=1'"):
        Swept(variants=({"n": 1}, {"n": 2}, {"n": 1}))
