"""Seam error against a literal reading: loops over patches and exemplar."""

from __future__ import annotations

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.metrics.seam_error import seam_error, seam_errors


def literal(filled: np.ndarray, known: np.ndarray, exemplar: np.ndarray, size: int) -> list[float]:
    found = []
    for y in range(filled.shape[0] - size + 1):
        for x in range(filled.shape[1] - size + 1):
            if not 0.25 <= known[y : y + size, x : x + size].mean() <= 0.75:
                continue
            patch = filled[y : y + size, x : x + size].astype(float)
            best = min(
                ((exemplar[v : v + size, w : w + size] - patch) ** 2).mean()
                for v in range(exemplar.shape[0] - size + 1)
                for w in range(exemplar.shape[1] - size + 1)
            )
            found.append(best / 255**2)
    return found


@pytest.mark.parametrize("shape", [(14, 15), (14, 15, 3)])
def test_equals_loops(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    filled, exemplar = (rng.integers(0, 256, shape).astype(np.uint8) for _ in range(2))
    known = np.ones(shape[:2], bool)
    known[4:9, 5:12] = False
    want = literal(filled, known, exemplar.astype(float), 5)
    assert 0 < len(want) < 11 * 10
    np.testing.assert_allclose(seam_errors(filled, known, exemplar, 5), want, rtol=1e-9)
    assert seam_error(filled, known, exemplar, 5) == pytest.approx(np.mean(want))


def test_only_the_seam_counts() -> None:
    """The middle of a large hole, and what lies far from it, may hold anything."""
    exemplar = np.tile(np.array([0, 255], np.uint8), (40, 20))
    known = np.ones((40, 40), bool)
    known[10:30, 10:30] = False
    filled = exemplar.copy()
    filled[17:23, 17:23] = 77
    filled[:4] = 99
    assert seam_error(filled, known, exemplar, 5) == 0.0
    filled[12] = 77
    assert seam_error(filled, known, exemplar, 5) > 0.001


@pytest.mark.parametrize(
    ("filled", "known", "exemplar", "said"),
    [
        (np.zeros((9, 9)), np.ones((9, 8), bool), np.zeros((9, 9)), "do not fit together"),
        (np.zeros((9, 9, 3)), np.ones((9, 9), bool), np.zeros((9, 9)), "do not fit together"),
        (np.zeros((9, 9)), np.ones((9, 9), bool), np.zeros((6, 9)), "patches of 7 pixels do not fit"),
        (np.zeros((9, 9)), np.ones((9, 9), bool), np.zeros((9, 9)), "no border"),
    ],
)
def test_bad_input_is_named(filled: np.ndarray, known: np.ndarray, exemplar: np.ndarray, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        seam_error(filled, known, exemplar)
