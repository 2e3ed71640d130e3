"""The evaluation of Markov chains on a small series and on letters: losses, long run, tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import write_json, write_text_samples
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.contracts import RunContext
from bench.families.words.markov_chain import MarkovChain, MarkovChainConfig
from bench.families.words.sampling import sample
from bench.results.extras import Items, Note, Table, Text, of_kind
from bench.scoring import Evaluation, evaluate

SCORERS = FAMILIES["words"].task("StateModel").scorers


def weather(length: int, seed: int) -> str:
    """Two dry or two wet days in a row go on with 0.9; after a change anything is as likely as not."""
    rng, states = np.random.default_rng(seed), [0, 0]
    for u in rng.random(length):
        stay = 0.9 if states[-1] == states[-2] else 0.5
        states.append(states[-1] if u < stay else 1 - states[-1])
    return "".join(f"{('dry', 'wet')[state]}\n" for state in states[2:])


def run(tmp_path: Path, kind: str, **evaluating: Any) -> tuple[StageContext, Evaluation]:
    data, model = tmp_path / "data", tmp_path / "models" / "chain"
    data.mkdir()
    corpus = {"train": weather(1500, 0), "validation": weather(100, 1), "test": weather(900, 2)}
    for split, text in corpus.items():
        (data / f"{split}.txt").write_text(text, encoding="utf-8")
    write_json(data / "meta.json", {"kind": kind})
    chain = MarkovChain(MarkovChainConfig(unit="lines" if kind == "series" else "characters"))
    chain.fit(corpus, RunContext())
    chain.save(model)
    write_json(
        model / "model.json", {"name": "chain", "system": "markov_chain", "config": dataclasses.asdict(chain.config)}
    )
    settings = {"texts": 3, "characters": 120, "prompts": ["wet\n"], "variants": [{"order": k} for k in (0, 1, 2)]}
    block = {
        "system": "markov_chain",
        "dataset": "days",
        "sample": settings,
        "evaluate": {"long_run": 4000, **evaluating},
    }
    samples = tmp_path / "chain.jsonl"
    context = StageContext(
        name="chain",
        family="words",
        block=block,
        seed=0,
        device="cpu",
        data=data,
        model=model,
        samples=samples,
        quiet=True,
    )
    write_text_samples(samples, sample(context))
    return context, evaluate(context, SCORERS)


def test_a_series_is_scored_in_nats_per_state(tmp_path: Path) -> None:
    context, found = run(tmp_path, "series")
    chain, test = context.load(), weather(900, 2)
    rows = {(row.metric, row.variant, row.protocol.split("/")[1]): row for row in found.records}
    assert {row.metric for row in found.records} == {"nats_per_state", "accuracy", "stationary_distance"}
    for order in (0, 1, 2):
        row = rows["nats_per_state", f"order={order}", "test"]
        assert row.value == pytest.approx(-chain.log_prob(test, order).mean()) and row.n == 900
        assert row.ci95[0] < row.value < row.ci95[1] and row.protocol == "nats_per_state/test/lines-2/v1"
    losses = [rows["nats_per_state", f"order={k}", "test"].value for k in (0, 1, 2)]
    assert losses[0] > losses[1] + 0.05 > losses[2] + 0.1  # the data remember two days
    states = test.split()
    likeliest = {(a, b): chain.predict([a, b]) for a in chain.states for b in chain.states}
    hits = np.mean([likeliest[a, b] == c for a, b, c in zip(states, states[1:], states[2:], strict=False)])
    assert rows["accuracy", "order=2", "next-state"].value == pytest.approx(hits)
    for order in (0, 1, 2):
        sampled, held_out = (rows["stationary_distance", f"order={order}", name] for name in ("sampled", "test"))
        assert sampled.value < 0.06 and sampled.n == 4000 and held_out.n == 900
        shares = np.array([states.count(name) for name in chain.states]) / 900
        assert held_out.value == pytest.approx(np.abs(shares - chain.stationary(order)).sum() / 2)
        assert sampled.ci95[0] <= sampled.value <= sampled.ci95[1]
    tables = of_kind(found.extras, Table)
    titles = [table.title for table in tables]
    assert titles[:3] == ["Transition matrix of order 1", "Transition matrix of order 2", "The long run"]
    assert "Mean first passage" in titles and titles[-1].startswith("Forecasts of order 2")
    matrix = tables[1]
    assert matrix.rows[0][0] == "dry, dry" and matrix.rows[0][1] == chain.counts(2)[0].sum()
    assert matrix.note.endswith(chain.note)
    assert matrix.rows[0][2].startswith(f"{chain.transition_matrix(2)[0, 0]:.3f} (")
    (note,) = of_kind(found.extras, Note)
    assert note.text.startswith("Nats per state that remembering one state more saves")
    assert "from order 1 to 2 +0" in note.text
    (items,) = (item for item in of_kind(found.extras, Items) if item.variant == "order=1")
    assert items.metric == "nats_per_state" and sum(items.weights) == 900
    assert sum(items.totals) / 900 == pytest.approx(losses[1], abs=1e-4)
    assert len(of_kind(found.extras, Text)) == 6
    assert found.rows == evaluate(context, SCORERS).rows


def test_letters_have_the_rows_of_every_language_model_too(tmp_path: Path) -> None:
    _, found = run(tmp_path, "text", block=400, passage=40)
    rows = {(row.metric, row.variant): row for row in found.records if row.split == "test"}
    assert {"bits_per_byte", "perplexity", "verbatim_copy_rate", "nats_per_state", "accuracy"} <= {
        metric for metric, _ in rows
    }
    for order in (0, 1, 2):
        bits, nats = rows["bits_per_byte", f"order={order}"], rows["nats_per_state", f"order={order}"]
        assert bits.value * np.log(2) == pytest.approx(nats.value)  # ASCII: a character is a byte
    assert {item.metric for item in of_kind(found.extras, Items)} == {"bits_per_byte", "nats_per_state"}


def test_more_states_than_a_table_holds_are_shown_by_the_commonest(tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 13) for i in np.random.default_rng(0).integers(0, 13, 3000))
    data = {"train": text, "validation": text, "test": text}
    (tmp_path / "data").mkdir()
    for split, part in data.items():
        (tmp_path / "data" / f"{split}.txt").write_text(part)
    write_json(tmp_path / "data/meta.json", {"kind": "text"})
    chain = MarkovChain(MarkovChainConfig(unit="characters", order=1))
    chain.fit(data, RunContext())
    chain.save(tmp_path / "model")
    write_json(
        tmp_path / "model/model.json",
        {"name": "c", "system": "markov_chain", "config": dataclasses.asdict(chain.config)},
    )
    block = {
        "system": "markov_chain",
        "dataset": "d",
        "sample": {"texts": 2, "characters": 90},
        "evaluate": {"long_run": 500},
    }
    samples = tmp_path / "c.jsonl"
    context = StageContext(
        "c", "words", block, 0, "cpu", tmp_path / "data", tmp_path / "model", samples=samples, quiet=True
    )
    write_text_samples(samples, sample(context))
    tables = of_kind(evaluate(context, SCORERS).extras, Table)
    assert tables[0].title == "Transitions of order 1, the commonest states" and len(tables[0].rows) == 13
    assert not any("first passage" in table.title for table in tables)


def test_an_unknown_key_and_an_empty_test_split_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"unknown key 'long_runs'\. Did you mean 'long_run'"):
        run(tmp_path, "series", long_runs=3)
    data = tmp_path / "data"
    (data / "test.txt").write_text("")
    block = {"system": "markov_chain", "dataset": "d"}
    model, samples = tmp_path / "models/chain", tmp_path / "chain.jsonl"
    context = StageContext("c", "words", block, 0, "cpu", data, model, samples=samples, quiet=True)
    with pytest.raises(BenchError, match="test split"):
        evaluate(context, SCORERS)
