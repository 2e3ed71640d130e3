"""Clips whose motion is known: a pendulum, a flame, two candles of different rhythm, and a fish before a blue screen.

Rendered from a seed, so that what a video texture does to the motion (a reversed swing, a lost beat, a wrong heading)
can be measured against the truth and not only looked at. Every clip carries faint camera noise: no two frames are
equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError, did_you_mean
from bench.base.seeds import generator

__all__ = ["BLUE", "RENDERED", "RenderedClip", "render_clip"]

Floats = NDArray[np.float64]

FPS = 25.0
NOISE = 1.2
"""Standard deviation of the camera noise in grey levels."""
BLUE = (20, 60, 220)
"""The blue screen."""
PENDULUM_PERIOD, FLAME_PERIOD, CANDLE_PERIODS, TAIL_PERIOD = 40.0, 40.6, (29.0, 47.0), 11.3
"""In frames. The pendulum's is whole and sampled symmetrically: every frame of the swing to the right looks like one of
the swing back, which is what misleads a distance of single frames."""


@dataclass(frozen=True)
class RenderedClip:
    """A clip and its truth.

    Attributes:
        frames: ``(T, H, W, 3)`` uint8.
        fps: frames a second.
        period: of the motion in frames, None if it has none or more than one.
        truth: arrays whose first axis is T: ``phase`` (in periods), and for the fish ``position`` and ``velocity`` (x,
            y; pixels and pixels a frame) and ``matte`` (opacity times 255).
    """

    frames: NDArray[np.uint8]
    fps: float = FPS
    period: float | None = None
    truth: dict[str, NDArray[Any]] = field(default_factory=dict)


def _camera(frame: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Values 0..255 with noise, rounded."""
    return np.clip(np.rint(frame + rng.normal(0.0, NOISE, frame.shape)), 0, 255).astype(np.uint8)


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Pixel centres: ``y`` (H, 1), ``x`` (1, W)."""
    return np.arange(height, dtype=np.float64)[:, None] + 0.5, np.arange(width, dtype=np.float64)[None, :] + 0.5


def _cover(distance: Floats) -> Floats:
    """Coverage of a pixel by a shape whose signed distance (negative inside) is given in pixels."""
    return np.clip(0.5 - distance, 0.0, 1.0)


def _segment(y: Floats, x: Floats, start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """Distance to the line from ``start`` to ``end`` (x, y)."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)


def _mix(below: Floats, cover: Floats, colour: Any) -> Floats:
    return below + cover[..., None] * (np.asarray(colour, dtype=np.float64) - below)


def _pendulum(rng: np.random.Generator, length: int) -> RenderedClip:
    """A brass bob before a wooden case: theta = 30 degrees times sin(2 pi t / period), two exposures a frame."""
    height, width, amplitude = 144, 192, np.deg2rad(30.0)
    y, x = _grid(height, width)
    start = int(rng.integers(80)) / 80
    grain = np.cumsum(rng.normal(0, 1, width))
    grain = (
        5.0 * np.sin(x / 7.0 + 0.6 * np.sin(y / 37.0))
        + 1.2 * (grain - grain.mean())[None, :] * np.exp(-np.abs(grain - grain.mean()) / 8)[None, :]
    )
    light = 1.08 - 0.5 * (np.hypot((x - width / 2) / width, (y - 30) / height)) ** 2
    wall = (np.array([96.0, 62.0, 38.0]) + 0.55 * grain[..., None]) * light[..., None]
    pivot, rod = (width / 2, 14.0), 98.0
    phase = start + np.arange(length) / PENDULUM_PERIOD
    frames = np.empty((length, height, width, 3), dtype=np.uint8)
    for t in range(length):
        total = np.zeros((height, width, 3))
        for shutter in (-0.12, 0.12):  # part of the frame's time that the shutter is open
            theta = amplitude * np.sin(2 * np.pi * (phase[t] + shutter / PENDULUM_PERIOD))
            bob = (pivot[0] + rod * np.sin(theta), pivot[1] + rod * np.cos(theta))
            shadow = _cover((np.hypot(x - bob[0] - 6, y - bob[1] - 5) - 16.0) / 4.0)
            shown = _mix(wall, 0.45 * shadow, (20.0, 12.0, 8.0))
            shown = _mix(shown, _cover(_segment(y, x, pivot, bob) - 1.3), (190.0, 190.0, 196.0))
            away = np.hypot(x - bob[0], y - bob[1])
            gloss = np.exp(-((x - bob[0] + 5) ** 2 + (y - bob[1] + 6) ** 2) / 60.0)
            edge = np.clip(away / 16.0, 0, 1) ** 3
            brass = np.array([214.0, 164.0, 62.0]) * (1.0 - 0.5 * edge[..., None]) + 110.0 * gloss[..., None]
            total += _mix(shown, _cover(away - 16.0), np.minimum(brass, 255.0))
        still = _mix(total / 2, _cover(np.hypot(x - pivot[0], y - pivot[1]) - 4.5), (120.0, 116.0, 110.0))
        frames[t] = _camera(still, rng)
    return RenderedClip(frames, period=PENDULUM_PERIOD, truth={"phase": phase})


@dataclass(frozen=True)
class _Flame:
    """One candle: where its wick stands, its rhythm, and the random shape of its flicker (three harmonics)."""

    wick: tuple[float, float]
    period: float
    size: float
    phases: Floats  # (3, 3)

    def light(self, y: Floats, x: Floats, phase: float) -> tuple[Floats, Floats]:
        """(body, glow) in 0..1 at a phase in periods."""
        beat = 2 * np.pi * np.arange(1, 4)[:, None] * phase + self.phases  # (3 harmonics, 3 uses)
        weights = np.array([1.0, 0.5, 0.3])
        tall = self.size * (1.0 + 0.16 * float(weights @ np.sin(beat[:, 0])))
        wide = 0.2 * self.size * (1.0 - 0.1 * float(weights @ np.sin(beat[:, 1])))
        up = (self.wick[1] - y) / tall  # 0 at the wick, 1 at the tip
        inside = np.clip(up, 0.0, 1.0)
        sway = sum(
            w * np.sin(b - 2.2 * (n + 1) * inside) for n, (w, b) in enumerate(zip(weights, beat[:, 2], strict=True))
        )
        middle = self.wick[0] + 0.13 * self.size * inside**1.5 * sway
        half = wide * np.sqrt(np.clip(inside + 0.03, 0, 1)) * np.clip(1.0 - inside, 0, 1) ** 0.75 * 2.0
        body = np.clip((half - np.abs(x - middle)) / (0.09 * self.size), 0.0, 1.0) * (up > -0.02)
        body *= np.clip(1.08 - inside, 0.0, 1.0) ** 0.4
        strength = 1.0 + 0.22 * float(weights @ np.sin(beat[:, 0]))
        distance = np.hypot(x - self.wick[0] - 0.4 * (middle - self.wick[0]), y - self.wick[1] + 0.4 * tall)
        return body, strength * np.exp(-distance / (0.9 * self.size))


def _candles(
    rng: np.random.Generator, length: int, width: int, wicks: tuple[float, ...], periods: tuple[float, ...]
) -> tuple[NDArray[np.uint8], Floats]:
    """Frames, and the phase of each flame in its own periods: ``(T, n)``."""
    height = 144
    y, x = _grid(height, width)
    flames = [
        _Flame((at, 92.0), period, 52.0, rng.uniform(0, 2 * np.pi, (3, 3)))
        for at, period in zip(wicks, periods, strict=True)
    ]
    phases = np.stack([rng.uniform() + np.arange(length) / period for period in periods], axis=1)
    room = np.array([20.0, 14.0, 16.0]) * (1.0 + 0.5 * (y / height))[..., None] + np.zeros((height, width, 1))
    frames = np.empty((length, height, width, 3), dtype=np.uint8)
    for t in range(length):
        lit = [flame.light(y, x, phase) for flame, phase in zip(flames, phases[t], strict=True)]
        glow = np.sum([light for _, light in lit], axis=0)
        shown = room + np.array([150.0, 74.0, 22.0]) * glow[..., None]
        for flame, (body, light) in zip(flames, lit, strict=True):
            side = x - flame.wick[0]
            wax = _cover(np.abs(side) - 15.0) * _cover(97.0 - y) * np.ones_like(x)
            through = np.exp(-np.clip(y - 97.0, 0, None) / 26.0) * np.clip(light * 1.9, 0, 1.4)  # light inside the wax
            rounded = (1.0 - 0.5 * (np.clip(np.abs(side) / 15.0, 0, 1)) ** 2)[..., None]
            shown = _mix(
                shown,
                wax,
                np.minimum(
                    (np.array([70.0, 56.0, 44.0]) + through[..., None] * np.array([165.0, 118.0, 62.0])) * rounded,
                    255.0,
                ),
            )
            shown = _mix(shown, _cover(_segment(y, x, flame.wick, (flame.wick[0], 98.0)) - 1.2), (42.0, 26.0, 20.0))
            heat = np.clip((flame.wick[1] - y) / flame.size, 0.0, 1.0) * np.ones_like(x)
            core = np.stack(
                [255.0 * np.ones_like(heat), 150.0 + 95.0 * body - 50 * heat, 20.0 + 150.0 * body**2 * (1 - heat)],
                axis=-1,
            )
            shown = shown + np.clip(1.6 * body, 0, 1)[..., None] * (np.clip(core, 0, 255) - shown)
            base = np.exp(-(((x - flame.wick[0]) / 6.0) ** 2) - ((y - flame.wick[1] + 3.0) / 6.0) ** 2)
            shown = _mix(shown, 0.55 * base, (70.0, 90.0, 220.0))
        frames[t] = _camera(shown, rng)
    return frames, phases


def _flame(rng: np.random.Generator, length: int) -> RenderedClip:
    frames, phases = _candles(rng, length, 144, (72.0,), (FLAME_PERIOD,))
    return RenderedClip(frames, period=FLAME_PERIOD, truth={"phase": phases[:, 0]})


def _pair(rng: np.random.Generator, length: int) -> RenderedClip:
    frames, phases = _candles(rng, length, 256, (72.0, 184.0), CANDLE_PERIODS)
    return RenderedClip(frames, truth={"phases": phases})


def _fish_layer(y: Floats, x: Floats, at: Floats, heading: float, bend: float, beat: float) -> tuple[Floats, Floats]:
    """(colour (H, W, 3), opacity (H, W)) of a koi seen from above, its spine bent to the turn and its tail beating."""
    c, s = np.cos(heading), np.sin(heading)
    u, v = c * (x - at[0]) + s * (y - at[1]), -s * (x - at[0]) + c * (y - at[1])  # u: nose at +17, tail at -17
    back = np.clip((8.0 - u) / 25.0, 0.0, 1.2)
    v = v + bend * 14.0 * (np.clip(u, -20, 20) / 20.0) ** 2 - 4.2 * back**1.6 * np.sin(2 * np.pi * beat - 2.4 * back)
    half = np.where(
        u > 4, 6.2 * np.sqrt(np.clip(1 - ((u - 4) / 13.0) ** 2, 0, 1)), 6.2 * np.clip(1 - ((4 - u) / 20.0) ** 2, 0, 1)
    )
    body = _cover(np.abs(v) - half) * (np.abs(u) < 17.5)
    spread = np.clip((-11.0 - u) / 9.0, 0.0, 1.0)
    tail = _cover(np.abs(v) - 1.2 - 5.0 * spread) * _cover(-22.0 - u + 0.6 * np.abs(v)) * (u < -10.5)
    fins = _cover(_ellipse(u - 3.5, np.abs(v) - 8.5, 5.5, 2.2, 0.75))
    white, orange = np.array([244.0, 240.0, 230.0]), np.array([232.0, 96.0, 28.0])
    patch = np.clip(0.5 + 3.0 * np.sin(0.42 * u + 0.9) + 1.4 * np.sin(0.55 * v + 0.3 * u), 0.0, 1.0)
    shade = 1.0 - 0.42 * np.clip(np.abs(v) / np.maximum(half, 1e-6), 0, 1) ** 2
    skin = (white + patch[..., None] * (orange - white)) * shade[..., None]
    eyes = _cover(np.hypot(u - 12.2, np.abs(v) - 3.0) - 1.1)
    skin = _mix(skin, eyes, (18.0, 16.0, 16.0))
    thin = 0.85 * np.maximum(tail, fins)
    colour = np.where(body[..., None] > 0.02, skin, np.array([246.0, 190.0, 150.0]))
    return colour, np.maximum(body, thin)


def _ellipse(u: Floats, v: Floats, a: float, b: float, tilt: float) -> Floats:
    """About the signed distance to a tilted ellipse."""
    c, s = np.cos(tilt), np.sin(tilt)
    p, q = c * u + s * v, -s * u + c * v
    distance: Floats = (np.hypot(p / a, q / b) - 1.0) * min(a, b)
    return distance


def _fish(rng: np.random.Generator, length: int) -> RenderedClip:
    """A koi that swims through every heading, turning both ways; the screen behind it is blue and a little uneven."""
    height, width = 144, 192
    y, x = _grid(height, width)
    time = np.arange(-1, length + 1) / length
    start = rng.uniform(0, 2 * np.pi, 2)
    path = np.stack(
        [
            width / 2 + 56.0 * np.sin(2 * np.pi * 2 * time + start[0]) + 8.0 * np.sin(2 * np.pi * 5 * time),
            height / 2 + 38.0 * np.sin(2 * np.pi * 3 * time + start[1]) + 5.0 * np.cos(2 * np.pi * 7 * time),
        ],
        axis=1,
    )
    velocity = (path[2:] - path[:-2]) / 2
    heading = np.unwrap(np.arctan2(velocity[:, 1], velocity[:, 0]))
    bend = np.clip(np.gradient(heading) * 2.0, -0.5, 0.5)
    beat = rng.uniform() + np.arange(length) / TAIL_PERIOD
    screen = np.array(BLUE, dtype=np.float64) * (1.0 + 0.05 * np.sin(x / 61.0) * np.cos(y / 47.0))[..., None]
    frames = np.empty((length, height, width, 3), dtype=np.uint8)
    matte = np.empty((length, height, width), dtype=np.uint8)
    for t in range(length):
        left, top = (int(c) for c in np.clip(path[t + 1] - 29, 0, (width - 58, height - 58)))
        near = (
            slice(top, top + 58),
            slice(left, left + 58),
        )  # no part of the fish lies farther from its middle than 28 pixels
        rows, columns = y[near[0]], x[:, near[1]]
        opacity, premultiplied = np.zeros((58, 58)), np.zeros((58, 58, 3))
        for dy, dx in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
            colour, cover = _fish_layer(rows + dy, columns + dx, path[t + 1], heading[t], bend[t], beat[t])
            opacity += cover / 4
            premultiplied += colour * cover[..., None] / 4
        shown = screen.copy()
        shown[near] = shown[near] * (1 - opacity[..., None]) + premultiplied
        matte[t] = 0
        matte[t][near] = np.rint(255 * opacity)
        frames[t] = _camera(shown, rng)
    return RenderedClip(frames, truth={"position": path[1:-1], "velocity": velocity, "matte": matte})


RENDERED: dict[str, tuple[Callable[[np.random.Generator, int], RenderedClip], int]] = {
    "pendulum": (_pendulum, 150),
    "flame": (_flame, 130),
    "candles": (_pair, 150),
    "fish": (_fish, 360),
}
"""Name -> how it is rendered, and its length in frames."""


def render_clip(name: str, seed: int, length: int | None = None) -> RenderedClip:
    """One of :data:`RENDERED`; the same name, seed and length give the same frames.

    Raises:
        BenchError: no clip of this name.
    """
    if name not in RENDERED:
        raise BenchError(f"no rendered clip {name!r}.{did_you_mean(name, RENDERED)}")
    render, usual = RENDERED[name]
    return render(generator(seed, "clip", name), usual if length is None else length)
