"""The tree against the exact search of image analogies in the same run: first the same definitions, then quality, then
time.

Both fill the same levels in the same order from the same features with the same kappa and one thread; only the search
differs. The exact search is no straw man: its distances are matrix products over all pixels of a wave. Rounds
alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.families.by_example.analogies.analogy_search import ExactSearch, TreeSearch, nearest
from bench.families.by_example.analogies.image_analogies import ImageAnalogies
from bench.families.by_example.analogies.planted_filters import blur

SIDE, CROP, CROPS = 320, 96, 8
"""Of A and of each B: the timed question of the default profile."""
Picture = NDArray[np.uint8]


def pictures() -> tuple[str, Picture, list[Picture]]:
    """A and the B: photographs where they are prepared, otherwise a fractal."""
    path = Path(__file__).parents[2] / "data/prepared/photos/exemplars.npz"
    if path.is_file():
        with np.load(path) as file:
            whole = file["astronaut"][:, :, 1]
            other = file["chelsea"][:, :, 1]
        a = whole[: 2 * (whole.shape[0] // 2) : 1, :][96 : 96 + SIDE, 96 : 96 + SIDE]
        corners = [(y, x) for y in (20, 130) for x in (20, 120, 220, 320)]
        return "photographs", a, [other[y : y + CROP, x : x + CROP] for y, x in corners[:CROPS]]
    rng = np.random.default_rng(0)
    made = []
    for side in (SIDE, *[CROP] * CROPS):
        spectrum = np.fft.fft2(rng.normal(size=(side, side)))
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
        field = np.fft.ifft2(spectrum / np.maximum(radius, 1 / side)).real
        made.append(np.clip(field / field.std() * 45 + 128, 0, 255).astype(np.uint8))
    return "fractal", made[0], made[1:]


def decibels(answers: list[Any], truths: list[Picture]) -> float:
    errors = [np.mean((one.picture.astype(float) - truth) ** 2) for one, truth in zip(answers, truths, strict=True)]
    return float(np.mean(20 * np.log10(255) - 10 * np.log10(errors)))


def test_parity_of_definitions() -> None:
    """A tree over all components that is asked exactly finds what the exact search finds; so does comparing every
    candidate."""
    rng = np.random.default_rng(0)
    features = np.rint(rng.normal(size=(3000, 55)) * 60).astype(np.float32)
    queries = np.rint(rng.normal(size=(40, 55)) * 60).astype(np.float32)
    everything = np.broadcast_to(np.arange(3000), (40, 3000))
    best, _ = nearest(features, queries, everything)
    exact = ExactSearch(features).shortlist(queries)[:, 0]
    tree, _ = nearest(
        features, queries, TreeSearch(features, components=55, neighbours=2, epsilon=0.0).shortlist(queries)
    )
    np.testing.assert_array_equal(exact, best)
    np.testing.assert_array_equal(tree, best)


def test_tree_against_exact_search(benchmark: Any, aim: Any) -> None:
    """The tree loses at most 1 dB; aim: 10 times as fast as the exact search."""
    name, a, asked = pictures()
    a_prime, truths = blur(a), [blur(b) for b in asked]
    system, times, found = ImageAnalogies(), {"exact": [], "ann": []}, {}

    def solve(search: str) -> None:
        start = time.perf_counter()
        found[search] = system.solve([(a, a_prime)], asked, search=search, remap=False)
        times[search].append(time.perf_counter() - start)

    solve("ann")  # loads what is imported late
    times["ann"].clear()
    benchmark.pedantic(lambda: solve("ann"), setup=lambda: solve("exact"), rounds=2, iterations=1)
    loss = decibels(found["exact"], truths) - decibels(found["ann"], truths)
    ratio = float(np.median(times["exact"]) / np.median(times["ann"]))
    pixels = sum(b.size for b in asked)
    benchmark.extra_info.update(
        pictures=name,
        side=SIDE,
        pixels=pixels,
        exact_pixels_per_second=round(pixels / float(np.median(times["exact"]))),
        ann_pixels_per_second=round(pixels / float(np.median(times["ann"]))),
        decibels_lost=round(loss, 3),
        threads=1,
    )
    assert decibels(found["exact"], truths) > decibels(_as_answers(asked), truths) + 3, (
        "the analogy learns the filter at all"
    )
    assert loss <= 1.0
    aim(ratio, 10)


def _as_answers(asked: list[Picture]) -> list[Any]:
    """B itself in the place of an answer."""
    return [type("Same", (), {"picture": b})() for b in asked]
