"""Distances of all pairs of frames against SciPy's, exactly; the filter, regions."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import correlate
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from bench.base.errors import BenchError
from bench.families.by_example.video import video_distances
from bench.families.by_example.video.video_distances import (
    distances,
    filter_diagonal,
    gram,
    mean_distance,
    taps_of,
)


def clip(frames: int = 12, height: int = 21, width: int = 19, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_equal_to_pairwise_distances() -> None:
    frames = clip()
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    np.testing.assert_allclose(distances(frames), cdist(flat, flat), rtol=1e-12)


def test_squares_are_exact_whole_numbers_of_the_extreme_clip() -> None:
    """Black and white frames are where float32 would round first."""
    frames = np.zeros((3, 64, 64, 3), dtype=np.uint8)
    frames[1] = 255
    frames[2, 0, 0, 0] = 1
    whole = 64 * 64 * 3
    expected = np.array([[0, whole * 255**2, 1], [0, 0, whole * 255**2 - 255**2 + 254**2], [0, 0, 0]])
    squared = distances(frames) ** 2
    np.testing.assert_array_equal(np.rint(np.triu(squared)).astype(np.int64), expected)
    centred = frames.reshape(3, -1).astype(np.int64) - 128
    np.testing.assert_array_equal(gram(frames).astype(np.int64), centred @ centred.T)


def test_same_bytes_whatever_the_pieces_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = clip(40, 40, 40)
    monkeypatch.setattr(video_distances, "FEW", 0)
    whole = distances(frames)
    with threadpool_limits(1):
        assert distances(frames).tobytes() == whole.tobytes()
    monkeypatch.setattr(video_distances, "PIECE_BYTES", 1)
    assert distances(frames).tobytes() == whole.tobytes()


def test_a_region_counts_its_pixels_alone() -> None:
    frames = clip()
    where = np.zeros(frames.shape[1:3], dtype=bool)
    where[3:9, 2:14] = True
    cut = frames[:, 3:9, 2:14].reshape(len(frames), -1).astype(np.float64)
    np.testing.assert_allclose(distances(frames, where), cdist(cut, cut), rtol=1e-12)
    both = distances(frames, where) ** 2 + distances(frames, ~where) ** 2
    np.testing.assert_allclose(both, distances(frames) ** 2, rtol=1e-12)
    with pytest.raises(BenchError, match="mask is empty"):
        distances(frames, np.zeros_like(where))


@pytest.mark.parametrize(
    "frames", [np.zeros((1, 4, 4, 3), np.uint8), np.zeros((5, 4, 4, 3)), np.zeros((5, 0, 4, 3), np.uint8)]
)
def test_what_is_no_clip_is_refused(frames: np.ndarray) -> None:
    with pytest.raises(BenchError, match="uint8"):
        distances(frames)


def test_reads_a_clip_from_disk_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 2,000-frame clip at 320x240 is 460 MB: what is held beside it must not grow with the frame's size."""
    monkeypatch.setattr(video_distances, "PIECE_BYTES", 1 << 20)
    shape = (300, 60, 80, 3)
    frames = np.lib.format.open_memmap(tmp_path / "clip.npy", mode="w+", dtype=np.uint8, shape=shape)
    frames[:] = clip(*shape[:3])
    mapped = np.load(tmp_path / "clip.npy", mmap_mode="r")
    tracemalloc.start()
    found = distances(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3.5 * found.nbytes + 4 * (1 << 20)
    assert frames.nbytes > 4 * (1 << 20)


def test_progress_counts_every_value() -> None:
    done: list[int] = []
    distances(clip(), progress=done.append)
    assert sum(done) == 21 * 19 * 3


@pytest.mark.parametrize("taps", [1, 2, 3, 4])
def test_filter_is_a_diagonal_correlation(taps: int) -> None:
    table = distances(clip())
    filtered, first = filter_diagonal(table, taps)
    whole = correlate(table, np.diag(taps_of(taps)), origin=0, mode="constant")
    np.testing.assert_allclose(
        filtered, whole[first : first + len(filtered), first : first + len(filtered)], rtol=1e-12
    )
    assert len(filtered) == len(table) - taps + 1


def test_binomial_taps() -> None:
    np.testing.assert_allclose(taps_of(5), np.array([1, 4, 6, 4, 1]) / 16)
    np.testing.assert_array_equal(taps_of(1), [1.0])


def test_a_clip_shorter_than_the_filter_is_refused() -> None:
    with pytest.raises(BenchError, match="needs at least 5"):
        filter_diagonal(np.zeros((4, 4)), 4)


def test_mean_distance_leaves_zeros_out() -> None:
    assert mean_distance(np.array([[0.0, 2.0], [4.0, 0.0]])) == 3.0
    assert mean_distance(np.zeros((3, 3))) == 1.0
