"""Image style transfer with convolutional networks (Gatys, Ecker and Bethge, CVPR 2016).

The pixels x of a picture are changed until a network sees in it the content of one picture, p, and the style of
another, a:

    L = alpha L_content(p, x) + beta L_style(a, x)               (7)

is minimised over x by L-BFGS; the two losses are in :mod:`bench.families.style_transfer.style_losses`, alpha + beta =
1.

What it must reproduce: with the ratio style loss falls and content loss rises; deeper content layers keep less pixel
detail.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from bench.base.errors import BenchError
from bench.base.finite import rounded_pixels
from bench.contracts import DataNeed, Need, RunContext
from bench.families.style_transfer.style_colour import from_yiq, match_colours, match_luminance, to_yiq
from bench.families.style_transfer.style_losses import Losses, StyleConfig, StyleOptions
from bench.nn.features.networks import (
    FeatureNetwork,
    load_network,
    network_of,
    random_network,
    read_weights,
    save_network,
)
from bench.registry import sample_options

__all__ = ["Job", "StyleConfig", "StyleTransfer", "Styled"]

SMALLEST = 16
HISTORY = 20
"""Pairs of steps that L-BFGS remembers."""


@dataclass(frozen=True)
class Job:
    """One picture to make: ``(H, W)`` or ``(H, W, 3)`` uint8 content and style, the seed of a noise start, changed
    settings."""

    content: NDArray[np.uint8]
    style: NDArray[np.uint8]
    seed: int = 0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Styled:
    """The outcome.

    Attributes:
        picture: ``(H, W, 3)`` uint8.
        frames: ``(F, H, W, 3)`` uint8, x after the asked steps.
        curve: ``(evaluations, 2)`` content and style loss at each evaluation, in order.
    """

    picture: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    curve: NDArray[np.float64]


def _check(picture: NDArray[np.uint8], what: str) -> NDArray[np.float64]:
    """``(H, W, 3)`` in 0..1."""
    array = np.asarray(picture)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.dtype != np.uint8:
        raise BenchError(
            f"the {what} picture must be uint8 of shape (H, W) or (H, W, 3), not {array.dtype} "
            f"{np.asarray(picture).shape}"
        )
    if min(array.shape[:2]) < SMALLEST:
        raise BenchError(
            f"the {what} picture is {array.shape[0]}x{array.shape[1]}: style transfer needs {SMALLEST} pixels each way"
        )
    return np.repeat(array, 3 // array.shape[2], axis=2) / 255.0


def _tensor(picture: NDArray[np.float64], device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32))[None].to(device)


class StyleTransfer:
    """Pictures with the content of one and the style of another.

    Every picture is made by one thread, so that its bytes depend neither on the machine's threads nor on what is made
    beside it; several pictures are made at once.
    """

    Config: ClassVar[type] = StyleConfig
    SampleOptions: ClassVar[type] = StyleOptions
    NEEDS: ClassVar[Mapping[str, Need]] = {"network": DataNeed("weights")}

    def __init__(
        self, config: StyleConfig | None = None, network: FeatureNetwork | None = None, device: str = "cpu"
    ) -> None:
        self.config = config or StyleConfig()
        self._network, self.device = network, device

    @property
    def network(self) -> FeatureNetwork:
        """The network whose activations are compared."""
        if self._network is None:
            raise BenchError("style transfer has no network yet: call fit or load first")
        return self._network

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Take the network of ``run.data["network"]``, or of ``config.weights``; nothing is trained."""
        self.device = run.device
        if self.config.weights == "random":
            self._network = random_network(run.seed)
        else:
            if not self.config.weights and "network" not in run.data:
                raise BenchError(
                    f"{run.name}: no network: name a data set of kind `weights` under `network:`, or a file under "
                    "`model.weights`"
                )
            path = Path(self.config.weights) if self.config.weights else run.data["network"]
            self._network = network_of(
                read_weights(path), pool=self.config.pool, preprocessing=self.config.preprocessing
            )
        self.config.filled(self._network)
        run.cost["parameters"] = float(sum(value.numel() for value in self._network.state_dict().values()))
        self._network.to(run.device)  # type: ignore[attr-defined]

    def save(self, folder: Path) -> None:
        """``network.safetensors`` and ``network.json``."""
        save_network(self.network, folder)

    @classmethod
    def load(cls, folder: Path, config: StyleConfig, device: str = "cpu") -> StyleTransfer:
        """The inverse of :meth:`save`."""
        return cls(config, load_network(folder, device), device)

    def settings(self, options: Mapping[str, Any]) -> StyleOptions:
        """The config with changed values.

        Raises:
            BenchError: unknown name, or a value that is refused.
        """
        chosen: StyleOptions = sample_options(type(self), self.config, options, "style transfer")
        return chosen

    def stylise(
        self, content: NDArray[np.uint8], style: NDArray[np.uint8], seed: int = 0, **options: Any
    ) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 of the height and width of ``content``.

        Args:
            content, style: ``(H, W)`` or ``(H, W, 3)`` uint8; sizes may differ.
            seed: of a start from noise.
            options: fields of :class:`StyleOptions` to change.
        """
        return self.run(Job(content, style, seed, options)).picture

    def stylise_all(
        self,
        pairs: Sequence[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]],
        seeds: Sequence[int],
        options: Mapping[str, Any],
        workers: int = 1,
        update: Callable[[int], None] | None = None,
    ) -> list[NDArray[np.uint8]]:
        """The picture of each (name, content, style), ``workers`` at a time; ``update(iterations)`` is called as they
        go."""
        jobs = [Job(content, style, seed, options) for (_, content, style), seed in zip(pairs, seeds, strict=True)]
        if self.device != "cpu" or workers < 2:
            return [self.run(job, update=update).picture for job in jobs]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda job: self.run(job, update=update).picture, jobs))

    def run_frames(
        self,
        content: NDArray[np.uint8],
        style: NDArray[np.uint8],
        seed: int,
        frames: Sequence[int],
        update: Callable[[int], None] | None = None,
    ) -> NDArray[np.uint8]:
        """``(frames, H, W, 3)``: the picture after each number of steps; 0 is the start."""
        return self.run(Job(content, style, seed, {"steps": max(1, *frames)}), frames, update).frames

    def run(self, job: Job, frames: Sequence[int] = (), update: Callable[[int], None] | None = None) -> Styled:
        """One picture, with x after the steps named in ``frames`` (0 is the start)."""
        config = self.settings(job.options).filled(self.network)
        content, style = _check(job.content, "content"), _check(job.style, "style")
        finish: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda x: x  # noqa: E731
        channels = 3
        if config.colour == "match":
            style = match_colours(style, content)
        elif config.colour == "luminance":
            kept, channels = to_yiq(content), 1
            content = kept[:, :, :1]
            style = match_luminance(to_yiq(style)[:, :, 0], content[:, :, 0])[:, :, None]
            finish = lambda x: from_yiq(np.concatenate([x[:, :, :1], kept[:, :, 1:]], axis=2))  # noqa: E731
        threads = torch.get_num_threads()
        if self.device == "cpu":
            torch.set_num_threads(1)
        try:
            taken, curve = self._optimise(
                content, style, channels, job.seed, config, sorted({*frames, config.steps}), update
            )
        finally:
            torch.set_num_threads(threads)
        pictures = np.stack([rounded_pixels(255 * finish(x)) for x in taken.values()])
        named = dict(zip(taken, pictures, strict=True))
        shown = [named[step] for step in sorted(set(frames)) if step in named]
        return Styled(named[config.steps], np.stack(shown) if shown else pictures[:0], np.array(curve))

    def _optimise(
        self,
        content: NDArray[np.float64],
        style: NDArray[np.float64],
        channels: int,
        seed: int,
        config: StyleOptions,
        stops: Sequence[int],
        update: Callable[[int], None] | None,
    ) -> tuple[dict[int, NDArray[np.float64]], list[tuple[float, float]]]:
        """x at each stop, ``(H, W, 3)``, and both losses at each evaluation."""
        p, a = (_tensor(picture, self.device) for picture in (content, style))
        losses = Losses(self.network, p.expand(1, 3, -1, -1), a.expand(1, 3, -1, -1), config)
        alpha, beta = 1 / (1 + config.ratio), config.ratio / (1 + config.ratio)
        x = self._start(p, a, seed, config.start).requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [x],
            max_eval=10 * config.steps,
            history_size=HISTORY,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        curve: list[tuple[float, float]] = []
        done = 0

        def closure() -> Tensor:
            nonlocal done
            optimizer.zero_grad()
            content_part, style_part = losses(x.expand(1, 3, -1, -1))
            total = alpha * content_part + beta * style_part
            if config.smoothness:
                total = total + config.smoothness * (x.diff(dim=2).square().mean() + x.diff(dim=3).square().mean())
            total.backward()  # type: ignore[no-untyped-call]
            curve.append((float(content_part.detach()), float(style_part.detach())))
            iterations = int(optimizer.state[x].get("n_iter", 0))
            if update is not None and iterations > done:
                update(iterations - done)
            done = iterations
            return total

        taken, before = {}, 0
        for stop in stops:
            if stop > before:
                optimizer.param_groups[0]["max_iter"] = stop - before
                optimizer.step(closure)  # type: ignore[no-untyped-call]
                before = stop
            taken[stop] = x.detach()[0].cpu().double().numpy().transpose(1, 2, 0)
            if not np.isfinite(taken[stop]).all():
                raise BenchError(
                    "style transfer: pixels are no longer finite; lower `ratio`, or check the network's weights"
                )
        return {stop: np.repeat(value, 3 // channels, axis=2) for stop, value in taken.items()}, curve

    def _start(self, content: Tensor, style: Tensor, seed: int, start: str) -> Tensor:
        if start == "content":
            return content.clone()
        if start == "style":
            return F.interpolate(
                style, size=content.shape[2:], mode="bilinear", align_corners=False, antialias=True
            ).clone()
        draws = np.random.default_rng(seed).normal(0.5, 0.2, size=content.shape)
        return torch.from_numpy(draws.astype(np.float32)).to(self.device)
