"""The training loop: determinism, resume, NaN stop, moving average, cost, and two processes against one."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.base.errors import BenchError
from bench.base.processes import seeded
from bench.contracts import RunContext
from bench.training import TrainConfig, fit, learning_rate, load_module, rand, randn, save_module

TRAIN = {"steps": 12, "batch_size": 8, "lr": 0.01, "warmup": 2, "log_every": 3, "checkpoint_every": 4, "ema": 0.9}


def network() -> nn.Sequential:
    with seeded(0):
        return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))


def run_fit(run: RunContext, stop_at: int | None = None, net: nn.Module | None = None) -> nn.Module:
    net = net or network()

    def batches(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
        x = rng.normal(size=(size, 6)).astype(np.float32)
        return {"x": x, "y": x.sum(1, keepdims=True)}

    def loss(batch: dict[str, torch.Tensor], generator: torch.Generator) -> dict[str, torch.Tensor]:
        noisy = batch["x"] + 0.1 * randn(batch["x"].shape, generator)
        error = ((net(noisy) - batch["y"]) ** 2).mean()
        return {"loss": error, "rmse": error.sqrt()}

    def on_step(step: int) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    fit(net, loss, batches, run, on_step=on_step)
    return net


def weights(net: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])


def test_same_seed_same_weights_and_another_seed_others() -> None:
    a, b, c = (weights(run_fit(RunContext(seed=s, train=TRAIN))) for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_a_killed_run_resumes_to_the_same_weights_and_curve(tmp_path: Path) -> None:
    unbroken: list[tuple[int, float]] = []
    resumed: list[tuple[int, float]] = []
    whole = run_fit(RunContext(seed=1, train=TRAIN, curve=lambda s, v: unbroken.append((s, v["loss"]))))
    with pytest.raises(KeyboardInterrupt):
        run_fit(RunContext(seed=1, train=TRAIN, checkpoints=tmp_path), stop_at=10)
    run = RunContext(seed=1, train=TRAIN, checkpoints=tmp_path, curve=lambda s, v: resumed.append((s, v["loss"])))
    calls: list[int] = []
    again = network()
    original = again.forward
    again.forward = lambda x: (calls.append(1), original(x))[1]  # type: ignore[method-assign]
    run_fit(run, net=again)
    assert len(calls) == 4, "resumed at step 8 of 12, the last checkpoint"
    assert np.array_equal(weights(whole), weights(again))
    assert unbroken == resumed


def test_nan_stops_names_the_step_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    steps = iter(range(100))

    def loss(batch: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        return {"loss": net(batch).sum() * (float("nan") if next(steps) == 6 else 1.0)}

    run = RunContext(name="broken", train={**TRAIN, "checkpoint_every": 2}, checkpoints=tmp_path)
    with pytest.raises(BenchError, match=r"broken: the loss is nan at step 6.*last good checkpoint"):
        fit(net, loss, lambda rng, n: np.ones((n, 1), np.float32), run)
    assert (tmp_path / "last.safetensors").is_file()
    fresh = nn.Linear(1, 1)
    fit(fresh, lambda b, g: {"loss": fresh(b).sum()}, lambda rng, n: np.ones((n, 1), np.float32), run)
    assert torch.isfinite(fresh.weight).all()


def test_cost_counts_flops_and_parameters() -> None:
    net = nn.Linear(32, 16, bias=False)
    run = RunContext(train={**TRAIN, "steps": 5})
    fit(
        net,
        lambda b, g: {"loss": net(b).square().mean()},
        lambda rng, n: rng.normal(size=(n, 32)).astype(np.float32),
        run,
    )
    assert run.cost["parameters"] == 32 * 16
    assert run.cost["train_flops"] == 5 * 2 * (2 * 8 * 32 * 16), (
        "forward and the weight's gradient; the input needs none"
    )
    assert run.cost["images_seen"] == 5 * 8


def test_moving_average_is_what_remains() -> None:
    net = nn.Linear(1, 1, bias=False)
    seen: list[float] = []
    run = RunContext(train={**TRAIN, "steps": 30, "ema": 0.99, "warmup": 0, "schedule": "constant"})
    ones = lambda rng, n: np.ones((n, 1), np.float32)  # noqa: E731
    fit(net, lambda b, g: {"loss": net(b).mean()}, ones, run, on_step=lambda s: seen.append(float(net.weight.detach())))
    average = seen[0]
    for step, value in enumerate(seen):
        average += max(0.01, 1 / (1 + 0.1 * step)) * (value - average)
    assert net.weight.item() == pytest.approx(average, rel=1e-5)
    assert net.weight.item() != seen[-1]


def test_weight_decay_shrinks_matrices_and_leaves_biases_and_gains() -> None:
    with seeded(0):
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.Flatten(), nn.Linear(3, 2))
    before = {name: value.detach().clone() for name, value in net.named_parameters()}
    settings = {"steps": 1, "batch_size": 1, "lr": 0.1, "warmup": 0, "schedule": "constant"}
    run = RunContext(train={**settings, "weight_decay": 0.5})
    fit(net, lambda b, g: {"loss": 0.0 * net(b).sum()}, lambda rng, n: np.ones((n, 1, 3, 3), np.float32), run)
    assert {value.ndim for value in before.values()} == {1, 2, 4}
    for name, value in net.named_parameters():
        kept = 1 - 0.1 * 0.5 if value.ndim > 1 else 1.0
        torch.testing.assert_close(value.detach(), kept * before[name], msg=name)
        assert before[name].any() or name == "1.bias", "a zero would show nothing"


def moved_by(norms: list[float], grad_clip: float) -> np.ndarray:
    """Weights after one step for each of ``norms``, the global norm of that step's gradient."""
    net = nn.Linear(3, 1)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    x = torch.tensor([[0.1, -0.7, 0.5]])
    length = float((x.square().sum() + 1).sqrt())  # of the gradient of net(x): x by the weight, 1 by the bias
    steps = iter(norms)
    settings = {"steps": len(norms), "batch_size": 1, "lr": 0.1, "warmup": 0, "schedule": "constant"}
    run = RunContext(train={**settings, "weight_decay": 0.0, "grad_clip": grad_clip})
    fit(net, lambda b, g: {"loss": net(x).sum() * next(steps) / length}, lambda rng, n: np.zeros(n, np.float32), run)
    return weights(net)


def test_clipping_bounds_what_a_huge_gradient_does() -> None:
    """As if gradients were no longer than ``grad_clip``, all parameters taken together; shorter ones are left alone."""
    clipped = moved_by([0.5, 1e6, 0.5, 0.5], grad_clip=2.0)
    np.testing.assert_allclose(clipped, moved_by([0.5, 2.0, 0.5, 0.5], grad_clip=0.0), rtol=1e-4)
    assert np.abs(clipped - moved_by([0.5, 1e6, 0.5, 0.5], grad_clip=0.0)).max() > 0.01


@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_the_forward_pass(precision: str, expected: torch.dtype) -> None:
    net, seen = network(), set[torch.dtype]()
    net[0].register_forward_hook(lambda module, given, out: seen.add(out.dtype))
    run_fit(RunContext(train={**TRAIN, "steps": 2, "precision": precision}), net=net)
    assert seen == {expected}
    assert {p.dtype for p in net.parameters()} == {torch.float32}, "the weights themselves stay whole"


def test_every_step_has_a_batch_noise_and_dropout_of_its_own() -> None:
    """All three are drawn from (seed, step): no two steps share them, and another run of the seed repeats them."""

    def drawn(seed: int) -> dict[str, list[bytes]]:
        net, seen = nn.Linear(1, 1), {"batch": [], "normal": [], "uniform": [], "layers": []}

        def loss(batch: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
            noise = {"normal": randn((4,), generator), "uniform": rand((4,), generator), "layers": torch.rand(4)}
            for name, value in {"batch": batch, **noise}.items():
                seen[name].append(value.numpy().tobytes())
            return {"loss": net(batch).sum()}

        run = RunContext(seed=seed, train={**TRAIN, "steps": 3})
        fit(net, loss, lambda rng, n: rng.normal(size=(n, 1)).astype(np.float32), run)
        return seen

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert first == again
    for name in first:
        assert len({*first[name], *other[name]}) == 6, name


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear_tail"])
def test_schedules(schedule: str) -> None:
    tail = {"tail": 0.2} if schedule == "linear_tail" else {}
    config = TrainConfig(steps=100, lr=1.0, warmup=10, schedule=schedule, **tail)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) <= 1.0
    assert rates[50] == pytest.approx({"constant": 1.0, "cosine": 0.5, "linear_tail": 1.0}[schedule], abs=0.02)
    assert rates[99] == pytest.approx({"constant": 1.0, "cosine": 0.0, "linear_tail": 0.05}[schedule], abs=0.01)
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(rates[12:]))


def test_weights_round_trip_and_a_wrong_file_is_refused(tmp_path: Path) -> None:
    net = network()
    save_module(net, tmp_path / "w.safetensors")
    other = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))
    load_module(other, tmp_path / "w.safetensors")
    assert np.array_equal(weights(net), weights(other))
    with pytest.raises(BenchError, match="does not hold the weights"):
        load_module(nn.Linear(2, 2), tmp_path / "w.safetensors")
    with pytest.raises(BenchError, match="no weights at"):
        load_module(net, tmp_path / "none.safetensors")


WORKER = """
import sys, importlib.util, numpy as np
spec = importlib.util.spec_from_file_location("t", sys.argv[1])
t = importlib.util.module_from_spec(spec)
spec.loader.exec_module(t)
from bench.contracts import RunContext
from bench.base.processes import distributed, rank
from torch import nn
with distributed():
    net = t.network(); net[2] = nn.Identity()
    t.run_fit(RunContext(seed=5, train=t.TRAIN), net=net)
    if rank() == 0: np.save(sys.argv[2], t.weights(net))
"""


def test_two_processes_match_one(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    results = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.npy"
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([*launcher, str(script), __file__, str(out)], check=True, env=environment, timeout=120)
        results.append(np.load(out))
    assert np.abs(results[0] - results[1]).max() < 1e-5
    start = network()
    start[2] = nn.Identity()
    assert np.abs(results[0] - weights(start)).max() > 1e-2, "the weights moved"


def test_shards_cover_all_items_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.base import processes

    for world in (1, 2, 3):
        monkeypatch.setattr(processes, "world_size", lambda world=world: world)
        items: list[int] = []
        for number in range(world):
            monkeypatch.setattr(processes, "rank", lambda number=number: number)
            first, count = processes.shard(10)
            items += range(first, first + count)
        assert items == list(range(10))
