"""The renderer: exact captions, no held-out pair in training, whole-number arithmetic, the same bytes every time."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from bench.base.seeds import generator
from bench.data.cards import Render
from bench.data.datasets import ImageSplit
from bench.data.scenes import COLOURLESS, MIX, _weights, digit_masks, draw_layout, render, render_splits
from bench.scene_language import COLOURS, KINDS, RELATIONS, is_unseen, parse_caption

PALETTE = np.array(list(COLOURS.values()))
PINNED = "a11ddee8b8a5abeafbaa8f115809f05f29db19c879545d78e8a217112d82d4e5"


@pytest.fixture(scope="module")
def digits() -> ImageSplit:
    """Stand-ins for handwriting: filled blocks of different shapes, so that colour and place can be measured."""
    rng = generator(0, "blocks")
    images = np.zeros((60, 28, 28, 1), np.uint8)
    for image in images:
        h, w = rng.integers(12, 21, 2)
        top, left = rng.integers(2, 7, 2)
        image[top : top + h, left : left + w] = 255
    return ImageSplit(images, np.arange(60, dtype=np.int64) % 10)


@pytest.fixture(scope="module")
def splits(digits) -> dict[str, ImageSplit]:
    return render_splits(dict.fromkeys(("train", "validation", "test"), digits), Render(3000, 300, 3000, 1000), 7)


def test_shapes_and_types(splits):
    for name, n in (("train", 3000), ("validation", 300), ("test", 3000), ("judge", 1000)):
        split = splits[name]
        truth = split.scene
        assert split.images.shape == (n, 32, 32, 3)
        assert split.images.dtype == np.uint8
        assert len(split.captions) == n
        assert {k: v.shape for k, v in truth.items()} == {
            **dict.fromkeys(("count", "relation", "kind", "unseen"), (n,)),
            **dict.fromkeys(("digits", "colours", "sizes"), (n, 4)),
            "centres": (n, 4, 2),
        }
        assert truth["centres"].dtype == np.float32


def test_captions_say_what_is_there(splits):
    """Every caption, read back, agrees with the ground truth; colours are left out of whole captions only."""
    colourless = 0
    for split in splits.values():
        truth = split.scene
        for i, caption in enumerate(split.captions):
            asked, n = parse_caption(caption), truth["count"][i]
            assert len(asked.objects) == n
            assert [o.digit for o in asked.objects] == truth["digits"][i, :n].tolist()
            colours = [o.colour for o in asked.objects]
            assert colours in (truth["colours"][i, :n].tolist(), [None] * n)
            colourless += colours == [None] * n
            assert (-1 if asked.relation is None else asked.relation) == truth["relation"][i]
            if truth["kind"][i] in (0, 1):
                assert [bool(o.small) for o in asked.objects] == truth["sizes"][i, :n].astype(bool).tolist()
            assert (truth["digits"][i, n:] == -1).all()
            assert (truth["centres"][i, n:] == -1).all()
    assert colourless / sum(map(len, splits.values())) == pytest.approx(COLOURLESS, abs=0.015)


def test_relations_hold_between_the_centres(splits):
    truth = splits["train"].scene
    rows = np.flatnonzero(truth["kind"] == KINDS.index("relation"))
    gap = truth["centres"][rows, 1] - truth["centres"][rows, 0]  # (y, x), from the first to the second
    for row, (dy, dx) in zip(rows, gap, strict=True):
        name = RELATIONS[truth["relation"][row]]
        along, across = {"left of": (dx, dy), "right of": (-dx, dy), "above": (dy, dx), "below": (-dy, dx)}[name]
        assert along >= 11
        assert abs(across) <= 7
    assert set(truth["relation"][rows]) == {0, 1, 2, 3}


def test_held_out_pairs_are_in_test_and_judge_only(splits):
    for name, split in splits.items():
        truth = split.scene
        present = truth["digits"] >= 0
        hit = is_unseen(truth["colours"], truth["digits"]) & present
        assert np.array_equal(hit.any(axis=1), truth["unseen"])
        if name in ("train", "validation"):
            assert not hit.any()
        else:
            assert 0.08 < hit.sum() / present.sum() < 0.12
    for name, pairs in (("train", 72), ("test", 80)):
        truth = splits[name].scene
        seen = {(c, d) for c, d in zip(truth["colours"].ravel(), truth["digits"].ravel(), strict=True) if d >= 0}
        assert len(seen) == pairs


def test_the_mix_of_kinds(splits):
    shares = np.bincount(splits["train"].scene["kind"], minlength=len(KINDS)) / 3000
    assert np.abs(shares - MIX).max() < 4 * np.sqrt(0.25 / 3000)


def test_colours_and_places_are_where_the_truth_says(splits):
    """With filled blocks for digits, the pixel at an object's centre has the object's colour."""
    split = splits["test"]
    truth = split.scene
    for k in range(4):
        rows = np.flatnonzero(truth["count"] > k)
        y, x = np.floor(truth["centres"][rows, k]).astype(int).T
        pixel = split.images[rows, y, x].astype(int)
        wanted = np.clip(PALETTE[truth["colours"][rows, k]], 0, 255)
        assert np.abs(pixel - wanted).max() <= 15


def test_objects_lie_inside_and_backgrounds_are_dark(splits):
    split = splits["train"]
    alone = split.scene["kind"] == 0
    ink = split.images[alone].max(axis=3) > 60
    assert (ink.sum(axis=(1, 2)) > 40).all()
    big = split.scene["sizes"][alone, 0] == 0
    height = ink.any(axis=2).sum(axis=1)
    width = ink.any(axis=1).sum(axis=1)
    assert set(np.maximum(height, width)[big]) <= {21, 22}
    assert set(np.maximum(height, width)[~big]) <= {12, 13}
    assert np.median(split.images[alone].min(axis=(1, 2, 3))) < 30


def test_same_seed_same_bytes_other_seed_others(digits, splits):
    again = render_splits(dict.fromkeys(("train", "validation", "test"), digits), Render(3000, 300, 3000, 1000), 7)
    for name, split in splits.items():
        assert np.array_equal(split.images, again[name].images)
        assert split.captions == again[name].captions
    other = draw_layout(50, generator(8, "train"), all_pairs=False)
    assert other.captions() != splits["train"].captions[:50]


def test_objects_of_one_scene_differ_unless_of_a_kind():
    scene = draw_layout(2000, generator(0), all_pairs=True)
    for i in range(2000):
        pairs = {(c, d) for c, d in zip(scene.colours[i], scene.digits[i], strict=True) if d >= 0}
        mixed = scene.kind[i] in (0, 1, 5, 6)
        assert len(pairs) == (scene.count[i] if mixed else 1)


def test_scaling_weights_are_whole_and_sum_to_256():
    for length in range(1, 29):
        for target in (1, 5, 11, 13, 15, 22):
            table = _weights(length, 0, target, 28)
            assert np.array_equal(table.sum(axis=1), np.full(target, 256))
            assert np.array_equal(table, np.round(table))
            assert table.min() >= 0


def test_masks_agree_with_pillow_on_handwriting_like_strokes():
    """The exact integer scaler against Pillow's antialiased bilinear one, brightness gain undone."""
    rng = generator(0, "strokes")
    image = np.zeros((28, 28), np.uint8)
    for t in np.linspace(0, 1, 200):
        y, x = 4 + 20 * t, 14 + 6 * np.sin(5 * t) + rng.normal(0, 0.1)
        image[int(y) : int(y) + 3, int(x) : int(x) + 3] = 200
    ys, xs = np.flatnonzero((image > 40).any(axis=1)), np.flatnonzero((image > 40).any(axis=0))
    crop = image[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    side = 15
    height, width = side, (crop.shape[1] * side + crop.shape[0] // 2) // crop.shape[0]
    expected = np.asarray(Image.fromarray(crop).resize((width, height), Image.Resampling.BILINEAR)).astype(float)
    left = (side - width) // 2
    ours = digit_masks(image[None], side)[0]
    assert ours[:, :left].max(initial=0) == 0
    found = ours[:, left : left + width] / 1.25
    assert np.abs(found - np.minimum(expected, 255 / 1.25)).max() < 3


def test_twice_the_scale_is_the_same_scene_larger(digits, splits):
    larger = render_splits(
        dict.fromkeys(("train", "validation", "test"), digits), Render(3000, 300, 200, 1000, scale=2), 7
    )["validation"]
    usual = splits["validation"]
    assert larger.images.shape == (300, 64, 64, 3)
    assert larger.captions == usual.captions
    present = usual.scene["digits"] >= 0
    assert np.array_equal(larger.scene["centres"][present], 2 * usual.scene["centres"][present])
    halved = larger.images.reshape(300, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - usual.images).mean() < 3


def test_an_empty_digit_picture_does_no_harm():
    assert digit_masks(np.zeros((2, 28, 28), np.uint8), 13).max() == 0


def test_arithmetic_is_the_same_on_every_machine():
    """The bytes of a layout and picture drawn from fixed block digits: a change here changes every rendered data
    set."""
    images = np.zeros((10, 28, 28, 1), np.uint8)
    for i, image in enumerate(images):
        image[4:24, 6 + i % 3 : 20 - i // 3] = 20 * i + 60
    blocks = ImageSplit(images, np.arange(10, dtype=np.int64))
    rng = generator(0, "pin")
    drawn = render(draw_layout(64, rng, all_pairs=True), blocks, rng)
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == PINNED
