"""Distances of all pairs of frames against a pairwise loop, and as a share of this machine's matrix product.

The loop is the definition, pair by pair, each pair once: two frames as float32, difference, squares, sum, root. It runs
over a part of the pairs and is counted by the pair. A second loop, which converts every frame beforehand and so needs
four times the clip in memory, is reported beside it. The machine's rate is that of a plain float32 product of two large
square matrices in the same run. Of the symmetric product only one half need be computed, which libraries do: the
effective rate counts the whole product and may therefore exceed that of the plain one. Everything runs on one thread,
in rounds that alternate, and is counted in processor time, so that neighbours matter little.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench.families.by_example.video.video_distances import distances

FRAMES, HEIGHT, WIDTH = 600, 120, 160
LOOP_ROWS = 3
GEMM = 1536
THREADS = 1


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Frames mapped from disk, as a prepared clip is."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("clip") / "clip.npy"
    frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(FRAMES, HEIGHT, WIDTH, 3))
    for t in range(FRAMES):
        frames[t] = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames.flush()
    return np.load(Path(path), mmap_mode="r")


def pairwise(frames: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Distances of the chosen frames to all, one pair at a time."""
    found = np.empty((len(rows), len(frames)))
    for k, i in enumerate(rows):
        for j in range(len(frames)):
            found[k, j] = np.sqrt(((frames[i].astype(np.float32) - frames[j].astype(np.float32)) ** 2).sum())
    return found


def test_distances_against_a_pairwise_loop_and_the_machines_product(benchmark: Any, aim: Any, clip: np.ndarray) -> None:
    """Aim: 20 times the loop's pairs a second; and the share of the measured rate of a matrix product, near it or
    above."""
    rows = np.linspace(0, FRAMES - 1, LOOP_ROWS).astype(int)
    ours = distances(clip)
    np.testing.assert_allclose(ours[rows], pairwise(clip, rows), rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(ours, ours.T)

    times: dict[str, list[float]] = {"loop": [], "converted": [], "ours": [], "gemm": []}
    square = np.random.default_rng(1).standard_normal((GEMM, GEMM)).astype(np.float32)
    flat = [frame.reshape(-1).astype(np.float32) for frame in clip]

    def other_rounds() -> tuple[tuple[()], dict[str, Any]]:
        with threadpool_limits(THREADS):
            start = time.process_time()
            pairwise(clip, rows[:1])
            times["loop"].append((time.process_time() - start) / FRAMES)
            start = time.process_time()
            for i in rows:
                for j in range(FRAMES):
                    np.linalg.norm(flat[i] - flat[j])
            times["converted"].append((time.process_time() - start) / (LOOP_ROWS * FRAMES))
            start = time.process_time()
            _ = square @ square[::-1]
            times["gemm"].append(time.process_time() - start)
        return (), {}

    def our_round() -> None:
        with threadpool_limits(THREADS):
            start = time.process_time()
            distances(clip)
            times["ours"].append((time.process_time() - start) / FRAMES**2)

    our_round()
    times["ours"].clear()
    benchmark.pedantic(our_round, setup=other_rounds, rounds=5, iterations=1)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    # A loop computes each pair once, (i, j) and (j, i) are one: its time for the whole table is half the pairs.
    ratio = medians["loop"] / 2 / medians["ours"]
    rate = 2.0 * HEIGHT * WIDTH * 3 / medians["ours"]
    machine = 2.0 * GEMM**3 / medians["gemm"]
    benchmark.extra_info.update(
        frames=FRAMES,
        size=f"{HEIGHT}x{WIDTH}",
        pairs_per_second=round(1 / medians["ours"]),
        loop_pairs_per_second=round(2 / medians["loop"]),
        ratio_to_converted=round(medians["converted"] / 2 / medians["ours"], 1),
        gflops=round(rate / 1e9, 1),
        gemm_gflops=round(machine / 1e9, 1),
        share_of_gemm=round(rate / machine, 2),
        threads=THREADS,
    )
    aim(ratio, 20)


def test_a_2000_frame_clip_streams_within_2_gb(tmp_path: Path) -> None:
    """320x240, mapped from disk, in a process of its own: its peak of resident memory, mapped pages included."""
    import subprocess
    import sys

    code = (
        "import resource, sys, numpy as np\n"
        "path = sys.argv[1]\n"
        "frames = np.lib.format.open_memmap(path, mode='w+', dtype=np.uint8, shape=(2000, 240, 320, 3))\n"
        "row = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)\n"
        "for t in range(2000):\n"
        "    frames[t] = np.roll(row, t, axis=1)\n"
        "del frames\n"
        "from bench.families.by_example.video.video_textures import VideoTextures\n"
        "shown = VideoTextures().play(np.load(path, mmap_mode='r'), 100, 0)\n"
        "assert shown.shape == (100,)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "clip.npy")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) / 1024**2 < 2.0
