"""The one training loop of every neural system (over 350 lines: loop, checkpoint and process group belong to one
resume).

Deterministic by construction: everything random in step ``s`` is drawn from generators seeded by (seed, s), so that a
run resumed from a checkpoint, or spread over processes by ``torchrun``, walks through the same batches.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import atomic
from bench.base.precision import autocast
from bench.base.processes import rank, world_size
from bench.base.progress import Progress
from bench.base.seeds import derive
from bench.config.load import TrainConfig, train_config
from bench.contracts import RunContext

__all__ = ["TrainConfig", "fit", "learning_rate", "load_module", "rand", "randn", "save_module"]

Batch = Any
Loss = Callable[[Batch, torch.Generator], Mapping[str, Tensor]]


def _sharded(draw: Callable[..., Tensor], shape: Iterable[int], generator: torch.Generator) -> Tensor:
    first, *rest = shape
    world = world_size()
    values = draw((first * world, *rest), generator=generator, device=generator.device)
    return values[rank() :: world]


def randn(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """Standard normal noise for this process's part of a batch: over all processes together, the one-process noise."""
    return _sharded(torch.randn, shape, generator)


def rand(shape: Iterable[int], generator: torch.Generator) -> Tensor:
    """Uniform noise in [0, 1), like :func:`randn`."""
    return _sharded(torch.rand, shape, generator)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of step ``step`` (0-based).

    >>> learning_rate(TrainConfig(steps=100, lr=1.0, warmup=10, schedule="cosine"), 4)
    0.5
    """
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    if config.schedule == "cosine":
        return config.lr * (warm if warm < 1 else 0.5 * (1 + math.cos(math.pi * (step + 1) / config.steps)))
    if config.schedule == "linear_tail" and config.tail:
        return config.lr * warm * min(1.0, (1 - step / config.steps) / config.tail)
    return config.lr * warm


def save_module(module: nn.Module, path: Path) -> None:
    """``state_dict`` as safetensors, atomically (no pickle)."""
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    with atomic(path) as temporary:
        save_file(state, temporary)


def load_module(module: nn.Module, path: Path) -> None:
    """Load what :func:`save_module` wrote, strictly.

    Raises:
        BenchError: the file is missing or its tensors are not those of ``module``.
    """
    if not path.is_file():
        raise BenchError(f"no weights at {path}: run `dvc repro` first")
    try:
        module.load_state_dict(load_file(path), strict=True)
    except (RuntimeError, OSError) as error:
        raise BenchError(f"{path} does not hold the weights of this network: {error}") from error


class _LossModule(nn.Module):
    """What DistributedDataParallel wraps: the forward pass is the loss."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module = module
        self._loss = loss

    def forward(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        return dict(self._loss(batch, generator))


def _to_device(batch: Batch, device: str) -> Batch:
    """The process's part of the batch (every ``world_size``-th item), on the device."""
    if isinstance(batch, Mapping):
        return {key: _to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(_to_device(value, device) for value in batch)
    if isinstance(batch, np.ndarray):
        batch = torch.from_numpy(batch)
    if isinstance(batch, Tensor):
        return batch[rank() :: world_size()].to(device, non_blocking=True)
    return batch


class _State:
    """Everything that a checkpoint holds: weights, moving average, optimiser, step, curve, clock."""

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer, ema: list[Tensor]) -> None:
        self.module, self.optimizer, self.ema = module, optimizer, ema
        self.step, self.seconds, self.flops_per_step = 0, 0.0, 0.0
        self.curve: list[tuple[int, dict[str, float]]] = []

    def save(self, path: Path) -> None:
        tensors = {
            f"module.{key}": value.detach().cpu().contiguous() for key, value in self.module.state_dict().items()
        }
        tensors |= {f"ema.{i}": value.cpu() for i, value in enumerate(self.ema)}
        for index, entry in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value).cpu() for key, value in entry.items()}
        facts = {"step": self.step, "seconds": self.seconds, "flops_per_step": self.flops_per_step, "curve": self.curve}
        with atomic(path) as temporary:
            plain = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
            save_file(plain, temporary, metadata={"facts": json.dumps(facts)})

    def load(self, path: Path) -> None:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
        self.module.load_state_dict(
            {key.removeprefix("module."): v for key, v in tensors.items() if key.startswith("module.")}
        )
        for i, value in enumerate(self.ema):
            value.copy_(tensors[f"ema.{i}"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        # The fused optimiser walks raw memory: its state must lie in memory as the parameters do (channels last).
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, entry in state.items():
            like = parameters[index].detach()
            for name, value in entry.items():
                if value.shape == like.shape:
                    entry[name] = torch.empty_like(like, dtype=value.dtype).copy_(value)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds = int(facts["step"]), float(facts["seconds"])
        self.flops_per_step = float(facts["flops_per_step"])
        self.curve = [(int(step), dict(values)) for step, values in facts["curve"]]


def _optimizer(parameters: list[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr, betas=config.betas, fused=True)


class _Loop:
    """One training: the module, what steps it, and what a checkpoint holds."""

    def __init__(
        self, module: nn.Module, loss: Loss, run: RunContext, config: TrainConfig, parameters: Iterable[nn.Parameter]
    ) -> None:
        self.module, self.run, self.config = module, run, config
        self.trained = [p for p in parameters if p.requires_grad]
        self.optimizer = _optimizer(self.trained, config)
        self.ema = [p.detach().clone() for p in self.trained] if config.ema else []
        self.state = _State(module, self.optimizer, self.ema)
        self.checkpoint = run.checkpoints / "last.safetensors" if run.checkpoints is not None else None
        if self.checkpoint is not None and self.checkpoint.is_file():
            self.state.load(self.checkpoint)
        self.stepper: nn.Module = _LossModule(module, loss)
        if world_size() > 1:
            ids = [torch.device(run.device)] if run.device.startswith("cuda") else None
            self.stepper = nn.parallel.DistributedDataParallel(self.stepper, device_ids=ids)
        self.generator = torch.Generator(device=run.device)

    def advance(self, batches: Callable[[np.random.Generator, int], Batch]) -> dict[str, Tensor]:
        """One optimiser step; the terms of its loss.

        Raises:
            BenchError: the loss is not finite.
        """
        config, run, step = self.config, self.run, self.state.step
        # 1. Everything random in this step comes from (seed, step).
        rng = np.random.default_rng([run.seed, step])
        self.generator.manual_seed(derive(run.seed, "step", step))
        torch.manual_seed(derive(run.seed, "layers", step, rank()))
        batch = _to_device(batches(rng, config.batch_size), run.device)
        # 2. Loss and gradients; the first step counts FLOPs.
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        self.optimizer.zero_grad(set_to_none=True)
        counter = _flop_counter() if step == 0 else nullcontext()
        with counter:
            with autocast(run.device, config.precision):
                terms: dict[str, Tensor] = self.stepper(batch, self.generator)
            terms["loss"].backward()  # type: ignore[no-untyped-call]
        if step == 0:
            self.state.flops_per_step = float(counter.get_total_flops()) * world_size()  # type: ignore[union-attr]
        self._check(float(terms["loss"].detach()))
        # 3. Step, moving average.
        if config.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.trained, config.grad_clip, foreach=True)
        self.optimizer.step()
        if self.ema:
            weight = max(1 - config.ema, 1 / (1 + 0.1 * step))
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.trained], weight)
        self.state.step = step + 1
        return terms

    def _check(self, value: float) -> None:
        if math.isfinite(value):
            return
        kept = ""
        if self.checkpoint is not None and self.checkpoint.is_file():
            kept = f"; the last good checkpoint is {self.checkpoint}"
        raise BenchError(
            f"{self.run.name}: the loss is {value} at step {self.state.step}: lower `train.lr` or raise "
            f"`train.warmup`{kept}"
        )

    def record(self, terms: Mapping[str, Tensor]) -> None:
        """A point of the learning curve and a checkpoint, where they are due."""
        config, state = self.config, self.state
        if state.step % config.log_every == 0 or state.step in (1, config.steps):
            point = {key: float(term.detach()) for key, term in terms.items()}
            point |= {
                "lr": learning_rate(config, state.step - 1),
                "seconds": round(state.seconds, 3),
                "flops": state.flops_per_step * state.step,
                "images_seen": float(config.batch_size * state.step),
            }
            state.curve.append((state.step, point))
            self.run.curve(state.step, point)
        due = config.checkpoint_every and state.step % config.checkpoint_every == 0
        if self.checkpoint is not None and due and rank() == 0:
            state.save(self.checkpoint)

    def finish(self) -> None:
        """The averaged weights become the module's; the cost of it all."""
        if self.ema:
            with torch.no_grad():
                for parameter, average in zip(self.trained, self.ema, strict=True):
                    parameter.copy_(average)
        self.module.eval()
        facts = {
            "train_flops": self.run.cost.get("train_flops", 0.0) + self.state.flops_per_step * self.config.steps,
            "parameters": float(sum(p.numel() for p in self.module.parameters())),
            "images_seen": float(self.config.batch_size * self.config.steps),
            "steps": float(self.config.steps),
            "loop_seconds": self.state.seconds,
        }
        self.run.cost.update(facts)


def fit(
    module: nn.Module,
    loss: Loss,
    batches: Callable[[np.random.Generator, int], Batch],
    run: RunContext,
    *,
    parameters: Iterable[nn.Parameter] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train ``module`` for ``run.train["steps"]`` optimiser steps.

    Args:
        module: whose ``state_dict`` is checkpointed and whose parameters are trained.
        loss: ``loss(batch, generator) -> {"loss": scalar, ...}``; further scalars are logged. Noise comes from
            ``generator`` through :func:`randn` / :func:`rand`, which keep it equal over any number of processes.
        batches: ``batches(rng, batch_size)`` returns the whole batch of a step (arrays or tensors with the batch
            first).
        run: seed, device, ``train`` mapping, checkpoint folder, curve sink; ``run.cost`` is filled in.
        parameters: what to train, if not all of ``module``.
        on_step: called after each optimiser step with its number (1-based).

    After it returns, ``module`` holds the moving average of its weights if ``ema`` is on, and is in eval mode.

    Raises:
        BenchError: the loss is not finite: names the step; the last good checkpoint stays.
    """
    config = train_config(run.train, f"{run.name}: train")
    if config.batch_size % world_size():
        raise BenchError(f"{run.name}: batch_size {config.batch_size} does not divide over {world_size()} processes")
    module.to(run.device)
    if config.channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.train()
    loop = _Loop(module, loss, run, config, parameters if parameters is not None else module.parameters())
    state = loop.state
    for step, values in state.curve:
        run.curve(step, values)
    start = time.monotonic() - state.seconds
    with Progress(
        f"train {run.name}", config.steps, "step", initial=state.step, quiet=run.quiet or rank() > 0
    ) as progress:
        while state.step < config.steps:
            terms = loop.advance(batches)
            if on_step is not None:
                on_step(state.step)
            state.seconds = time.monotonic() - start
            loop.record(terms)
            progress.update(1, f"loss {float(terms['loss'].detach()):.4f}")
    loop.finish()


def _flop_counter() -> Any:
    from torch.utils.flop_counter import FlopCounterMode

    return FlopCounterMode(display=False)
