"""Compositional accuracy against a literal reading of the rules, and the two texture metrics between copy and
garbage."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.neighbors import NearestNeighbors

from bench.base.errors import BenchError
from bench.metrics.compositional import RELATIONS, Asked, Detections, compose, relation_holds
from bench.metrics.structure_error import copied_share, patch_errors, structure_error

Object = tuple[int, int, tuple[float, float]]


def detections(*pictures: list[Object]) -> Detections:
    """Pictures as lists of (digit, colour, (y, x))."""
    n = len(pictures)
    digits, colours = np.full((n, 4), -1), np.full((n, 4), -1)
    centres = np.zeros((n, 4, 2))
    for i, picture in enumerate(pictures):
        for slot, (digit, colour, centre) in enumerate(picture):
            digits[i, slot], colours[i, slot], centres[i, slot] = digit, colour, centre
    return Detections(
        np.array([len(picture) for picture in pictures]), digits, colours, centres, (digits >= 0).astype(float)
    )


def asked(*captions: tuple[list[tuple[int, int]], int]) -> Asked:
    """Captions as (list of (digit, colour), relation index or -1)."""
    n = len(captions)
    digits, colours = np.full((n, 4), -1), np.full((n, 4), -1)
    for i, (objects, _) in enumerate(captions):
        for slot, (digit, colour) in enumerate(objects):
            digits[i, slot], colours[i, slot] = digit, colour
    return Asked(
        np.array([len(objects) for objects, _ in captions]),
        digits,
        colours,
        np.array([relation for _, relation in captions]),
    )


ABOVE = RELATIONS.index("above")
HIGH, LOW = (8.0, 16.0), (24.0, 16.0)


def test_swapped_colours_keep_digits_and_colours_but_lose_the_objects() -> None:
    """Binding: "a red three above a blue seven" drawn as a blue three above a red seven."""
    verdict = compose(detections([(3, 2, HIGH), (7, 0, LOW)]), asked(([(3, 0), (7, 2)], ABOVE)))
    assert (verdict.digits_right[0], verdict.colours_right[0], verdict.count_right[0]) == (1.0, 1.0, 1.0)
    assert (verdict.both_right[0], verdict.relation_right[0], verdict.objects_right[0], verdict.all_right[0]) == (
        0.0,
        0.0,
        0.0,
        0.0,
    )


def test_relation_is_judged_between_the_matched_objects_in_any_order_of_detection() -> None:
    wanted = asked(([(3, 0), (7, 2)], ABOVE))
    assert compose(detections([(7, 2, LOW), (3, 0, HIGH)]), wanted).relation_right[0] == 1.0
    assert compose(detections([(3, 0, LOW), (7, 2, HIGH)]), wanted).relation_right[0] == 0.0


def test_twins_are_matched_so_that_the_relation_can_hold() -> None:
    verdict = compose(detections([(3, 0, LOW), (3, 0, HIGH)]), asked(([(3, 0), (3, 0)], ABOVE)))
    assert verdict.all_right[0] == 1.0


def test_an_object_is_used_once() -> None:
    verdict = compose(detections([(3, 0, HIGH), (4, 0, LOW)]), asked(([(3, 0), (3, 0)], -1)))
    assert verdict.digits_right[0] == 0.0
    assert verdict.colours_right[0] == 1.0
    assert verdict.objects_right[0] == 0.5


def test_missing_and_surplus_objects() -> None:
    verdict = compose(
        detections([(3, 0, HIGH)], [(3, 0, HIGH), (7, 2, LOW), (1, 1, (1.0, 1.0))], []),
        asked(([(3, 0), (7, 2)], ABOVE), ([(3, 0), (7, 2)], ABOVE), ([(3, 0)], -1)),
    )
    assert verdict.count_right.tolist() == [0.0, 0.0, 0.0]
    assert verdict.both_right.tolist() == [0.0, 1.0, 0.0]  # surplus objects are the count's business
    assert verdict.objects_right.tolist() == [0.5, 1.0, 0.0]
    assert verdict.all_right.tolist() == [0.0, 0.0, 0.0]


def test_what_the_caption_leaves_open_is_free_and_no_relation_is_nan() -> None:
    verdict = compose(detections([(3, 5, HIGH)]), asked(([(3, -1)], -1)))
    assert verdict.both_right[0] == 1.0
    assert np.isnan(verdict.relation_right[0])
    assert verdict.all_right[0] == 1.0


def test_relation_words() -> None:
    left, right = np.array([16.0, 8.0]), np.array([16.0, 24.0])
    assert [bool(relation_holds(name, left, right)) for name in RELATIONS] == [True, False, False, False]
    assert [bool(relation_holds(name, right, left)) for name in RELATIONS] == [False, True, False, False]
    assert not any(relation_holds(name, left, left) for name in RELATIONS)
    with pytest.raises(BenchError, match="inside"):
        relation_holds("inside", left, right)


def test_shapes_are_checked() -> None:
    with pytest.raises(BenchError, match="centres"):
        Detections(np.zeros(1, int), np.zeros((1, 4), int), np.zeros((1, 4), int), np.zeros((1, 4)), np.zeros((1, 4)))
    with pytest.raises(BenchError, match="1 pictures were judged for 2 captions"):
        compose(detections([]), asked(([], -1), ([], -1)))


objects = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4)
places = st.tuples(st.integers(0, 2).map(float), st.integers(0, 2).map(float))


@settings(deadline=None, max_examples=150)
@given(objects, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), places), max_size=4), st.integers(-1, 3))
def test_compose_against_assignment_by_the_hungarian_method(wanted: list, seen: list, relation: int) -> None:
    relation = relation if len(wanted) >= 2 else -1
    verdict = compose(detections(seen), asked((wanted, relation)))

    def best(match) -> int:  # type: ignore[no-untyped-def]
        if not seen:
            return 0
        table = np.array([[match(a, b) for b in seen] for a in wanted], dtype=float)
        rows, columns = linear_sum_assignment(-table)
        return int(table[rows, columns].sum())

    both = best(lambda a, b: a == b[:2])
    assert verdict.digits_right[0] == (best(lambda a, b: a[0] == b[0]) == len(wanted))
    assert verdict.colours_right[0] == (best(lambda a, b: a[1] == b[1]) == len(wanted))
    assert verdict.both_right[0] == (both == len(wanted))
    assert verdict.objects_right[0] == pytest.approx(both / len(wanted))
    if relation >= 0:
        possible = [
            order
            for order in permutations(seen, len(wanted))
            if all(a == b[:2] for a, b in zip(wanted, order, strict=True))
        ]
        holds = any(
            relation_holds(RELATIONS[relation], np.array(order[0][2]), np.array(order[1][2])) for order in possible
        )
        assert verdict.relation_right[0] == holds


def texture(seed: int, side: int = 48) -> np.ndarray:
    """Blurred noise: a texture with some structure, uint8."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    spectrum = np.fft.fft2(noise) * np.exp(-60 * sum(np.square(g) for g in np.meshgrid(*[np.fft.fftfreq(side)] * 2)))
    smooth = np.fft.ifft2(spectrum).real
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [False, True])
def test_patch_errors_equal_sklearn_patches_and_neighbours(colour: bool) -> None:
    exemplar, output = texture(0), texture(1)[:20, :23]
    if colour:
        exemplar, output = (np.stack([image, 255 - image, image // 2], axis=2) for image in (exemplar, output))
    known = extract_patches_2d(exemplar, (7, 7)).reshape(-1, 49 * (3 if colour else 1)).astype(float)
    queries = extract_patches_2d(output, (7, 7)).reshape(14, 17, -1)[::2, ::2].reshape(-1, known.shape[1]).astype(float)
    distances, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known).kneighbors(queries)
    expected = np.square(distances[:, 0]) / (known.shape[1] * 255**2)
    assert np.sort(patch_errors(output, exemplar, 7)) == pytest.approx(np.sort(expected), abs=1e-9)


def test_copy_texture_and_garbage_are_told_apart_by_the_two_numbers_together() -> None:
    exemplar = texture(0)
    crop, relative = exemplar[5:37, 5:37], texture(1)[:32, :32]
    shuffled = np.random.default_rng(0).permutation(exemplar.reshape(-1))[: 32 * 32].reshape(32, 32)
    errors = [structure_error(image, exemplar, (5, 9))["value"] for image in (crop, relative, shuffled)]
    assert errors[0] == 0.0
    assert 0 < errors[1] < 0.25 * errors[2]
    assert [copied_share(image, exemplar, 8) for image in (crop, relative, shuffled)] == [1.0, 0.0, 0.0]


def test_scales_are_averaged_and_thinning_is_an_upper_bound() -> None:
    exemplar, output = texture(0), texture(1)[:32, :32]
    result = structure_error(output, exemplar, (5, 9))
    assert result["value"] == pytest.approx((result["size=5"] + result["size=9"]) / 2)
    assert structure_error(output, exemplar, (5, 9), limit=200)["value"] >= result["value"]


def test_copied_share_equals_a_literal_search() -> None:
    rng = np.random.default_rng(0)
    exemplar, output = rng.integers(0, 2, (14, 14), dtype=np.uint8), rng.integers(0, 2, (12, 13), dtype=np.uint8)
    output[2:8, 3:10] = exemplar[1:7, 5:12]
    size = 4
    known = {exemplar[y : y + size, x : x + size].tobytes() for y in range(11) for x in range(11)}
    mask = np.zeros(output.shape, dtype=bool)
    for y in range(12 - size + 1):
        for x in range(13 - size + 1):
            patch = output[y : y + size, x : x + size]
            if patch.tobytes() in known and patch.min() != patch.max():
                mask[y : y + size, x : x + size] = True
    assert 0.2 < mask.mean() < 1.0
    assert copied_share(output, exemplar, size) == mask.mean()


def test_flat_patches_copy_nothing() -> None:
    page = np.full((30, 30), 255, dtype=np.uint8)
    assert copied_share(page, page, 9) == 0.0


def test_textures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BenchError, match="3 channels"):
        structure_error(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8))
    with pytest.raises(BenchError, match="patches of 17"):
        structure_error(np.zeros((16, 20), np.uint8), np.zeros((20, 20), np.uint8))
