"""Video textures (Schoedl, Szeliski, Salesin and Essa, SIGGRAPH 2000): a clip played endlessly by jumping between
frames that are alike.

From the distances D of all pairs of frames (:mod:`bench.families.by_example.video.video_distances`), with the paper's
names and equations:

    C(i -> j) = D'(i + 1, j)                  a jump from i to j costs what the frame shown differs from the one that
    was due (2, 3) F(i -> j) = C(i -> j)^p + alpha min_k F(j -> k)   the cost with all that it leads to (6)
    P(i -> j) = exp(-F(i -> j) / sigma^p)     normalised over j (2); sigma is a multiple of the mean non-zero distance

With p = 1 the exponent is the paper's C / sigma, with p = 2 that of a Gaussian, C^2 / sigma^2: a power of sigma, so
that one sigma means the same distance whatever p is.

What it must reproduce: with D alone a pendulum's jumps reverse its swing, with the diagonal filter D' they do not;
small sigma plays the best loop over and over, large sigma gives variety at higher cost; with F the play never reaches
the clip's dead end; the iteration for F converges geometrically in alpha. Loops of a given length:
:mod:`bench.families.by_example.video.video_loops`; pictures and cross-fades:
:mod:`bench.families.by_example.video.video_playback`; sprites: :mod:`bench.families.by_example.video.video_sprites`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.files import write_npz
from bench.base.progress import Progress
from bench.base.seeds import generator
from bench.base.settings import Checked, Count, Natural, NotNegative, Positive, Range, changed
from bench.contracts import RunContext
from bench.families.by_example.exemplars import NothingToSet
from bench.families.by_example.video.video_distances import distances, filter_diagonal, mean_distance

__all__ = [
    "Texture",
    "VideoTextures",
    "VideoTexturesOptions",
    "future_costs",
    "kept_jumps",
    "probabilities",
    "walk",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MAX_SWEEPS = 100_000


@dataclass(frozen=True)
class VideoTexturesOptions(Checked):
    """Constants of the paper, under the paper's names. None touches what is trained, the distances of the frames.

    Attributes:
        sigma: of the exponent, in mean non-zero distances; 0 always takes the cheapest jump.
        taps: of the binomial diagonal filter (2 or 4 in the paper); 1 for the plain distance.
        alpha: weight of the future cost (0.99 to 0.999 in the paper); 0 for none.
        p: power of a jump's own cost: 1 lets one dear jump pay for a long play, more prefers several cheap ones.
        tolerance: the iteration for F ends when no value moves by more than this, in mean distances (to the power p).
        prune: only the cheapest jump within so many frames of source and target is kept; 0 keeps all.
        shortest: a jump skips at least so many frames, back or forward; shorter ones make a slow motion stutter.
        threshold: probabilities below it become zero.
        control: weight of the distance to a range of frames that is asked for, in mean distances for a clip's length.
        order: ``markov``; or, as rows to compare with, ``shuffled`` (frames in random order), ``hard_loop`` (the clip
            again and again, with a cut) and ``real`` (a piece of the clip as it is).
    """

    sigma: NotNegative = 0.1
    taps: Annotated[int, Range(low=1, high=64)] = 4
    alpha: Annotated[float, Range(low=0, below=1)] = 0.995  # at 1 the future cost has no end
    p: Positive = 2.0
    tolerance: Positive = 1e-6
    prune: Natural = 2
    shortest: Count = 8
    threshold: Annotated[float, Range(low=0, below=1)] = 0.0
    control: NotNegative = 20.0
    order: Literal["markov", "shuffled", "hard_loop", "real"] = "markov"


def kept_jumps(costs: Floats, radius: int, shortest: int = 1) -> NDArray[np.bool_]:
    """Jumps that no other within ``radius`` rows and columns undercuts (section 3.3) and that skip at least
    ``shortest`` frames.

    Playing on, ``i -> i + 1``, is always kept, and if no jump back is left, the one over at least a quarter of the clip
    that is cheapest for its length.
    """
    from scipy.ndimage import minimum_filter

    frames = np.arange(len(costs))
    kept: NDArray[np.bool_] = np.isfinite(costs) & (np.abs(frames[None, :] - frames[:, None] - 1) >= shortest)
    if radius > 0:
        kept &= costs <= minimum_filter(costs, size=2 * radius + 1, mode="nearest")
    kept[frames[:-1], frames[1:]] = np.isfinite(costs[frames[:-1], frames[1:]])
    if not np.tril(
        kept
    ).any():  # a motion that never comes back has no minimum below the diagonal: it gets one way back
        rows, columns = np.nonzero(np.tril(np.isfinite(costs), -(len(costs) // 4)))
        if len(rows):
            best = (costs[rows, columns] / (rows - columns + 1)).argmin()
            kept[rows[best], columns[best]] = True
    return kept


def future_costs(
    costs: Floats,
    alpha: float,
    p: float = 1.0,
    tolerance: float = 1e-6,
    *,
    backward: bool = True,
    sweeps: int = MAX_SWEEPS,
) -> tuple[Floats, list[float]]:
    """Equation 6, ``F(i -> j) = C(i -> j)^p + alpha m(j)`` with ``m(j) = min_k F(j -> k)``, iterated until m stands
    still.

    Args:
        costs: C, ``(K, K)``; infinite where there is no jump.
        alpha: below 1, so that every sweep shrinks the largest error at least by it.
        p: power.
        tolerance: largest change of m at which to stop.
        backward: each sweep runs from the last frame to the first and uses what it has already found (the paper's
            order, which needs few sweeps); False updates all frames at once, which shows the rate alpha itself.
        sweeps: most sweeps.

    Returns:
        F, and the largest change of m in each sweep.
    """
    powered = costs**p
    ahead = np.zeros(len(costs))  # m; a frame without a way on keeps infinity
    ahead[~np.isfinite(powered).any(axis=1)] = np.inf
    changes: list[float] = []
    while len(changes) < sweeps:
        before = ahead.copy()
        if alpha == 0:
            ahead = powered.min(axis=1)
        elif backward:
            for i in range(len(costs) - 1, -1, -1):
                ahead[i] = (powered[i] + alpha * ahead).min()
        else:
            ahead = (powered + alpha * ahead).min(axis=1)
        moved = ahead != before  # infinite values that stay do not move
        changes.append(float(np.abs(ahead[moved] - before[moved]).max()) if moved.any() else 0.0)
        if changes[-1] <= tolerance:
            break
    return (powered + alpha * ahead[None, :] if alpha else powered), changes


def probabilities(costs: Floats, scale: float, threshold: float = 0.0) -> Floats:
    """Equation 2: rows ``exp(-cost / scale)``, each summing to one; scale 0 takes the cheapest; a row without a way on
    is all zero."""
    lowest = costs.min(axis=1, keepdims=True)
    open_ = np.isfinite(lowest)
    above = np.where(np.isfinite(costs), costs - np.where(open_, lowest, 0.0), np.inf)
    chances: Floats = np.exp(-above / scale) if scale > 0 else (above == 0).astype(np.float64)
    if scale == 0:  # of equal costs the first
        chances = np.where(np.arange(costs.shape[1]) == chances.argmax(axis=1)[:, None], chances, 0.0)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.divide(chances, total, out=np.zeros_like(chances), where=open_)
    if threshold:
        chances = np.where(chances < np.minimum(threshold, chances.max(axis=1, keepdims=True)), 0.0, chances)
        chances = np.divide(chances, chances.sum(axis=1, keepdims=True), out=np.zeros_like(chances), where=open_)
    return chances


def walk(chances: Floats, starts: Ints, n: int, seeds: Sequence[int]) -> Ints:
    """Plays of ``n`` frames, one for each seed: ``(plays, n)`` states; -1 from where a play has no way on.

    A play depends on its start and its seed alone, not on the others beside it.
    """
    heap = np.cumsum(chances, axis=1)
    draws = np.stack([generator(seed, "play").random(n) for seed in seeds])  # (plays, n)
    shown = np.full((len(starts), n), -1, dtype=np.int64)
    shown[:, 0] = now = np.asarray(starts, dtype=np.int64)
    for t in range(1, n):
        alive = heap[now, -1] > 0
        rows = heap[now]
        now = np.minimum((rows <= draws[:, t, None] * rows[:, -1:]).sum(axis=1), len(heap) - 1)
        shown[:, t] = now = np.where(alive & (shown[:, t - 1] >= 0), now, -1)
    return shown


@dataclass(frozen=True)
class Texture:
    """What is worked out of one clip: its jumps, their costs and their probabilities.

    Attributes:
        first: frame of the clip that state 0 stands for (the filter needs frames before it); state s is frame ``first +
            s``.
        costs: C, ``(K, K)``, infinite where pruned and from the last state, which has no successor.
        unpruned: C before pruning.
        future: F.
        chances: P.
        changes: largest change in each sweep of the iteration for F.
        scale: mean non-zero distance.
        config: its settings.
    """

    first: int
    costs: Floats
    unpruned: Floats
    future: Floats
    chances: Floats
    changes: list[float]
    scale: float
    config: VideoTexturesOptions = field(repr=False)

    def __len__(self) -> int:
        return len(self.costs)

    @classmethod
    def of(cls, table: Floats, config: VideoTexturesOptions, within: tuple[int, int] | None = None) -> Texture:
        """The texture of a table of distances ``(T, T)``.

        Args:
            table: D.
            config: constants.
            within: first and last frame of the clip that the play should keep to; frames outside cost ``control`` more
                the farther they lie outside, and so do jumps that lead there in the end.

        Raises:
            BenchError: a clip shorter than the filter, or a range outside of the clip.
        """
        filtered, first = filter_diagonal(table, config.taps)
        scale = mean_distance(table)
        unpruned = np.full_like(filtered, np.inf)
        unpruned[:-1] = filtered[1:]
        costs = np.where(kept_jumps(unpruned, config.prune, config.shortest), unpruned, np.inf)
        asked = costs
        if within is not None:
            low, high = within
            if not 0 <= low <= high < len(table):
                raise BenchError(f"the range {low} to {high} lies outside of the clip's frames 0 to {len(table) - 1}")
            frames = first + np.arange(len(costs))
            outside = np.maximum(np.maximum(low - frames, frames - high), 0) / len(costs)
            asked = costs + config.control * scale * outside[None, :]
        unit = scale**config.p
        future, changes = future_costs(asked, config.alpha, config.p, config.tolerance * unit)
        chances = probabilities(future, config.sigma**config.p * unit, config.threshold)
        return cls(first, costs, unpruned, future, chances, changes, scale, config)

    @property
    def open_states(self) -> Ints:
        """States from which the play goes on."""
        return np.flatnonzero(self.chances.sum(axis=1) > 0)

    @property
    def best_start(self) -> int:
        """Frame of the clip from which a play costs least from then on."""
        return self.first + int(self.future.min(axis=1).argmin())

    def plays(self, n: int, seeds: Sequence[int], start: int | None = None, *, cut: bool = True) -> Ints:
        """Frames of the clip to show, ``(plays, n)``.

        Args:
            n: frames of each play.
            seeds: one for each play.
            start: frame of the clip to start from; by default a random one with a way on.
            cut: a play in a dead end cuts to a random frame; False ends it, with -1.

        Raises:
            BenchError: a start without a way on, or a clip with none.
        """
        open_ = self.open_states
        if len(open_) == 0:
            raise BenchError(
                "no frame of the clip has a way on: keep more jumps (a smaller prune, shortest or threshold)"
            )
        if start is not None and start - self.first not in open_:
            raise BenchError(
                f"start {start}: no way on from there; frames {self.first + open_[0]} to {self.first + open_[-1]} "
                "have one"
            )
        starts = np.array(
            [open_[generator(s, "start").integers(len(open_))] if start is None else start - self.first for s in seeds]
        )
        chances = self.chances
        if cut:
            closed = chances.sum(axis=1) == 0
            chances = np.where(closed[:, None], np.isin(np.arange(len(self)), open_) / len(open_), chances)
        states = walk(chances, starts, n, seeds)
        return np.where(states < 0, -1, states + self.first)

    def jump_costs(self, shown: Ints) -> Floats:
        """C of each step of a play, in mean distances, ``(..., n - 1)``; 0 where it plays on, NaN at the clip's edge or
        its end."""
        states = shown - self.first
        i, j = states[..., :-1], states[..., 1:]
        known = (i >= 0) & (i < len(self) - 1) & (j >= 0) & (j < len(self))
        return np.where(known, self.unpruned[np.where(known, i, 0), np.where(known, j, 0)] / self.scale, np.nan)


class VideoTextures:
    """Video textures as a :class:`bench.contracts.VideoSynthesizer`. What is kept of a clip are the distances of its
    frames."""

    Config: ClassVar[type[NothingToSet]] = NothingToSet
    SampleOptions: ClassVar[type[VideoTexturesOptions]] = VideoTexturesOptions
    CONTRACT: ClassVar[str] = "VideoSynthesizer"

    def __init__(self, config: NothingToSet | None = None, options: VideoTexturesOptions | None = None) -> None:
        self.config = config or NothingToSet()
        self.options = options or VideoTexturesOptions()
        self.tables: dict[str, Floats] = {}

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """The distances of every clip of ``data`` (name -> object with ``frames``)."""
        for name, clip in data.items():
            with Progress(
                f"comparing the frames of {name}", int(np.prod(clip.frames.shape[1:])), "values", quiet=run.quiet
            ) as progress:
                self.tables[name] = distances(clip.frames, progress=progress.update)

    def save(self, folder: Path) -> None:
        """``distances.npz``, squared and therefore whole numbers."""
        write_npz(
            folder / "distances.npz", {name: np.rint(table**2).astype(np.int64) for name, table in self.tables.items()}
        )

    @classmethod
    def load(cls, folder: Path, config: NothingToSet, device: str = "cpu") -> VideoTextures:
        """The system with the distances of ``folder``."""
        system = cls(config)
        with np.load(folder / "distances.npz", allow_pickle=False) as file:
            system.tables = {name: np.sqrt(file[name].astype(np.float64)) for name in file.files}
        return system

    @property
    def has_transitions(self) -> bool:
        """Whether plays follow probabilities (:meth:`texture`), not one of the orders to compare with."""
        return self.options.order == "markov"

    def configured(self, options: Mapping[str, Any]) -> VideoTexturesOptions:
        """The config with some fields replaced.

        Raises:
            BenchError: an unknown option, or a value that is not allowed.
        """
        return changed(self.options, options, "video_textures")

    def texture(self, clip: str | NDArray[np.uint8], within: tuple[int, int] | None = None, **options: Any) -> Texture:
        """The texture of a fitted clip, by name, or of frames ``(T, H, W, C)``.

        Raises:
            BenchError: no such clip, an unknown option.
        """
        config = self.configured(options)
        if isinstance(clip, str):
            if clip not in self.tables:
                raise BenchError(f"no clip {clip!r}.{did_you_mean(clip, self.tables)}")
            return Texture.of(self.tables[clip], config, within)
        return Texture.of(distances(clip), config, within)

    def play(self, frames: NDArray[np.uint8], n: int, seed: int, **options: Any) -> Ints:
        """Indices into ``frames`` (T, H, W, C) of ``n`` frames to show one after another; ``within`` and fields of the
        config."""
        shown: Ints = self.plays(frames, n, [seed], **options)[0]
        return shown

    def plays(
        self,
        clip: str | NDArray[np.uint8],
        n: int,
        seeds: Sequence[int],
        within: tuple[int, int] | None = None,
        **options: Any,
    ) -> Ints:
        """One play for each seed, ``(plays, n)``, in the order that the config asks for."""
        if n < 1:
            raise BenchError(f"a play has at least one frame, not {n}")
        config = self.configured(options)
        if config.order == "markov":
            texture = self.texture(clip, within, **options)
            return texture.plays(n, seeds)
        length = len(self.tables[clip]) if isinstance(clip, str) else len(clip)
        rows = [self._baseline(config.order, n, length, seed) for seed in seeds]
        return np.array(rows, dtype=np.int64)

    @staticmethod
    def _baseline(order: str, n: int, length: int, seed: int) -> Ints:
        """Frames in random order; or the clip round and round from a random frame on, ``real`` without a cut as long as
        it lasts."""
        rng = generator(seed, order)
        if order == "shuffled":
            return rng.integers(0, length, n)
        start = int(rng.integers(length if order == "hard_loop" else max(length - n + 1, 1)))
        return (start + np.arange(n, dtype=np.int64)) % length
