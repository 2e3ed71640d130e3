"""The texture against independent calculations: probabilities, future costs by linear programming, cycles by Karp's
algorithm."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import chisquare

from bench.base.errors import BenchError
from bench.contracts import RunContext, VideoSynthesizer
from bench.families.by_example.video.video_distances import distances
from bench.families.by_example.video.video_textures import (
    Texture,
    VideoTextures,
    VideoTexturesOptions,
    future_costs,
    kept_jumps,
    probabilities,
    walk,
)

PERIOD = 16


def pendulum(length: int = 80, seed: int = 0) -> np.ndarray:
    """A spot that swings over 40 pixels, sampled symmetrically, with camera noise."""
    rng = np.random.default_rng(seed)
    x = 20 + 15 * np.sin(2 * np.pi * np.arange(length) / PERIOD)
    spot = 200 * np.exp(-((np.arange(40) - x[:, None]) ** 2) / 8)  # (T, 40)
    frames = np.repeat(spot[:, None, :], 6, axis=1)[..., None].repeat(3, axis=3)
    return np.clip(np.rint(frames + rng.normal(0, 1, frames.shape)), 0, 255).astype(np.uint8)


def random_costs(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    costs = np.where(rng.random((size, size)) < 0.4, rng.uniform(0.1, 1.0, (size, size)), np.inf)
    on = np.arange(size - 1)
    costs[on, on + 1] = 0.0
    costs[-1] = np.inf
    costs[size // 2, 1] = 0.7
    return costs


def phase_missed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.abs(((after - before - 1) / PERIOD + 0.5) % 1 - 0.5)


def jumps(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    jumped = shown[:, 1:] != shown[:, :-1] + 1
    return shown[:, :-1][jumped], shown[:, 1:][jumped]


# Probabilities and plays


def test_probabilities_are_the_normalised_exponential() -> None:
    costs = np.array([[1.0, 2.0, np.inf], [0.0, 0.0, 0.5], [np.inf, np.inf, np.inf]])
    found = probabilities(costs, 0.5)
    expected = np.exp(-costs[:2] / 0.5)
    np.testing.assert_allclose(found[:2], expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(found[2], 0.0)
    huge = probabilities(costs + 1e6, 0.5)  # only differences count, and nothing underflows
    np.testing.assert_allclose(huge[:2], found[:2], rtol=1e-6)


def test_sigma_zero_takes_the_first_of_the_cheapest() -> None:
    np.testing.assert_array_equal(probabilities(np.array([[3.0, 1.0, 1.0]]), 0.0), [[0.0, 1.0, 0.0]])


def test_threshold_drops_the_unlikely_but_never_all() -> None:
    costs = np.array([[0.0, 1.0, 4.0], [1.0, 1.0, 1.0]])
    found = probabilities(costs, 1.0, threshold=0.4)
    np.testing.assert_allclose(found, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def test_a_play_draws_from_the_matrix() -> None:
    chances = np.array([[0.0, 0.7, 0.3], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    shown = walk(chances, np.zeros(20, dtype=np.int64), 400, range(20))
    for i in range(3):
        after = np.bincount(shown[:, 1:][shown[:, :-1] == i], minlength=3)
        np.testing.assert_array_equal(after[chances[i] == 0], 0)
        if (chances[i] > 0).sum() > 1:
            assert chisquare(after[chances[i] > 0], after.sum() * chances[i][chances[i] > 0]).pvalue > 1e-3


def test_a_play_depends_on_its_seed_alone() -> None:
    texture = VideoTextures().texture(pendulum(), sigma=0.5)
    together = texture.plays(60, [1, 2, 3])
    np.testing.assert_array_equal(together[1], texture.plays(60, [2])[0])
    assert len({play.tobytes() for play in together}) == 3


def test_play_without_a_way_on_ends_or_cuts() -> None:
    texture = VideoTextures().texture(pendulum(), alpha=0.0, sigma=0.0)  # always plays on, into the end
    ended = texture.plays(200, range(4), cut=False)
    assert (ended[:, -1] == -1).all()
    for play in ended:
        shown = play[play >= 0]
        assert (np.diff(shown) == 1).all() and shown[-1] == texture.first + len(texture) - 1
    cut = texture.plays(200, range(4))
    assert cut.min() >= 0


# Future cost


@pytest.mark.parametrize(("seed", "alpha", "p"), [(0, 0.9, 1.0), (1, 0.99, 2.0), (2, 0.5, 1.0), (3, 0.995, 4.0)])
def test_future_costs_solve_the_linear_programme(seed: int, alpha: float, p: float) -> None:
    """The largest m with m_i <= C_ij^p + alpha m_j for all jumps is the cost of the best way on."""
    costs = random_costs(seed, 12)
    found, changes = future_costs(costs, alpha, p, 1e-13)
    i, j = np.nonzero(np.isfinite(found) & (np.arange(12) < 11)[None, :])
    left = np.zeros((len(i), 11))
    left[np.arange(len(i)), i] += 1.0
    left[np.arange(len(i)), j] -= alpha
    best = linprog(-np.ones(11), A_ub=left, b_ub=costs[i, j] ** p, bounds=(0, None))
    np.testing.assert_allclose(found.min(axis=1)[:11], best.x, atol=1e-7)
    assert changes[-1] <= 1e-13
    assert np.isinf(found[:, 11]).all()  # nobody plays into the dead end


def test_both_orders_of_updating_agree_and_the_papers_needs_fewer_sweeps() -> None:
    costs = random_costs(5, 30)
    backward, few = future_costs(costs, 0.99, 1.0, 1e-12)
    at_once, many = future_costs(costs, 0.99, 1.0, 1e-12, backward=False)
    np.testing.assert_allclose(backward, at_once, atol=1e-9)
    assert len(few) < len(many) / 5


@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99])
def test_every_sweep_shrinks_the_change_at_least_by_alpha(alpha: float) -> None:
    for backward in (True, False):
        changes = np.array(future_costs(random_costs(7, 25), alpha, 1.0, 1e-12, backward=backward)[1])
        assert (changes[2:] <= alpha * changes[1:-1] * (1 + 1e-9) + 1e-15).all()


def test_without_future_cost_nothing_is_added() -> None:
    costs = random_costs(0, 10)
    found, _ = future_costs(costs, 0.0, 2.0)
    np.testing.assert_array_equal(found, costs**2)


def karp(costs: np.ndarray) -> float:
    """Least mean cost of a cycle (Karp 1978)."""
    size = len(costs)
    walks = np.full((size + 1, size), np.inf)
    walks[0] = 0.0
    for k in range(size):
        walks[k + 1] = (walks[k][:, None] + costs).min(axis=0)
    with np.errstate(invalid="ignore"):
        means = (walks[size] - walks[:size]) / (size - np.arange(size))[:, None]
    return float(np.nanmin(np.where(np.isfinite(walks[size]), np.nanmax(means, axis=0), np.nan)))


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sigma_zero_plays_the_loop_of_least_mean_cost(p: float) -> None:
    texture = VideoTextures().texture(pendulum(), sigma=0.0, alpha=0.9995, p=p)
    shown = texture.plays(600, [0])[0] - texture.first
    costs = texture.costs**p
    period = next(n for n in range(1, 200) if (shown[400:] == shown[400 - n : -n]).all())
    played = costs[shown[400 - 1 : 400 - 1 + period], shown[400 : 400 + period]].mean()
    assert played == pytest.approx(karp(costs), rel=0.02)


# The texture


def test_costs_follow_their_definition() -> None:
    table = distances(pendulum(30))
    texture = Texture.of(table, VideoTexturesOptions(taps=2, prune=0, shortest=1))
    assert texture.first == 1 and len(texture) == 29
    i, j = 7, 20  # frames of the clip
    expected = 0.5 * (table[i, j - 1] + table[i + 1, j])
    assert texture.unpruned[i - 1, j - 1] == pytest.approx(expected)
    assert texture.costs[i - 1, i] == 0.0
    assert np.isinf(texture.costs[-1]).all()


def test_plain_distance_reverses_the_swing_and_the_filter_does_not() -> None:
    frames = pendulum(160)
    missed = {}
    for taps in (1, 2, 4):
        before, after = jumps(VideoTextures().plays(frames, 400, range(10), taps=taps, shortest=4))
        velocity = np.cos(2 * np.pi * np.arange(160) / PERIOD)
        moving = (np.abs(velocity[before + 1]) > 0.2) & (np.abs(velocity[after]) > 0.2)
        missed[taps] = float((velocity[before + 1] * velocity[after] < 0)[moving].mean())
    assert missed[1] > 0.3
    assert missed[2] == missed[4] == 0.0


def test_more_sigma_more_variety_and_dearer_jumps() -> None:
    """All good jumps of this clip cost the noise alone, so that variety comes first and the cost of bad jumps later."""
    system, frames = VideoTextures(), pendulum(120)
    variety, cost = [], []
    for sigma in (0.0, 0.006, 0.02, 3.0):
        texture = system.texture(frames, sigma=sigma, shortest=1)
        before, after = jumps(texture.plays(500, range(6)))
        variety.append(len(set(zip(before.tolist(), after.tolist(), strict=True))))
        cost.append(texture.unpruned[before - texture.first, after - texture.first].mean())
    assert variety[0] == 1 < variety[1] < variety[2]
    assert cost[3] > 1.2 * max(cost[:3])


def test_never_reaches_the_dead_end_with_future_cost() -> None:
    system, frames = VideoTextures(), pendulum()
    last = len(frames) - 2  # of the frames that the filter leaves
    for sigma in (0.0, 0.1, 2.0):
        assert system.plays(frames, 500, range(8), sigma=sigma).max() < last
    assert (system.texture(frames, alpha=0.0).plays(500, range(8), cut=False)[:, -1] == -1).all()


@pytest.mark.parametrize("within", [(5, 30), (40, 70)])
def test_control_keeps_to_a_range(within: tuple[int, int]) -> None:
    system, frames = VideoTextures(), pendulum()
    free = system.plays(frames, 300, range(4), within, control=0.0)[:, 50:]
    held = system.plays(frames, 300, range(4), within)[:, 50:]
    inside = [((play >= within[0]) & (play <= within[1])).mean() for play in (free, held)]
    assert inside[1] > 0.9 and inside[1] > inside[0]
    with pytest.raises(BenchError, match="outside of the clip"):
        system.play(frames, 10, 0, within=(10, 99))


def test_pruning_keeps_local_minima() -> None:
    costs = np.random.default_rng(0).uniform(0, 1, (12, 12))
    kept = kept_jumps(costs, 2, 3)
    for i in range(12):
        for j in range(12):
            window = costs[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3]
            assert kept[i, j] == (j == i + 1 or (costs[i, j] == window.min() and abs(j - i - 1) >= 3))


def test_a_motion_that_never_returns_keeps_one_way_back() -> None:
    frames = np.broadcast_to((6 * np.arange(30, dtype=np.uint8))[:, None, None, None], (30, 4, 4, 3)).copy()
    texture = VideoTextures().texture(frames)
    assert np.tril(np.isfinite(texture.costs)).sum() == 1
    assert texture.plays(100, [0]).min() >= 0


def test_a_still_clip_plays() -> None:
    shown = VideoTextures().play(np.full((12, 4, 4, 3), 90, np.uint8), 50, 0)
    assert shown.shape == (50,)


@pytest.mark.parametrize("order", ["shuffled", "hard_loop", "real"])
def test_orders_to_compare_with(order: str) -> None:
    system = VideoTextures(options=VideoTexturesOptions(order=order))
    for n in (12, 45):
        shown = system.play(pendulum(20), n, 3)
        assert shown.shape == (n,) and shown.min() >= 0 and shown.max() < 20
        if order != "shuffled":
            np.testing.assert_array_equal(shown, (shown[0] + np.arange(n)) % 20)
        if order == "real" and n <= 20:
            assert (np.diff(shown) == 1).all()
    assert not all(
        np.array_equal(system.play(pendulum(20), 12, seed), system.play(pendulum(20), 12, 3)) for seed in (4, 5, 6)
    )


# The system


def test_saved_distances_give_the_same_plays(tmp_path: Path) -> None:
    system = VideoTextures(options=VideoTexturesOptions(sigma=0.5))
    assert isinstance(system, VideoSynthesizer)
    system.fit(
        {"swing": SimpleNamespace(frames=pendulum()), "short": SimpleNamespace(frames=pendulum(20))}, RunContext()
    )
    system.save(tmp_path)
    again = VideoTextures.load(tmp_path, system.config)
    again.options = system.options
    for name in ("swing", "short"):
        assert again.tables[name].tobytes() == system.tables[name].tobytes()
    np.testing.assert_array_equal(again.plays("swing", 80, [5]), system.plays(pendulum(), 80, [5]))
    system.save(tmp_path / "twice")
    assert (tmp_path / "twice" / "distances.npz").read_bytes() == (tmp_path / "distances.npz").read_bytes()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": 1.0}, "alpha"),
        ({"taps": 0}, "taps"),
        ({"taps": 2.5}, "taps"),
        ({"sigma": -1.0}, "sigma"),
        ({"order": "random"}, "markov, shuffled"),
        ({"shortest": 0}, "shortest"),
    ],
)
def test_settings_are_checked(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoTexturesOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(BenchError, match=message):
        VideoTextures().play(pendulum(20), 5, 0, **wrong)


def test_errors_name_what_is_meant() -> None:
    system = VideoTextures()
    with pytest.raises(BenchError, match="Did you mean 'sigma'"):
        system.play(pendulum(20), 5, 0, sigmaa=1)
    with pytest.raises(BenchError, match="no clip 'swin'"):
        system.texture("swin")
    with pytest.raises(BenchError, match="at least one frame"):
        system.play(pendulum(20), 0, 0)
    with pytest.raises(BenchError, match="no way on"):
        system.texture(pendulum(40)).plays(5, [0], start=38)
