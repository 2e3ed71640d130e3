"""Claims: every kind can hold, fail and stay open; two protocols are never compared; the shipped claims can fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.base.errors import BenchError
from bench.config.load import load_params
from bench.config.variants import variant_id
from bench.report.claim_tests import judge
from bench.report.claims import FAILS, HOLDS, UNCLEAR, Claim, claims_json, load_claims
from bench.results.leaderboard import Row, build_rows, column_key, rows_from_json
from bench.results.records import SCHEMA_VERSION, Record, parse_settings
from bench.results.sources import arm_settings, gather
from bench.stats.comparisons import Items


def row(name: str, value: float | None, half: float | None = 0.1, variant: str = "", **changes: Any) -> Record:
    interval = None if value is None or half is None else (value - half, value + half)
    plain: dict[str, Any] = {
        "generator": name,
        "system": "s",
        "family": "images",
        "dataset": "d",
        "metric": "fid",
        "protocol": "fid/v1",
    }
    return Record(
        **{**plain, "value": value, "variant": variant, "ci95": interval, "higher_is_better": False, **changes}
    )


def verdict(test: dict[str, Any], rows: list[Record]) -> str:
    return outcome(test, rows).verdict


def outcome(test: dict[str, Any], rows: list[Record]) -> Any:
    return judge(load_claims({"claims": [entry({"metric": "fid", **test})]})[0], rows)


def entry(test: dict[str, Any], **changes: Any) -> dict[str, Any]:
    plain = {"id": "c", "title": "t", "statement": "s", "source": "x", "family": "images", "since": "2026-11-21"}
    return {**plain, "test": test, **changes}


AB: dict[str, Any] = {"left": {"generator": "a"}, "right": {"generator": "b"}}


@pytest.mark.parametrize(
    ("kind", "more", "a", "b", "expected"),
    [
        ("less", {}, (1.0, 0.1), (2.0, 0.1), HOLDS),
        ("less", {}, (2.0, 0.1), (1.0, 0.1), FAILS),
        ("less", {}, (1.0, 0.5), (1.2, 0.5), UNCLEAR),
        ("less", {"margin": 2.0}, (1.0, 0.1), (2.0, 0.1), FAILS),
        ("less", {"margin": 1.0}, (1.0, 0.1), (2.0, 0.1), UNCLEAR),
        ("greater", {}, (2.0, 0.1), (1.0, 0.1), HOLDS),
        ("greater", {}, (1.0, 0.1), (2.0, 0.1), FAILS),
        ("greater", {"margin": -0.5}, (1.0, 0.1), (1.2, 0.1), HOLDS),
        ("greater", {"margin": -0.5}, (1.0, 0.1), (1.9, 0.1), FAILS),
        ("greater", {"margin": -0.5}, (1.0, 0.3), (1.4, 0.3), UNCLEAR),
        ("within", {"margin": 0.5}, (1.0, 0.1), (1.1, 0.1), HOLDS),
        ("within", {"margin": 0.5}, (1.0, 0.1), (2.0, 0.1), FAILS),
        ("within", {"margin": 0.5}, (1.0, 0.4), (1.2, 0.4), UNCLEAR),
        ("within", {"relative": 0.25}, (10.0, 0.2), (11.0, 0.2), HOLDS),
        ("within", {"relative": 0.25}, (10.0, 0.2), (20.0, 0.2), FAILS),
        ("ratio", {"at_least": 2}, (10.0, 0.5), (2.0, 0.1), HOLDS),
        ("ratio", {"at_least": 2}, (3.0, 0.1), (2.0, 0.1), FAILS),
        ("ratio", {"at_least": 2}, (4.1, 0.5), (2.0, 0.3), UNCLEAR),
        ("ratio", {"at_most": 0.5}, (1.0, 0.1), (10.0, 0.5), HOLDS),
        ("ratio", {"at_most": 0.5}, (9.0, 0.1), (10.0, 0.5), FAILS),
        ("ratio", {"at_most": 0.5}, (0.0, 0.3), (10.0, 0.5), HOLDS),
        ("ratio", {"at_most": 0.5}, (5.0, 1.0), (10.0, 0.5), UNCLEAR),
    ],
)
def test_every_kind_holds_fails_and_stays_open(
    kind: str, more: dict[str, float], a: tuple[float, float], b: tuple[float, float], expected: str
) -> None:
    assert verdict({"kind": kind, **more, **AB}, [row("a", *a), row("b", *b)]) == expected


@pytest.mark.parametrize(
    ("values", "half", "expected"),
    [
        ([1.0, 2.0, 3.0], 0.1, HOLDS),
        ([3.0, 2.0, 1.0], 0.1, FAILS),
        ([1.0, 3.0, 2.0], 0.1, FAILS),
        ([1.0, 1.1, 1.2], 0.5, UNCLEAR),
    ],
)
def test_monotone_looks_at_the_ends_and_at_every_step(values: list[float], half: float, expected: str) -> None:
    rows = [row("a", value, half, f"n={n},smoothing=x") for n, value in zip((1, 2, 10), values, strict=True)]
    test = {"kind": "monotone", "left": {"generator": "a"}, "along": "n", "direction": "up"}
    assert verdict(test, rows) == expected
    assert (
        verdict(
            {**test, "direction": "down"}, [row("a", -r.value, half, r.variant) for r in rows if r.value is not None]
        )
        == expected
    )


def test_monotone_orders_numbers_as_numbers() -> None:
    rows = [row("a", value, 0.1, f"n={n}") for n, value in ((2, 1.0), (10, 3.0), (9, 2.0))]
    assert verdict({"kind": "monotone", "left": {"generator": "a"}, "along": "n"}, rows) == HOLDS


def test_an_arm_lies_where_its_settings_put_it_whatever_its_name() -> None:
    """The number in the name says something else."""
    arms = {"window-9": {"window": 1}, "window-1": {"window": 2}, "wide": {"window": 3}}
    rows = [row("a", v, 0.1, f"arm={arm}", settings=arms[arm]) for arm, v in zip(arms, (1.0, 2.0, 3.0), strict=True)]
    test = {"kind": "monotone", "left": {"generator": "a"}, "along": "window"}
    assert verdict(test, rows) == HOLDS
    assert outcome({**test, "along": "arm"}, rows).reason == "no rows that could be compared"
    other = [row("a", 9.0, 0.1, "arm=deep", settings={"window": 1, "layers": 4})]
    assert verdict(test, [*rows, *other]) == HOLDS, "another depth is another series"


@pytest.mark.parametrize(
    ("other", "expected"), [([10.0, 20.0, 30.0], HOLDS), ([30.0, 20.0, 10.0], FAILS), ([10.0, 10.1, 10.2], UNCLEAR)]
)
def test_agree_compares_the_order_of_two_columns(other: list[float], expected: str) -> None:
    left = [row(f"g{i}", value, 0.1) for i, value in enumerate((1.0, 2.0, 3.0))]
    right = [row(f"g{i}", value, 1.0, slice="second") for i, value in enumerate(other)]
    test = {
        "kind": "agree",
        "left": {"family": "images"},
        "right": {"family": "images", "slice": "second"},
        "match": "generator",
    }
    assert verdict(test, left + right) == expected


def test_agree_never_orders_two_protocols() -> None:
    left = [row("x", 1.0), row("y", 2.0)]
    right = [row("x", 2.0, slice="second"), row("y", 1.0, slice="second", protocol="fid/another-network/v1")]
    test = {"kind": "agree", "left": {"slice": ""}, "right": {"slice": "second"}, "match": "generator"}
    found = outcome(test, left + right)
    assert (found.verdict, found.reason) == (
        UNCLEAR,
        "no two models differ in both columns by more than their intervals",
    )


def test_one_refuted_pair_refutes_and_one_open_pair_leaves_open() -> None:
    test = {"kind": "less", "left": {"generator": "a"}, "right": {"generator": ["b", "c"]}}
    assert verdict(test, [row("a", 1.0), row("b", 2.0), row("c", 3.0)]) == HOLDS
    assert verdict(test, [row("a", 1.0), row("b", 2.0), row("c", 0.2)]) == FAILS
    found = outcome(test, [row("a", 1.0), row("b", 2.0), row("c", 1.05)])
    assert found.verdict == UNCLEAR
    assert found.reason == "inconclusive in 1 of 2 comparisons: the 95 % interval includes both outcomes"


def test_a_floor_must_lie_below_every_generator() -> None:
    test = {"kind": "less", "left": {"role": "ceiling"}, "right": {"role": "generator"}}
    rows = [row("real", 4.0, role="ceiling"), row("a", 14.0), row("b", 9.0)]
    assert verdict(test, rows) == HOLDS
    assert verdict(test, [*rows, row("too-good", 3.0)]) == FAILS


@pytest.mark.parametrize("change", [{"protocol": "fid/v2"}, {"dataset": "e"}, {"split": "validation"}], ids=str)
def test_two_protocols_are_never_compared(change: dict[str, Any]) -> None:
    found = outcome({"kind": "less", **AB}, [row("a", 1.0), row("b", 2.0, **change)])
    unseen = "no measured rows on the right side"  # what settings are chosen by is no evidence
    reason = unseen if "split" in change else "no rows that could be compared"
    assert (found.verdict, found.reason) == (UNCLEAR, reason)
    named = {"split": ["test", "validation"]} if "split" in change else {}
    across = {"kind": "less", **AB, "across": list(change), **named}
    assert verdict(across, [row("a", 1.0), row("b", 2.0, **change)]) == HOLDS


def test_match_pairs_rows_of_equal_setting() -> None:
    test = {
        "kind": "less",
        "left": {"variant": {"s": "kn"}},
        "right": {"variant": {"s": "mle"}},
        "match": ["generator", "n"],
    }
    rows = [
        row("g", 1.0, 0.1, "n=1,s=kn"),
        row("g", 2.0, 0.1, "n=1,s=mle"),
        row("g", 5.0, 0.1, "n=2,s=kn"),
        row("g", 6.0, 0.1, "n=2,s=mle"),
    ]
    found = outcome(test, rows)
    assert (found.verdict, len(found.comparisons)) == (HOLDS, 2)
    assert verdict({**test, "match": []}, rows) == FAILS, "unmatched, n=2 against n=1 refutes it"


def test_slices_are_all_of_the_split_unless_named() -> None:
    rows = [row("a", 1.0), row("a", 9.0, slice="unseen"), row("b", 2.0), row("b", 0.5, slice="unseen")]
    assert verdict({"kind": "less", **AB}, rows) == HOLDS
    assert verdict({"kind": "less", **AB, "slice": "*"}, rows) == FAILS
    assert (
        verdict({"kind": "less", "left": {"generator": "a"}, "right": {"generator": "a", "slice": "unseen"}}, rows)
        == HOLDS
    )


def test_missing_rows_are_no_evidence() -> None:
    found = outcome({"kind": "less", **AB}, [row("a", 1.0)])
    assert (found.verdict, found.reason) == (UNCLEAR, "no measured rows on the right side")


def test_a_number_without_interval_is_no_evidence_unless_it_is_exact() -> None:
    rows = [row("a", 1.0, None), row("b", 2.0, None)]
    found = outcome({"kind": "less", **AB}, rows)
    assert found.verdict == UNCLEAR
    assert "a value has no interval" in found.reason
    assert verdict({"kind": "less", **AB, "exact": True}, rows) == HOLDS


def test_infinity_loses_to_every_number_and_two_infinities_stay_open() -> None:
    assert verdict({"kind": "less", **AB}, [row("a", 1.0), row("b", None)]) == HOLDS
    assert verdict({"kind": "less", **AB}, [row("a", None), row("b", 1.0)]) == FAILS
    assert verdict({"kind": "less", **AB}, [row("a", None), row("b", None)]) == UNCLEAR
    assert (
        verdict(
            {"kind": "greater", **AB}, [row("a", 1.0, higher_is_better=True), row("b", None, higher_is_better=True)]
        )
        == UNCLEAR
    )


def test_shown_picks_the_setting_that_stands_for_its_generator() -> None:
    test = {"kind": "less", "left": {"generator": "a", "pick": "shown"}, "right": {"generator": "b", "pick": "shown"}}
    rows = [row("a", 1.0, variant="n=1"), row("a", 9.0, variant="n=2"), row("b", 2.0), row("b", None, variant="n=9")]
    found = outcome(test, rows)
    assert (found.verdict, len(found.comparisons)) == (HOLDS, 1)


def test_constants_stand_on_the_right() -> None:
    test = {"kind": "greater", "left": {"role": "memoriser"}, "right": {"value": 0.1}}
    assert verdict(test, [row("copier", 0.9, 0.05, role="memoriser")]) == HOLDS
    assert verdict(test, [row("copier", 0.01, 0.005, role="memoriser")]) == FAILS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "lesser"}, r"lesser.*Did you mean 'less'"),
        ({"lefft": {}}, r"unknown key 'lefft'.*Did you mean 'left'"),
        ({"left": {"genrator": "a"}}, r"unknown key 'genrator'.*Did you mean 'generator'"),
        ({"left": None}, "test.left must say which rows"),
        ({"kind": "ratio"}, "needs at_least or at_most"),
        ({"kind": "within"}, "needs margin or relative"),
        ({"kind": "monotone"}, "needs along"),
        ({"metric": "fdi"}, r"claims.yaml: c: test: unknown metric 'fdi'.*Did you mean 'fid'"),
        ({"right": {"generator": "b", "metric": "kidd"}}, r"unknown metric 'kidd'.*Did you mean 'kid'"),
    ],
)
def test_a_wrong_claim_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        load_claims({"claims": [entry({"kind": "less", **AB, **change})]})


def test_a_wrong_family_is_named() -> None:
    with pytest.raises(BenchError, match=r"family 'imags' is unknown.*Did you mean 'images'"):
        load_claims({"claims": [entry({"kind": "less", **AB}, family="imags")]})


def test_an_id_stands_for_one_claim() -> None:
    with pytest.raises(BenchError, match="used twice"):
        load_claims({"claims": [entry({"kind": "less", **AB}), entry({"kind": "less", **AB})]})


# What the literature claims and what only checks the measurement; dates; budgets


def test_controls_are_tested_alike_and_counted_apart() -> None:
    rows = [row("a", 1.0), row("b", 2.0)]
    test = {"kind": "less", "metric": "fid", **AB}
    document = {"claims": [entry(test), entry(test, id="theorem", control="a theorem")]}
    verdicts = [judge(claim, rows) for claim in load_claims(document)]
    found = claims_json(verdicts)
    assert [item["verdict"] for item in found["claims"]] == [HOLDS, HOLDS]
    assert [item["control"] for item in found["claims"]] == [False, True]
    assert found["claims"][1]["why_control"] == "a theorem"
    assert found["summary"] == {HOLDS: 1, FAILS: 0, UNCLEAR: 0} == found["controls"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"since": ""}, "since is missing"),
        ({"since": "21 November"}, "since: '21 November' is no day; write it as 2026-11-21"),
        ({"since": "2026-13-01"}, "since: '2026-13-01' is no day"),
        ({"changes": ["margin 0.1"]}, "'margin 0.1' must be"),
        ({"changes": ["2026-11-22: "]}, "must be"),
        ({"changes": ["yesterday: margin 0.1"]}, "changes: 'yesterday' is no day"),
        ({"changes": ["2026-11-20: margin 0.1"]}, "none before `since`"),
        ({"changes": ["2026-11-23: margin 0.1", "2026-11-22: margin 0.2"]}, "in order of time"),
        ({"changes": "2026-11-22: margin 0.1"}, "must be a list"),
        ({"changes": [{"2026-11-22": "margin 0.1"}]}, "must be a list"),
        ({"control": True}, "control must say why"),
        ({"contrl": "a theorem"}, "unknown key 'contrl'.*Did you mean 'control'"),
        ({"change": []}, "unknown key 'change'.*Did you mean 'changes'"),
    ],
    ids=str,
)
def test_a_wrong_date_or_change_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        load_claims({"claims": [entry({"kind": "less", "metric": "fid", **AB}, **changes)]})


def test_a_statement_names_the_budget_of_the_run() -> None:
    claim = entry(
        {"kind": "less", "metric": "fid", **AB}, statement="After {net-1.train.steps} steps of {net-1.system}."
    )
    blocks = {"net-1": {"system": "ddpm", "train": {"steps": 1500}}}
    assert load_claims({"claims": [claim]}, blocks=blocks)[0].statement == "After 1,500 steps of ddpm."
    assert load_claims({"claims": [claim]})[0].statement == claim["statement"]
    for other in ({}, {"net-1": {"system": "ngram"}}, {"net-1": {"train": "none"}}):
        assert load_claims({"claims": [claim]}, blocks=other)[0].statement.startswith("After (not declared) steps of ")


@pytest.mark.parametrize("metric", ["train_seconds", "sample_seconds_per_item", "peak_memory_bytes", "latent_speedup"])
def test_what_a_clock_measured_is_never_exact(metric: str) -> None:
    test = {"kind": "ratio", "metric": metric, "at_least": 2, **AB}
    with pytest.raises(BenchError, match="measured by a clock, and one measurement has no interval"):
        load_claims({"claims": [entry({**test, "exact": True})]})
    found = outcome(test, [row("a", 9.0, None, metric=metric), row("b", 1.0, None, metric=metric)])
    assert (found.verdict, "a value has no interval" in found.reason) == (UNCLEAR, True)


def test_counted_operations_need_no_interval_and_count_once_for_all_settings() -> None:
    rows = [
        row(name, value, None, f"labels={labels}", metric="train_flops")
        for name, value in (("a", 9.0), ("b", 3.0))
        for labels in (50, 200, 1000)
    ]
    found = outcome({"kind": "ratio", "metric": "train_flops", "at_least": 2, **AB}, rows)
    assert (found.verdict, len(found.comparisons)) == (HOLDS, 1)
    arms = [row("b", 3.0, None, f"arm={arm}", metric="train_flops") for arm in ("wide", "deep")]
    found = outcome({"kind": "ratio", "metric": "train_flops", "at_least": 2, **AB}, [rows[0], *arms])
    assert len(found.comparisons) == 2, "two trainings that cost the same"


def test_monotone_says_what_it_tested_and_which_steps_go_back() -> None:
    test = {"kind": "monotone", "left": {"generator": "a"}, "along": "n", "direction": "up"}

    def reason(values: tuple[float, ...]) -> str:
        return str(outcome(test, [row("a", v, 0.2, f"n={n}") for n, v in enumerate(values)]).reason)

    assert reason((1.0, 2.0, 3.0)) == "the 95 % interval supports it (last against first)"
    within = "the 95 % interval supports it (last against first; 1 of 3 steps go back, none beyond the interval)"
    assert reason((1.0, 2.0, 1.95, 3.0)) == within
    beyond = "contradicts it in 1 of 2 comparisons (last against first; 1 of 3 steps go back, 1 beyond the interval)"
    assert reason((1.0, 2.0, 1.5, 3.0)).endswith(beyond)


def test_a_verdict_on_single_trainings_says_so() -> None:
    def trained(name: str, value: float, arm: str = "", seed: int = 0) -> list[Record]:
        variant = f"arm={arm}" if arm else ""
        spent = row(name, 1e12, None, variant, metric="train_flops", protocol="flops/v1", seed=seed)
        return [row(name, value, 0.1, variant, seed=seed), spent]

    counted = row("b", 0.0, None, metric="train_flops", protocol="flops/v1")  # a table of counts
    less = {"kind": "less", **AB}
    assert "training" not in outcome(less, [row("a", 1.0), row("b", 2.0)]).reason
    assert outcome(less, [*trained("a", 1.0), row("b", 2.0), counted]).reason.endswith("it (one training)")
    assert outcome(less, [*trained("a", 1.0), *trained("b", 2.0)]).reason.endswith("it (one training each)")
    arms = {"kind": "less", "left": {"variant": {"arm": "x"}}, "right": {"variant": {"arm": "y"}}}
    assert outcome(arms, [*trained("a", 1.0, "x"), *trained("a", 2.0, "y")]).reason.endswith("(one training each)")
    seeds = [*trained("a", 1.0), *trained("a", 1.1, seed=1), *trained("b", 2.0), *trained("b", 2.1, seed=1)]
    assert "training" not in outcome(less, seeds).reason
    against = {"kind": "greater", "left": {"generator": "a"}, "right": {"value": 0.5}}
    assert outcome(against, trained("a", 1.0)).reason.endswith("(one training)")


# The shipped claims


@pytest.fixture(scope="module")
def shipped(reports: Path) -> list[Claim]:
    return load_claims(yaml.safe_load((reports / "claims.yaml").read_text()))


def test_the_claims_of_the_spine_are_there(shipped: list[Claim]) -> None:
    wanted = {
        "kneser-ney-over-add-k",
        "add-k-over-maximum-likelihood",
        "copying-grows-with-n",
        "few-ddim-steps-fail",
        "fifty-steps-near-the-full-chain",
        "latent-step-cheaper",
        "restarts-use-the-codebook",
        "template-ensemble",
        "guidance-raises-fidelity",
        "negative-prompt-removes",
        "real-below-every-generator",
        "transformer-over-ngram",
        "larger-windows-copy-more",
        "clips-agree",
        "copier-flagged",
        "no-generator-flagged",
    }
    assert wanted <= {claim.id for claim in shipped}


def test_every_shipped_claim_names_metrics_generators_and_systems_that_exist(
    shipped: list[Claim], reports: Path
) -> None:
    from bench.catalogue.families import FAMILIES
    from bench.catalogue.metrics import CATALOGUE
    from bench.registry import systems

    blocks = yaml.safe_load((reports.parent / "params.yaml").read_text())
    names = {name for family in FAMILIES for name in blocks.get(family) or {}}
    for claim in shipped:
        for side in ("left", "right"):
            selector = claim.test.get(side) or {}
            assert selector.get("metric", claim.test["metric"]) in CATALOGUE, claim.id
            for key, known in (("generator", names), ("system", set(systems()))):
                values = selector.get(key, [])
                assert set([values] if isinstance(values, str) else values) <= known, claim.id


def test_a_series_of_arms_is_ordered_by_a_number_that_every_arm_has(shipped: list[Claim], reports: Path) -> None:
    generators = load_params(reports.parent / "params.yaml").generators()
    ordered = [claim for claim in shipped if "arm" in (claim.test["left"].get("variant") or ())]
    ordered = [claim for claim in ordered if claim.test["kind"] == "monotone"]
    assert {claim.id for claim in ordered} == {"longer-windows-help", "more-text-helps"}
    for claim in ordered:
        selector, key = claim.test["left"], claim.test["along"]
        block = generators[selector["generator"]]
        variants = [variant_id(chosen) for chosen in block["sample"]["variants"]]
        settings = [{**arm_settings(block, variant), **parse_settings(variant)} for variant in variants]
        chosen = [one for one in settings if fnmatchcase(str(one["arm"]), selector["variant"]["arm"])]
        values = [one[key] for one in chosen]
        assert len(values) >= 3 and values == sorted(set(values)), f"{claim.id}: {values}"
        others = [{name: value for name, value in one.items() if name not in ("arm", key)} for one in chosen]
        assert all(one == others[0] for one in others), f"{claim.id}: the arms differ in more than {key}"


def test_every_statement_takes_its_budget_from_params(reports: Path) -> None:
    blocks = load_params(reports.parent / "params.yaml").generators()
    document = yaml.safe_load((reports / "claims.yaml").read_text())
    filled = {claim.id: claim.statement for claim in load_claims(document, blocks=blocks)}
    assert not [name for name, statement in filled.items() if "{" in statement or "(not declared)" in statement]
    steps = blocks["neural-lm-arms"]["train"]["steps"]
    assert filled["longer-windows-help"].startswith(f"After {steps:,} steps")


def test_every_shipped_claim_can_fail(shipped: list[Claim]) -> None:
    """For each claim there are rows that refute it: a claim that cannot fail says nothing."""
    for claim in shipped:
        assert any(judge(claim, rows).verdict == FAILS for rows in _adversaries(claim)), claim.id


def _adversaries(claim: Claim) -> list[list[Record]]:
    """Rows that fit the claim's selectors, with values that speak against it one way or the other."""
    test = claim.test

    def fitting(side: str, value: float, along: float | None = None, name: str = "") -> Record:
        selector = test[side]
        settings = selector.get("variant")
        fixed = dict(settings) if isinstance(settings, dict) else {}
        picked = {
            key: (item[0] if isinstance(item, list) else str(item)).replace("*", "") for key, item in fixed.items()
        }
        for key in [test["match"]] if isinstance(test.get("match"), str) else test.get("match", []):
            if key not in ("generator", "slice", "variant", "dataset", "system"):
                picked.setdefault(key, "3")
        if along is not None:
            picked[str(test["along"])] = f"{along:g}"
        variant = settings if isinstance(settings, str) else ",".join(f"{key}={item}" for key, item in picked.items())
        first = {key: (item[0] if isinstance(item, list) else item) for key, item in selector.items()}
        part = first.get("slice", test.get("slice", ""))
        part = str(part[0] if isinstance(part, list) else part).replace("*", "")
        return row(
            name or str(first.get("generator", "one")),
            value,
            1e-9,
            variant,
            metric=test["metric"],
            system=str(first.get("system", "s")),
            family=str(first.get("family", "images")),
            role=str(first.get("role", "generator")),
            slice=part,
            protocol=str(first.get("protocol", test.get("protocol", "fid/v1"))).replace("*", "m"),
            higher_is_better=None,
        )

    if test["kind"] == "monotone":
        return [[fitting("left", a, 1), fitting("left", b, 2)] for a, b in ((1.0, 2.0), (2.0, 1.0))]
    if test["kind"] == "agree":
        pairs = [
            [fitting(side, value, name=name) for name, value in values.items()]
            for side, values in (("left", {"x": 1.0, "y": 2.0}), ("right", {"x": 2.0, "y": 1.0}))
        ]
        return [[*pairs[0], *pairs[1]]]
    if "value" in test["right"]:
        return [[fitting("left", float(test["right"]["value"]) + off)] for off in (-0.01, 0.5)]
    return [[fitting("left", a), fitting("right", b)] for a, b in ((1.0, 5.0), (5.0, 1.0), (1.0, 1.0))]


def test_claims_json_is_plain_and_counts_add_up(shipped: list[Claim]) -> None:
    verdicts = [judge(claim, _adversaries(claim)[0]) for claim in shipped]
    document = json.loads(json.dumps(claims_json(verdicts), allow_nan=False))
    counted = [*document["summary"].values(), *document["controls"].values()]
    assert sum(counted) == len(shipped) == len(document["claims"])
    assert sum(document["controls"].values()) == sum(claim["control"] for claim in document["claims"]) > 0
    assert all(claim["since"] for claim in document["claims"])
    assert {claim["verdict"] for claim in document["claims"]} <= {HOLDS, FAILS, UNCLEAR}
    first = next(claim for claim in document["claims"] if claim["comparisons"])
    assert {"left", "right", "estimate", "interval", "verdict"} <= set(first["comparisons"][0])


# The table and the claims speak with one voice


def opposites(claims: list[Claim], rows: list[Row], items: Items | None = None) -> tuple[int, list[str]]:
    """How many comparisons have both sides ranked in one column, and those where the table says the opposite."""
    places = {}
    for one in rows:
        record = one.record
        places[record.generator, record.variant, record.metric, record.protocol, record.slice] = one
    ranked, found = 0, []
    for claim in claims:
        for item in judge(claim, [one.record for one in rows], items).comparisons:
            sides = [places.get(_place(side)) for side in (item.left, item.right)]
            if item.interval is None or claim.test["kind"] == "ratio" or None in sides:
                continue
            left, right = (side for side in sides if side is not None)
            if left.rank is None or right.rank is None or column_key(left.record) != column_key(right.record):
                continue
            ranked += 1
            low, high = item.interval
            below, above = high < 0, low > 0
            up = left.record.higher_is_better
            better, worse = (above, below) if up else (below, above)
            assert left.rank_to is not None and right.rank_to is not None
            if (better and right.rank_to < left.rank) or (worse and left.rank_to < right.rank):
                found.append(f"{claim.id}: {item.to_json()}")
    return ranked, found


def _place(side: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(side.get(key) for key in ("generator", "variant", "metric", "protocol", "slice"))


def test_an_opposite_would_be_seen() -> None:
    records = [row("a", 1.0), row("b", 2.0)]
    claims = load_claims({"claims": [entry({"kind": "less", "metric": "fid", **AB})]})
    assert opposites(claims, build_rows(records)) == (1, [])
    turned = [replace(one, rank=3 - (one.rank or 0), rank_to=3 - (one.rank or 0)) for one in build_rows(records)]
    assert len(opposites(claims, turned)[1]) == 1


def test_the_table_never_says_the_opposite_of_a_claim(
    workspace: Path, declared: Callable[[Path], dict[str, dict[str, Any]]], shipped: list[Claim]
) -> None:
    sources = gather(workspace, declared(workspace))
    ranked, found = opposites(shipped, build_rows(sources.records, sources.items), sources.items)
    assert ranked >= 3, "else nothing was tested"
    assert not found


def test_the_committed_table_never_says_the_opposite_of_a_claim(reports: Path, shipped: list[Claim]) -> None:
    document = json.loads((reports / "leaderboard.json").read_text())
    if document["schema_version"] != SCHEMA_VERSION:
        pytest.skip("the committed leaderboard is of an older schema")
    ranked, found = opposites(shipped, rows_from_json(document))
    assert ranked >= 5, "else nothing was tested"
    assert not found
