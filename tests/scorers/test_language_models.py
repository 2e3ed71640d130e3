"""The evaluation of language models on a small prepared text: every byte counted, infinities kept apart, copiers
caught."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json, write_text_samples
from bench.base.settings import build_config
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.families.words.ngram import NGram, NGramConfig
from bench.families.words.sampling import sample
from bench.metrics.memorisation import copies_beyond_doubt
from bench.registry import resolve
from bench.results.extras import Curve, Items, Table, Text, of_kind, read_extras, write_extras
from bench.scorers.likelihood import text_likelihood
from bench.scoring import Evaluation, evaluate

SCORERS = FAMILIES["words"].task("LanguageModel").scorers


def corpus() -> dict[str, str]:
    rng = np.random.default_rng(0)
    names, verbs = (
        ["the king", "a fool", "my lady", "the duke", "old Tom"],
        ["sees", "hears", "fears", "obeys", "mocks"],
    )

    def speech(lines: int) -> str:
        return "".join(
            f"{names[rng.integers(5)]} {verbs[rng.integers(5)]} {names[rng.integers(5)]}.\n" for _ in range(lines)
        )

    return {"train": speech(400), "validation": speech(60), "test": speech(150) + "the caf\u00e9 mocks Zeus.\n"}


def run(tmp_path: Path, name: str, block: dict[str, Any]) -> tuple[StageContext, Evaluation]:
    data, model = tmp_path / "data", tmp_path / "models" / name
    data.mkdir(exist_ok=True)
    write_json(data / "meta.json", {"kind": "text"})
    for split, text in corpus().items():
        (data / f"{split}.txt").write_text(text, encoding="utf-8")
    cls = resolve(block["system"])
    config = build_config(cls.Config, block.get("model", {}), name)
    system = cls(config)
    texts = {split: text for split, text in corpus().items() if split != "test"}
    system.fit(texts, RunContext(name=name, train=block.get("train", {})))
    system.save(model)
    write_json(model / "model.json", {"name": name, "system": block["system"], "config": dataclasses.asdict(config)})
    context = StageContext(
        name=name,
        family="words",
        block={"dataset": "speech", "evaluate": {"block": 400, "passage": 40}, **block},
        seed=0,
        device="cpu",
        data=data,
        model=model,
        samples=tmp_path / f"{name}.jsonl",
        quiet=True,
    )
    sets = sample(context)
    assert context.samples is not None
    for item in sets:
        assert item.texts is not None
        assert item.info.pop("seconds_per_item") * len(item.texts) == pytest.approx(item.info.pop("seconds"))
    write_text_samples(context.samples, sets)
    return context, evaluate(context, SCORERS)


SWEEP = [{"n": n, "smoothing": smoothing} for smoothing in ("mle", "kneser_ney") for n in (1, 2, 4)]
SAMPLE = {"texts": 6, "characters": 150, "prompts": ["", "the king "]}


def rows(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    return {
        record.variant: record for record in evaluation.records if record.metric == metric and record.split == "test"
    }


def test_sweep_of_an_ngram(tmp_path: Path) -> None:
    block = {"system": "ngram", "model": {"order": 4}, "sample": {**SAMPLE, "variants": SWEEP}}
    context, evaluation = run(
        tmp_path, "ngram-char", {**block, "evaluate": {"block": 400, "train_characters": 2000, "passage": 40}}
    )
    bits, copies = rows(evaluation, "bits_per_byte"), rows(evaluation, "verbatim_copy_rate")
    assert len(bits) == len(copies) == len(rows(evaluation, "perplexity")) == 6
    best = bits["n=4,smoothing=kneser_ney"]
    test = corpus()["test"]
    model = context.load()
    assert best.value == pytest.approx(-model.log_prob(test, 4, "kneser_ney").sum() / len(test.encode()) / math.log(2))
    assert best.ci95 is not None and best.ci95[0] < best.value < best.ci95[1]
    assert (
        best.n == len(test.encode())
        and best.protocol == "bits_per_byte/test/all-bytes/v1"
        and best.higher_is_better is False
    )
    assert bits["n=1,smoothing=kneser_ney"].value > best.value
    impossible = bits["n=1,smoothing=mle"]
    assert impossible.value is None and impossible.ci95 is None
    assert (
        rows(evaluation, "perplexity")["n=4,smoothing=kneser_ney"].protocol
        == f"perplexity/test/{model.vocabulary_name}/all-bytes/v1"
    )
    zero = next(table for table in of_kind(evaluation.extras, Table) if "cannot happen" in table.title)
    assert [row[0] for row in zero.rows] == [f"n={n},smoothing=mle" for n in (1, 2, 4)]
    assert 0 < zero.rows[0][1] < zero.rows[2][1] < 1
    assert copies["n=1,smoothing=mle"].value < copies["n=4,smoothing=mle"].value
    curve = {line.name: line.points for line in of_kind(evaluation.extras, Curve)[0].series}
    assert [x for x, _ in curve["kneser ney"]] == [1, 2, 4]
    assert (
        len(curve["mle, on training text"]) == 3 and "mle" not in curve
    )  # finite on what it was trained on, infinite held-out
    texts = of_kind(evaluation.extras, Text)
    assert len(texts) == 12 and texts[1].prompt == "the king "
    (blocks,) = (item for item in of_kind(evaluation.extras, Items) if item.variant == best.variant)
    assert sum(blocks.totals) / sum(blocks.weights) == pytest.approx(best.value, abs=1e-4)
    described = write_extras(tmp_path / "extras", evaluation.extras)
    assert len(read_extras(tmp_path / "extras", described)) == len(evaluation.extras)
    assert sample(context)[0].texts == sample(context)[0].texts


def test_models_are_scored_on_the_same_bytes_and_only_the_copier_is_copies_beyond_doubt(tmp_path: Path) -> None:
    systems: dict[str, dict[str, Any]] = {
        "words": {"system": "ngram", "model": {"unit": "words", "order": 2}},
        "dummy": {"system": "dummy_words"},
        "memoriser": {"system": "memoriser_words"},
        "transformer": {
            "system": "transformer_lm",
            "model": {"width": 16, "layers": 1, "heads": 1, "context": 16},
            "train": {"steps": 40, "batch_size": 8, "lr": 0.01, "warmup": 4},
        },
    }
    bits, verdicts = {}, {}
    for name, block in systems.items():
        variants = [{"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.9}] if name == "transformer" else [{}]
        _, evaluation = run(tmp_path, name, {**block, "sample": {**SAMPLE, "variants": variants}})
        (record,) = rows(evaluation, "bits_per_byte").values()
        assert (record.protocol, record.n, record.variant) == (
            "bits_per_byte/test/all-bytes/v1",
            len(corpus()["test"].encode()),
            "",
        )
        assert (
            set(rows(evaluation, "verbatim_copy_rate")) == {"temperature=1.0", "temperature=0.7,top_p=0.9"}
            or name != "transformer"
        )
        bits[name] = record.value
        verdicts[name] = [row[-1] for row in of_kind(evaluation.extras, Table)[-1].rows]
    assert bits["dummy"] == pytest.approx(8)
    assert bits["words"] < bits["transformer"] < bits["dummy"]
    assert verdicts.pop("memoriser")[0] == "yes"
    assert verdicts == {"words": ["no", "-"], "dummy": ["no", "-"], "transformer": ["no", "no", "-"]}


def test_a_limit_is_a_protocol_of_its_own(tmp_path: Path) -> None:
    block = {"system": "dummy_words", "sample": SAMPLE, "evaluate": {"characters": 100, "block": 20, "passage": 40}}
    record = rows(run(tmp_path, "dummy", block)[1], "bits_per_byte")[""]
    assert record.protocol == "bits_per_byte/test/first-100-bytes/v1" and record.n == 100


def test_blocks_hold_every_byte_once() -> None:
    model = NGram(NGramConfig(unit="words", order=2))
    model.fit(corpus(), RunContext())
    text = corpus()["test"]
    one, many = text_likelihood(model, text, 10**9, {}), text_likelihood(model, text, 300, {})
    assert len(one.nats) == 1 and len(many.nats) > 5
    assert many.sizes.sum() == one.sizes.sum() == len(text.encode())
    assert many.nats.sum() == pytest.approx(one.nats.sum())
    assert many.sizes.min() > 140 and many.tokens.sum() == len(model.log_prob(text))


def test_a_model_that_skips_bytes_is_refused() -> None:
    class Skipper:
        def log_prob(self, text: str) -> np.ndarray[Any, Any]:
            return np.zeros(len(text) - 1)

        def token_bytes(self, text: str) -> np.ndarray[Any, Any]:
            return np.ones(len(text) - 1, dtype=np.int64)

    with pytest.raises(BenchError, match="must cover every byte"):
        text_likelihood(Skipper(), "abc", 10, {})


def test_flag() -> None:
    assert copies_beyond_doubt(1.0, (1.0, 1.0), 0.008, (0.005, 0.01))
    assert not copies_beyond_doubt(0.08, (0.07, 0.09), 0.0, (0.0, 0.0))
    assert not copies_beyond_doubt(0.4, (0.3, 0.5), 0.1, (0.08, 0.12))


def test_windows_longer_than_the_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no text holds 400 characters"):
        run(tmp_path, "dummy", {"system": "dummy_words", "sample": SAMPLE, "evaluate": {"copied": 400}})
