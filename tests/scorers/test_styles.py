"""Sampling and scoring of style transfer, from made-up photographs and a small random VGG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench.base.errors import BenchError
from bench.base.files import read_image_samples, write_image_samples, write_json, write_npz
from bench.base.settings import build_config
from bench.catalogue.families import FAMILIES
from bench.catalogue.systems import BUILT_IN
from bench.context import StageContext
from bench.families.style_transfer.dummy_style import DummyStyleConfig
from bench.families.style_transfer.sampling import SampleConfig, pairs_of, sample, view_of
from bench.families.style_transfer.style_colour import to_yiq
from bench.families.style_transfer.style_losses import StyleConfig
from bench.nn.features.networks import load_network, network_of, save_network
from bench.results.extras import Curve, Figure, Gallery, Strip, of_kind
from bench.results.pictures import png
from bench.results.records import Record
from bench.scorers.figures.labelled_grid import labelled_grid
from bench.scorers.style_losses import RelativeLosses
from bench.scoring import Evaluation, evaluate

PAIRS = [["hills", "stripes"], ["corner", "dots"]]
VIEWS = {"corner": {"picture": "hills", "corner": [0, 6], "side": 30}}


def photographs() -> dict[str, NDArray[np.uint8]]:
    y, x = np.mgrid[:36, :48]
    hills = np.stack([120 + 100 * np.sin(x / 9), 120 + 90 * np.cos(y / 7), 100 + y + x], axis=2)
    dots = 40 + 200 * ((np.hypot(x % 8 - 4, y % 8 - 4) < 3)[..., None] * np.array([0.3, 0.6, 1.0]))
    return {
        "hills": hills.astype(np.uint8),
        "stripes": ((x + 2 * y) % 6 * 40).astype(np.uint8),
        "dots": dots.astype(np.uint8),
    }


def vgg() -> dict[str, torch.Tensor]:
    generator, state, inside = torch.Generator().manual_seed(0), {}, 3
    for i, count in enumerate((2, 2, 3, 3, 3), start=1):
        for j in range(1, count + 1):
            state[f"conv{i}_{j}.weight"] = (
                torch.randn((4, inside, 3, 3), generator=generator) * (2 / (9 * inside)) ** 0.5
            )
            state[f"conv{i}_{j}.bias"] = torch.zeros(4)
            inside = 4
    return state


def stage(root: Path, system: str, sample: dict[str, Any], **model: Any) -> StageContext:
    write_npz(root / "data" / "exemplars.npz", photographs())
    (root / "net").mkdir(exist_ok=True)
    save_file(vgg(), root / "net" / "weights.safetensors")
    write_json(root / "model" / "model.json", {"name": system, "system": system, "config": model})
    if system == "style_transfer":
        save_network(network_of(vgg()), root / "model")
    return StageContext(
        name=f"test-{system.replace('_', '-')}",
        family="style_transfer",
        block={"system": system, "dataset": "photos", "network": "net", "model": model, "sample": sample},
        seed=0,
        device="cpu",
        data=root / "data",
        model=root / "model",
        samples=root / "samples.npz",
        quiet=True,
        other_data={"network": root / "net"},
    )


SAMPLE: dict[str, Any] = {
    "pairs": PAIRS,
    "views": VIEWS,
    "side": 24,
    "ratios": [0.01, 100.0],
    "depths": ["conv1_1", "conv4_1"],
    "depth_ratios": [0, 1],
    "depth_steps": 15,
    "colours": ["luminance"],
    "frames": [0, 4, 15],
    "large": 32,
}


def both(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context, FAMILIES["style_transfer"].task("Styler").scorers)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> StageContext:
    return stage(tmp_path_factory.mktemp("styles"), "style_transfer", SAMPLE, steps=15, ratio=100.0, smoothness=0.0)


@pytest.fixture(scope="module")
def evaluation(context: StageContext) -> Evaluation:
    return both(context)


def row(evaluation: Evaluation, metric: str, variant: str) -> Record:
    (found,) = [record for record in evaluation.records if (record.metric, record.variant) == (metric, variant)]
    return found


def value(evaluation: Evaluation, metric: str, variant: str) -> float:
    found = row(evaluation, metric, variant).value
    assert found is not None
    return found


class TestSampling:
    def test_a_set_for_each_variant(self, context: StageContext, evaluation: Evaluation) -> None:
        assert context.samples is not None
        sets = read_image_samples(context.samples)
        assert [one.variant for one in sets] == [
            "ratio=0.01",
            "ratio=100",
            "depth=1,style_ratio=0",
            "depth=8,style_ratio=0",  # conv4_1 is the eighth convolution of VGG-16
            "depth=1,style_ratio=1",
            "depth=8,style_ratio=1",
            "colour=luminance",
        ]
        assert all(one.images is not None and one.images.shape == (2, 24, 24, 3) for one in sets)
        assert sets[0].prompts == ["hills + stripes", "corner + dots"]
        assert sets[0].extra["frames"].shape == (3, 24, 24, 3)
        assert sets[0].extra["large"].shape == (2, 32, 32, 3)

    def test_again_the_same(self, context: StageContext, evaluation: Evaluation) -> None:
        assert context.samples is not None
        for old, new in zip(read_image_samples(context.samples), sample(context), strict=True):
            assert np.array_equal(old.images, new.images)

    def test_views_are_cut_and_scaled(self) -> None:
        pictures = photographs()
        config = build_config(SampleConfig, {**SAMPLE, "views": VIEWS}, "here")
        whole = view_of(pictures, "hills", config, "here", 36)
        assert np.array_equal(whole, pictures["hills"][:, 6:42])
        part = view_of(pictures, "corner", config, "here", 30)
        assert np.array_equal(part, pictures["hills"][:30, 6:36])
        assert view_of(pictures, "stripes", config, "here", 20).shape == (20, 20, 3)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"pairs": [["hill", "dots"]]}, r"no picture 'hill'\. Did you mean 'hills'\?"),
            ({"pairs": []}, "pairs: at least one"),
            ({"pairs": [["hills"]]}, r"pairs\[0\]: must be a list of 2"),
            ({"pairs": ["hills"]}, r"pairs\[0\]: must be a list of 2"),
            (
                {"views": {"hills": {"corner": [10, 0], "side": 30}}},
                r"30 pixels from \[10, 0\] do not lie inside hills, 36x48",
            ),
            ({"views": {"hills": {"sides": 30}}}, "unknown key 'sides'"),
            ({"ratios": [], "depths": [], "colours": []}, "name ratios, depths, colours"),
            ({"depths": ["conv9_1"]}, "conv9_1"),
        ],
    )
    def test_wrong_settings_are_refused(self, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
        with pytest.raises(BenchError, match=said):
            sample(stage(tmp_path, "style_transfer", {**SAMPLE, "frames": [], "large": 0, **changed}, steps=1))


class TestScores:
    def test_what_the_claims_say_shows_in_the_rows(self, evaluation: Evaluation) -> None:
        assert value(evaluation, "style_loss", "ratio=100") < value(evaluation, "style_loss", "ratio=0.01") <= 1.01
        assert value(evaluation, "content_loss", "ratio=100") > value(evaluation, "content_loss", "ratio=0.01")
        depths = sorted(
            {
                r.variant
                for r in evaluation.records
                if r.variant.startswith("depth=") and r.variant.endswith("style_ratio=0")
            }
        )
        assert len(depths) == 2
        assert value(evaluation, "ssim", depths[0]) > value(evaluation, "ssim", depths[1])
        assert value(evaluation, "colour_shift", "colour=luminance") < value(evaluation, "colour_shift", "ratio=100")

    def test_rows_name_network_layers_and_size(self, evaluation: Evaluation) -> None:
        style = row(evaluation, "style_loss", "ratio=100")
        layers = "layers=conv1_1+conv2_1+conv3_1+conv4_1+conv5_1"
        assert style.protocol == f"style_loss/net/ref=content-picture/enlarged=1/{layers}/size=24x24/v1"
        assert (style.n, style.higher_is_better) == (2, False)
        assert style.ci95 is not None and style.ci95[0] <= value(evaluation, "style_loss", "ratio=100") <= style.ci95[1]
        assert row(evaluation, "content_loss", "ratio=100").higher_is_better is None
        detail = row(evaluation, "psnr", "ratio=100")
        assert (detail.higher_is_better, detail.unit) == (None, "dB"), "not ranked: all of the content is no style"

    def test_detail_is_that_of_scikit_image(self, context: StageContext, evaluation: Evaluation) -> None:
        assert context.samples is not None
        made = next(one for one in read_image_samples(context.samples) if one.variant == "ratio=100").images
        assert made is not None
        config = build_config(SampleConfig, SAMPLE, "here")
        psnrs, ssims = [], []
        for picture, (_, content, _) in zip(made, pairs_of(context.data, config, "here"), strict=True):
            one, two = (to_yiq(p / 255.0)[..., 0] for p in (picture, content))
            psnrs.append(peak_signal_noise_ratio(two, one, data_range=1.0))
            settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
            ssims.append(structural_similarity(two, one, data_range=1.0, **settings))
        assert value(evaluation, "psnr", "ratio=100") == pytest.approx(np.mean(psnrs), rel=1e-6)
        assert value(evaluation, "ssim", "ratio=100") == pytest.approx(np.mean(ssims), rel=1e-6)

    def test_the_ends_of_both_scales(self) -> None:
        content, style = (
            np.repeat(photographs()[name][:24, :24].reshape(24, 24, -1)[..., :1], 3, 2) for name in ("hills", "stripes")
        )
        losses = RelativeLosses(network_of(vgg()), ("pair", content, style), StyleConfig())
        assert losses(content) == pytest.approx((0.0, 1.0))
        assert losses(style) == pytest.approx((1.0, 0.0))
        with pytest.raises(BenchError, match="two different pictures"):
            RelativeLosses(network_of(vgg()), ("pair", content, content), StyleConfig())

    def test_floors(self, tmp_path: Path) -> None:
        sample = {"pairs": PAIRS, "views": VIEWS, "side": 24, "shows": ["content", "style", "noise"]}
        found = both(stage(tmp_path, "dummy_style", sample))
        assert value(found, "style_loss", "shows=content") == pytest.approx(1.0)
        assert value(found, "content_loss", "shows=content") == 0.0
        assert row(found, "psnr", "shows=content").value is None  # infinite
        assert value(found, "style_loss", "shows=style") == pytest.approx(0.0, abs=1e-9)
        assert value(found, "content_loss", "shows=style") == pytest.approx(1.0)
        assert value(found, "ssim", "shows=noise") < 0.3

    def test_one_pair_has_no_interval(self, tmp_path: Path) -> None:
        found = both(stage(tmp_path, "dummy_style", {"pairs": PAIRS[:1], "side": 24, "shows": ["noise"]}))
        assert all(record.ci95 is None and record.n == 1 for record in found.records)


class TestPictures:
    def test_every_sweep_has_a_table(self, evaluation: Evaluation) -> None:
        figures, (strip,) = of_kind(evaluation.extras, Figure), of_kind(evaluation.extras, Strip)
        assert [figure.title for figure in figures] == [
            "Larger",
            "More style to the right",
            "Keeping the colours of the content",
            "Reconstructed from one layer, deeper to the right",
            "Deeper content layers, ratio 1",
        ]
        (gallery,) = of_kind(evaluation.extras, Gallery)
        for picture in (*figures, strip, gallery):
            assert min(size_of(picture.png)) > 20
            assert len(picture.alt) > 10
        assert strip.captions == ("step 0", "step 4", "step 15")
        assert gallery.variant == "ratio=100" and gallery.captions == ("hills + stripes", "corner + dots")
        assert gallery.source_png is not None
        assert size_of(gallery.source_png)[1] > 1.9 * size_of(gallery.png)[1]

    def test_curves_are_sorted(self, evaluation: Evaluation) -> None:
        ratio, depth = of_kind(evaluation.extras, Curve)
        assert {line.name for line in ratio.series} == {"style loss", "content loss"}
        assert {line.name for line in depth.series} == {"content alone", "with style, ratio 1"}
        for line in (*ratio.series, *depth.series):
            assert [x for x, _ in line.points] == sorted(x for x, _ in line.points)

    def test_grid(self) -> None:
        red = np.zeros((10, 12, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
        made = labelled_grid([[red, red // 2], [red // 3, red]], ["one", "two"], scale=2)
        for colour in (red, red // 2, red // 3):
            count = (made == colour[0, 0]).all(axis=2).sum()
            assert count == (2 if colour is red else 1) * 20 * 24, "enlarged without smoothing"
        head = made[: made.shape[0] - 2 * (20 + 6)]
        assert head.min() < 200 and head.max() == 255  # a title stands there

    def test_small_png_keeps_flat_colours(self) -> None:
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[:4] = (250, 10, 20)
        content = png(picture, 256)
        with Image.open(io.BytesIO(content)) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), picture)
        assert content == png(picture, 256)


def size_of(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


class MeanColour:
    """A styler that can do nothing but answer: the content with the mean colour of the style."""

    Config: ClassVar[type] = DummyStyleConfig

    def __init__(self, config: DummyStyleConfig) -> None:
        self.config = config

    def save(self, folder: Path) -> None:
        """Nothing is kept."""

    @classmethod
    def load(cls, folder: Path, config: DummyStyleConfig, device: str = "cpu") -> MeanColour:
        return cls(config)

    def stylise(
        self, content: NDArray[np.uint8], style: NDArray[np.uint8], seed: int = 0, *, ratio: float = 1.0
    ) -> NDArray[np.uint8]:
        shift = ratio * (style.mean(axis=(0, 1)) - content.mean(axis=(0, 1)))
        return np.clip(np.rint(content + shift), 0, 255).astype(np.uint8)


class TestASecondStyler:
    """One with the contract alone is sampled and scored without a change in the project."""

    @pytest.fixture(autouse=True)
    def registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(BUILT_IN, "mean_colour", f"{__name__}:MeanColour")

    def test_it_is_scored(self, tmp_path: Path) -> None:
        sample = {"pairs": PAIRS, "views": VIEWS, "side": 24, "ratios": [0.0, 1.0], "large": 32}
        found = both(stage(tmp_path, "mean_colour", sample))
        assert value(found, "style_loss", "ratio=0") == pytest.approx(1.0)
        assert value(found, "content_loss", "ratio=0") == 0.0 < value(found, "content_loss", "ratio=1")
        assert value(found, "colour_shift", "ratio=1") > value(found, "colour_shift", "ratio=0") == 0.0
        titles = [figure.title for figure in of_kind(found.extras, Figure)]
        assert titles == ["Larger", "More style to the right"]

    @pytest.mark.parametrize("asked", [{"depths": ["conv1_1"]}, {"frames": [0, 2]}])
    def test_what_it_cannot_do_is_refused_by_name(self, tmp_path: Path, asked: dict[str, Any]) -> None:
        (key,) = asked
        with pytest.raises(BenchError, match=rf"style_transfer\.test-mean-colour\.sample\.{key}: the system"):
            sample(stage(tmp_path, "mean_colour", {"pairs": PAIRS[:1], "side": 24, "ratios": [1.0], **asked}))


def test_the_model_of_the_test_loads(context: StageContext) -> None:
    assert load_network(context.model).layers[-1] == "conv5_3"
