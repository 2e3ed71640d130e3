"""FID, KID, precision/recall/density/coverage and nearest neighbours against independent implementations and closed
forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from bench.base.errors import BenchError
from bench.metrics.fid import feature_statistics, frechet_distance, frechet_from_statistics, frechet_leave_group_out
from bench.metrics.kid import kernel_distance, kernel_distance_subsets, kernel_leave_group_out
from bench.metrics.neighbours import nearest
from bench.metrics.prdc import manifold_items, precision_recall_density_coverage


class Features(torch.nn.Module):
    """Passes features through; told its width so that torchmetrics does not probe it with a picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def two_sets(n: int = 1500, d: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated, skewed features like those behind a ReLU, of two slightly different populations."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d)) / np.sqrt(d)
    real = np.maximum(rng.normal(size=(n, d)) @ mixing, -0.2)
    return real, np.maximum(1.2 * rng.normal(size=(n, d)) @ mixing + 0.1, -0.2)


def test_fid_equals_the_formula_with_scipys_general_matrix_root() -> None:
    real, fake = two_sets()
    mu1, s1, mu2, s2 = real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T)
    reference = np.sum((mu1 - mu2) ** 2) + np.trace(s1 + s2 - 2 * linalg.sqrtm(s1 @ s2).real)
    assert frechet_distance(real, fake) == pytest.approx(reference, rel=1e-9)


def test_fid_equals_torchmetrics() -> None:
    real, fake = two_sets()
    theirs = FrechetInceptionDistance(feature=Features(12))
    theirs.set_dtype(torch.float64)
    theirs.update(torch.from_numpy(real), real=True)
    theirs.update(torch.from_numpy(fake), real=False)
    assert frechet_distance(real, fake) == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_fid_closed_forms() -> None:
    identity = np.eye(3)
    assert frechet_from_statistics(np.zeros(3), identity, np.zeros(3), identity) == 0.0
    # commuting covariances: sum of squared differences of standard deviations
    a, b = np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 4.0, 0.0])
    assert frechet_from_statistics(np.zeros(3), a, np.ones(3), b) == pytest.approx(3 + 1 + 0 + 9)


def test_fid_is_symmetric_shift_invariant_and_zero_on_itself() -> None:
    real, fake = two_sets()
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(fake, real), rel=1e-9)
    assert frechet_distance(real + 100.0, fake + 100.0) == pytest.approx(frechet_distance(real, fake), rel=1e-7)
    assert frechet_distance(real, real) == pytest.approx(0.0, abs=1e-9)


def test_fid_of_a_singular_covariance_is_finite() -> None:
    real, _ = two_sets()
    collapsed = np.repeat(real[:1], 1500, axis=0)  # a generator that draws one picture only
    mean, covariance = feature_statistics(real)
    expected = np.sum((mean - real[0]) ** 2) + np.trace(covariance)
    assert frechet_distance(real, collapsed) == pytest.approx(expected, rel=1e-9)


def test_fid_bias_falls_as_one_over_n() -> None:
    """Why N is in the protocol id: two halves of one population are never at distance zero."""
    rng = np.random.default_rng(3)
    means = [
        np.mean([frechet_distance(rng.normal(size=(n, 8)), rng.normal(size=(n, 8))) for _ in range(20)])
        for n in (1000, 4000)
    ]
    assert means[0] / means[1] == pytest.approx(4.0, rel=0.25)


@pytest.mark.parametrize("core", [frechet_distance, kernel_distance])
def test_too_few_items_are_refused_and_the_message_says_how_to_mend_it(core) -> None:  # type: ignore[no-untyped-def]
    real, fake = two_sets()
    with pytest.raises(BenchError, match=r"at least 1000 items and got 999.*minimum_n"):
        core(real, fake[:999])
    core(real[:300], fake[:300], minimum_n=300)
    with pytest.raises(BenchError, match="got 299"):
        core(real[:300], fake[:299], minimum_n=300)


def test_fid_refuses_a_covariance_that_must_be_singular() -> None:
    wide = np.random.default_rng(0).normal(size=(1100, 1200))
    with pytest.raises(BenchError, match="at least 1201"):
        feature_statistics(wide)


def test_features_that_are_not_finite_or_do_not_fit_are_named() -> None:
    real, fake = two_sets()
    fake[7, 3] = np.nan
    with pytest.raises(BenchError, match="item 7"):
        frechet_distance(real, fake)
    with pytest.raises(BenchError, match="same feature network"):
        frechet_distance(real, real[:, :5])
    with pytest.raises(BenchError, match="same feature network"):
        kernel_distance(real, real[:, :5])


def test_leaving_groups_out_equals_computing_each_from_scratch() -> None:
    real, fake = two_sets()
    fake += 50.0  # a large mean is where running sums would lose digits
    reference = feature_statistics(real + 50.0)
    groups = np.array_split(np.random.default_rng(5).permutation(len(fake)), 7)
    kept = [np.setdiff1d(np.arange(len(fake)), group) for group in groups]
    direct = [frechet_from_statistics(*feature_statistics(fake[rows]), *reference) for rows in kept]
    np.testing.assert_allclose(frechet_leave_group_out(fake, reference, 7, seed=5), direct, rtol=1e-8)
    direct = [kernel_distance(fake[rows], real) for rows in kept]
    np.testing.assert_allclose(kernel_leave_group_out(fake, real, 7, seed=5), direct, rtol=1e-6)


def test_kid_equals_the_definition_with_sklearns_kernel() -> None:
    real, fake = two_sets(1100)
    x, y, across = (polynomial_kernel(a, b, degree=3) for a, b in ((real, real), (fake, fake), (real, fake)))
    n = len(real)
    reference = (x.sum() - np.trace(x)) / (n * (n - 1)) + (y.sum() - np.trace(y)) / (n * (n - 1)) - 2 * across.mean()
    assert kernel_distance(real, fake) == pytest.approx(reference, rel=1e-9)


def test_kid_equals_torchmetrics_on_one_subset_of_everything() -> None:
    real, fake = two_sets(1000)
    theirs = KernelInceptionDistance(feature=Features(12), subsets=1, subset_size=1000)
    theirs.update(torch.from_numpy(real), real=True)
    theirs.update(torch.from_numpy(fake), real=False)
    assert kernel_distance(real, fake) == pytest.approx(float(theirs.compute()[0]), rel=1e-4)


def test_kid_is_unbiased_where_fid_is_not() -> None:
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), minimum_n=60) for _ in range(400)]
    assert abs(np.mean(values)) < 3.5 * np.std(values) / np.sqrt(len(values))


def test_kid_over_subsets_is_seeded_and_centres_on_the_full_estimate() -> None:
    real, fake = two_sets()
    values = kernel_distance_subsets(real, fake, subsets=30, subset_size=500, seed=1)
    np.testing.assert_array_equal(values, kernel_distance_subsets(real, fake, subsets=30, subset_size=500, seed=1))
    assert np.mean(values) == pytest.approx(kernel_distance(real, fake), abs=4 * np.std(values) / np.sqrt(30))


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_equals_sklearn_neighbours_and_full_distance_matrices(k: int) -> None:
    real, fake = two_sets(400)
    fake = fake[:300]
    radius_real = (
        NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, -1]
    )  # the item itself is the first
    radius_fake = NearestNeighbors(n_neighbors=k + 1).fit(fake).kneighbors(fake)[0][:, -1]
    distances = cdist(real, fake)
    inside = distances < radius_real[:, None]
    expected = {
        "precision": inside.any(axis=0).mean(),
        "recall": (distances < radius_fake[None, :]).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / k,
        "coverage": inside.any(axis=1).mean(),
    }
    assert precision_recall_density_coverage(real, fake, k) == pytest.approx(expected, abs=1e-12)
    items = manifold_items(real, fake, k, chunk=37)
    assert {name: getattr(items, name).mean() for name in expected} == pytest.approx(expected, abs=1e-12)


def test_prdc_tells_collapse_from_garbage() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(600, 4))
    same = precision_recall_density_coverage(real, rng.normal(size=(600, 4)))
    assert min(same["precision"], same["recall"]) > 0.85
    assert same["density"] == pytest.approx(1.0, abs=0.15)
    assert same["coverage"] > 0.9
    garbage = precision_recall_density_coverage(real, 20 + rng.normal(size=(600, 4)))
    assert garbage == {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.0}
    collapsed = precision_recall_density_coverage(real, real[:1] + 1e-3 * rng.normal(size=(600, 4)))
    assert collapsed["precision"] == 1.0
    assert max(collapsed["recall"], collapsed["coverage"]) < 0.1


def test_prdc_needs_more_items_than_neighbours() -> None:
    with pytest.raises(BenchError, match="more than 5"):
        precision_recall_density_coverage(np.zeros((5, 2)), np.zeros((9, 2)))


@pytest.mark.parametrize("chunks", [(512, 8192), (7, 13)])
def test_nearest_equals_sklearn_whatever_the_chunks(chunks: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (500, 6, 6, 1), dtype=np.uint8)
    queries = rng.integers(0, 256, (120, 6, 6, 1), dtype=np.uint8)
    queries[:5] = base[100:105]
    distances, indices = nearest(queries, base, 3, query_chunk=chunks[0], base_chunk=chunks[1])
    model = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(base.reshape(500, -1).astype(float))
    expected, where = model.kneighbors(queries.reshape(120, -1).astype(float))
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    np.testing.assert_array_equal(indices, where)
    assert (
        distances[:5, 0].tolist() == [0.0] * 5
    )  # a copy is at distance zero, not at the rounding error of a matrix product


def test_nearest_finds_a_copy_among_near_copies_far_from_the_origin() -> None:
    """In float32 the product form is off by about one here, more than the neighbours differ by."""
    rng = np.random.default_rng(0)
    base = 1000.0 + 1e-2 * rng.normal(size=(300, 50))
    distances, indices = nearest(base[40:50], base)
    assert indices[:, 0].tolist() == list(range(40, 50))
    assert not distances.any()


def test_nearest_excluding_itself_sees_the_twin() -> None:
    points = np.array([[0.0], [0.0], [5.0]])
    distances, indices = nearest(points, points, 1, exclude_self=True, query_chunk=2, base_chunk=2)
    assert distances[:, 0].tolist() == [0.0, 0.0, 5.0]
    assert indices[:2, 0].tolist() == [1, 0]
    with pytest.raises(BenchError, match="3 neighbours among 2"):
        nearest(points, points, 3, exclude_self=True)
