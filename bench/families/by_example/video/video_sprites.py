"""Video sprites (Schoedl et al. 2000, sections 3.4 and 6): something filmed before a blue screen that swims where it is
told.

The sprite is cut out (:func:`pull_matte`), its place tracked (:func:`track`), and its pictures, registered at their
centre, become a video texture whose frames also carry a velocity. A jump costs

    C(i -> j) = D'(i + 1, j) / mean D + omega_v |v(i + 1) - v(j)| / mean |v|      likeness of picture and of motion
    E_d(j)    = omega_a (angle between v(j) and direction d) / pi                 towards the target

and the future costs F_d = C^p + E_d + alpha min F_d are worked out beforehand for a number of directions d all round;
while it plays, the direction to the target picks the table. Without looking ahead a sprite takes the frame that points
best now, and with it turns that lead nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.seeds import generator
from bench.families.by_example.video.video_distances import distances, filter_diagonal, mean_distance, taps_of
from bench.families.by_example.video.video_playback import blend_weights
from bench.families.by_example.video.video_textures import future_costs, kept_jumps, probabilities

__all__ = ["Sprite", "SpriteControl", "SpritePlay", "Swimmer", "compose", "cut_out", "pull_matte", "track"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _plate(frames: NDArray[np.uint8], most: int = 31) -> Floats:
    """The empty screen ``(H, W, 3)``: the median over time, which the sprite is gone from as long as it keeps
    moving."""
    chosen = np.array(frames[:: -(-len(frames) // most)])
    chosen.partition(len(chosen) // 2, axis=0)
    plate: Floats = chosen[len(chosen) // 2].astype(np.float64)
    return plate


def pull_matte(frames: NDArray[np.uint8], low: float = 0.05, high: float = 0.97) -> Floats:
    """Opacity 0..1 of what stands before a screen of one strong colour, ``(T, H, W)``.

    The key is how far the screen's main channel (blue, or green) exceeds the others, as a share of what it does on the
    empty screen; one minus that share, stretched from ``low`` (noise of the screen) and ``high`` to 0 and 1, is the
    opacity.

    Raises:
        BenchError: frames without colour, or a screen without a main channel.
    """
    if frames.ndim != 4 or frames.shape[3] != 3:
        raise BenchError(f"a matte needs colour frames (T, H, W, 3), not {frames.shape}")
    plate = _plate(frames)
    main = int(plate.mean(axis=(0, 1)).argmax())
    others = [c for c in range(3) if c != main]
    full = plate[..., main] - plate[..., others].max(axis=-1)
    if main == 0 or float(np.median(full)) < 40:
        raise BenchError(
            "no blue or green screen: its main channel exceeds the others by less than 40 grey levels in the median"
        )
    opacity = np.empty(frames.shape[:3])
    for t, frame in enumerate(frames):
        values = frame.astype(np.float64)
        key = (values[..., main] - values[..., others].max(axis=-1)) / np.maximum(full, 1.0)
        opacity[t] = np.clip((1.0 - key - low) / (high - low), 0.0, 1.0)
    return opacity


def track(opacity: Floats, taps: int = 11) -> Floats:
    """Centre of the opacity in each frame, (x, y) in pixels, ``(T, 2)``, smoothed over time by a binomial filter.

    What a beating tail does to the centre is a part of the picture and not of the way.

    Raises:
        BenchError: a frame in which nothing stands before the screen.
    """
    total = opacity.sum(axis=(1, 2))
    if (total < 1).any():
        raise BenchError(f"frame {int((total < 1).argmax())}: nothing stands before the screen")
    y, x = (np.arange(size) + 0.5 for size in opacity.shape[1:])
    centres = np.stack([opacity.sum(axis=1) @ x / total, opacity.sum(axis=2) @ y / total], axis=1)
    reach = taps // 2
    padded = np.concatenate(
        [2 * centres[:1] - centres[reach:0:-1], centres, 2 * centres[-1:] - centres[-2 : -2 - reach : -1]]
    )
    return np.stack([np.convolve(padded[:, axis], taps_of(2 * reach + 1), mode="valid") for axis in (0, 1)], axis=1)


@dataclass(frozen=True)
class Sprite:
    """A sprite, cut out and registered.

    Attributes:
        pictures: ``(T, S, S, 4)`` uint8, colour times opacity, and opacity.
        centres: ``(T, 2)`` (x, y) of the sprite's centre within its picture.
        places: ``(T, 2)`` centre in the clip.
        opacity: ``(T, H, W)`` the matte.
    """

    pictures: NDArray[np.uint8]
    centres: Floats
    places: Floats
    opacity: Floats

    @property
    def velocities(self) -> Floats:
        """Motion into each frame, pixels a frame; the first as the second."""
        steps = np.diff(self.places, axis=0)
        return np.concatenate([steps[:1], steps])


def cut_out(frames: NDArray[np.uint8], margin: int = 3) -> Sprite:
    """The sprite of a clip before a blue or green screen; colours at its edge are freed of the screen's.

    Raises:
        BenchError: no such screen, or nothing before it.
    """
    opacity = pull_matte(frames)
    places = track(opacity)
    reach = 0
    for t in range(len(frames)):
        y, x = np.nonzero(opacity[t] > 0.3)
        reach = max(
            reach, int(np.ceil(max(np.abs(x + 0.5 - places[t, 0]).max(), np.abs(y + 0.5 - places[t, 1]).max())))
        )
    half = reach + margin
    corners = np.floor(places).astype(np.int64) - half
    side = 2 * half + 1
    plate = _plate(frames)
    pictures = np.zeros((len(frames), side, side, 4), dtype=np.uint8)
    for t, (left, top) in enumerate(corners):
        inside = (
            slice(max(top, 0), top + side),
            slice(max(left, 0), left + side),
        )  # parts beyond the clip's edge stay empty
        cover = opacity[t][inside][..., None]
        colour = np.clip(frames[t][inside] - (1.0 - cover) * plate[inside], 0.0, 255.0 * cover)
        low, right = inside[0].start - top, inside[1].start - left
        pictures[t, low : low + cover.shape[0], right : right + cover.shape[1]] = np.rint(
            np.concatenate([colour, 255.0 * cover], axis=2)
        )
    return Sprite(pictures, places - corners, places, opacity)


@dataclass(frozen=True)
class SpriteControl:
    """Constants of a controlled sprite.

    Attributes:
        directions: for which future costs are worked out beforehand.
        omega_v: weight of a change of velocity at a jump.
        omega_a: weight of the angle to the target in each frame.
        alpha: weight of the future; 0 looks at the next frame alone.
        p: power of a jump's own cost.
        sigma: of the exponent, in these costs; 0 takes the best jump.
        taps: of the diagonal filter on the pictures.
        prune: as in :class:`bench.families.by_example.video.video_textures.VideoTexturesOptions`.
    """

    directions: int = 16
    omega_v: float = 0.3
    omega_a: float = 0.2
    alpha: float = 0.98
    p: float = 3.0
    sigma: float = 0.0
    taps: int = 2
    prune: int = 2

    def __post_init__(self) -> None:
        if self.directions < 2 or not 0 <= self.alpha < 1 or min(self.omega_v, self.omega_a, self.sigma) < 0:
            raise ValueError("directions must be at least 2, alpha from 0 to below 1, weights and sigma not negative")


@dataclass(frozen=True)
class SpritePlay:
    """Where a sprite went.

    Attributes:
        frames: frame of the sprite's clip shown, ``(n,)``.
        places: its centre, (x, y), ``(n, 2)``.
        errors: angle between its motion into each shown frame and the direction to the target before it, radians,
            ``(n,)``.
        costs: of the jumps: C, ``(n,)``; 0 where it plays on.
    """

    frames: Ints
    places: Floats
    errors: Floats
    costs: Floats


def angle_between(a: Floats, b: Floats) -> Floats:
    """Unsigned angle of vectors ``(..., 2)`` in radians, pi / 2 where one has no length."""
    cross, dot = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(axis=-1)
    none = (np.abs(a).sum(axis=-1) == 0) | (np.abs(b).sum(axis=-1) == 0)
    return np.where(none, np.pi / 2, np.abs(np.arctan2(cross, dot)))


class Swimmer:
    """A sprite with the future costs of every direction.

    Attributes:
        first: frame of the clip that state 0 stands for.
        costs: C of likeness, ``(K, K)``.
        future: F, ``(directions, K, K)``.
    """

    def __init__(self, sprite: Sprite, control: SpriteControl | None = None) -> None:
        self.sprite, self.control = sprite, control or SpriteControl()
        table = distances(sprite.pictures)
        filtered, self.first = filter_diagonal(table, self.control.taps)
        last = self.first + len(filtered)
        self.velocities = sprite.velocities[self.first : last]
        pace = float(np.hypot(*self.velocities.T).mean())
        change = np.hypot(*(self.velocities[:, None] - self.velocities[None]).transpose(2, 0, 1)) / max(pace, 1e-9)
        likeness = filtered / mean_distance(table) + self.control.omega_v * change
        costs = np.full_like(likeness, np.inf)
        costs[:-1] = likeness[1:]
        on = np.arange(len(costs) - 1)
        costs[on, on + 1] = 0.0
        self.costs = np.where(kept_jumps(costs, self.control.prune), costs, np.inf)
        self.headings = 2 * np.pi * np.arange(self.control.directions) / self.control.directions
        self.future = np.stack([self._toward(heading) for heading in self.headings])

    def _toward(self, heading: float) -> Floats:
        away = angle_between(self.velocities, np.array([np.cos(heading), np.sin(heading)])[None, :]) / np.pi
        costs = np.where(
            np.isfinite(self.costs), self.costs**self.control.p + self.control.omega_a * away[None, :], np.inf
        )
        return future_costs(costs, self.control.alpha, 1.0, 1e-6)[0]

    def steer(
        self, targets: Floats, place: tuple[float, float], seed: int, *, start: int | None = None, steered: bool = True
    ) -> SpritePlay:
        """Follows a target for ``len(targets)`` frames.

        Args:
            targets: (x, y) of the target at each time, ``(n, 2)``.
            place: where the sprite begins.
            seed: of the start frame and, with sigma above 0, of the choices.
            start: first frame shown; by default drawn.
            steered: False plays the clip's cheapest way whatever the target.
        """
        n, rng = len(targets), generator(seed, "sprite")
        reachable = np.flatnonzero(np.isfinite(self.future[0]).any(axis=1))
        now = int(reachable[rng.integers(len(reachable))]) if start is None else start - self.first
        frames, places, errors, costs = np.empty(n, dtype=np.int64), np.empty((n, 2)), np.zeros(n), np.zeros(n)
        at = np.asarray(place, dtype=np.float64)
        aimless = None if steered else future_costs(self.costs, self.control.alpha, self.control.p, 1e-6)[0]
        for t in range(n):
            if t:
                wanted = targets[t] - at
                heading = np.arctan2(wanted[1], wanted[0])
                row = self.future[int(np.rint(heading / (2 * np.pi / len(self.headings)))) % len(self.headings), now]
                row = row if aimless is None else aimless[now]
                if not np.isfinite(row).any():  # a dead end, which only looking ahead avoids: a cut
                    row = np.where(np.isin(np.arange(len(row)), reachable), 0.0, np.inf)
                    row[int(reachable[rng.integers(len(reachable))])] = -1.0
                chances = probabilities(row[None], self.control.sigma**self.control.p)[0]
                following = int(min((np.cumsum(chances) <= rng.random() * chances.sum()).sum(), len(row) - 1))
                costs[t] = self.costs[now, following]
                now = following
                at = at + self.velocities[now]
                errors[t] = float(angle_between(self.velocities[now], wanted))
            frames[t], places[t] = now + self.first, at
        return SpritePlay(frames, places, errors, costs)


def compose(
    backgrounds: Iterator[NDArray[np.uint8]],
    sprite: Sprite,
    play: SpritePlay,
    fade: int = 4,
    shadow: tuple[float, float, float] = (5.0, 7.0, 0.35),
) -> Iterator[NDArray[np.uint8]]:
    """The sprite over a background; parts outside of the picture are cut off.

    Where its place lies between pixels the sprite is shifted by the fraction, linearly. At jumps its registered
    pictures are cross-faded.

    Args:
        backgrounds: one picture for each frame of the play.
        sprite: what is shown.
        play: frames and places.
        fade: frames of the cross-fade.
        shadow: its offset (x, y) in pixels and its darkness.
    """
    from scipy.ndimage import gaussian_filter, shift

    side, still = sprite.pictures.shape[1], np.zeros(2, dtype=np.int64)
    mixes = blend_weights(play.frames, len(sprite.pictures), fade)
    for background, mix, place in zip(backgrounds, mixes, play.places, strict=False):
        shown = np.pad(background.astype(np.float64), ((side, side), (side, side), (0, 0)))
        corner = place - sum(weight * sprite.centres[frame] for frame, weight in mix)
        whole = np.floor(corner).astype(np.int64)
        picture = sum(weight * sprite.pictures[frame].astype(np.float64) for frame, weight in mix)
        moved = np.clip(shift(picture, (*(corner - whole)[::-1], 0), order=1), 0, 255)
        cover = moved[..., 3:] / 255.0
        dark = gaussian_filter(cover, 1.6, axes=(0, 1)) * shadow[2]
        layers = ((dark, np.zeros(1), np.rint(shadow[:2]).astype(np.int64)), (cover, moved[..., :3], still))
        for layer, colour, offset in layers:
            left, top = whole + offset + side
            if 0 <= top <= shown.shape[0] - side and 0 <= left <= shown.shape[1] - side:
                near = (slice(top, top + side), slice(left, left + side))
                shown[near] = shown[near] * (1.0 - layer) + colour
        yield np.clip(np.rint(shown[side:-side, side:-side]), 0, 255).astype(np.uint8)
