"""Style transfer: equations against NumPy, gradients, invariances, colours and bad input, on a small random VGG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench.base.errors import BenchError
from bench.contracts import RunContext, Styler
from bench.families.style_transfer.dummy_style import DummyStyle
from bench.families.style_transfer.style_colour import from_yiq, match_colours, match_luminance, to_yiq
from bench.families.style_transfer.style_losses import Losses, StyleConfig, content_loss, gram, style_loss
from bench.families.style_transfer.style_transfer import Job, StyleTransfer
from bench.nn.features.networks import FeatureNetwork, network_of

WIDTHS = {"conv1_1": 6, "conv1_2": 6, "conv2_1": 8, "conv2_2": 8}
SMALL: dict[str, Any] = {
    "content_layers": ("conv2_2",),
    "style_layers": ("conv1_1", "conv2_1"),
    "steps": 12,
    "smoothness": 0.0,
}


def small_vgg_state() -> dict[str, torch.Tensor]:
    """VGG-16 in the paper's layout, narrow, the deep runs two filters wide."""
    generator = torch.Generator().manual_seed(0)
    state, inside = {}, 3
    for i, count in enumerate((2, 2, 3, 3, 3), start=1):
        for j in range(1, count + 1):
            name = f"conv{i}_{j}"
            outside = WIDTHS.get(name, 2)
            state[f"{name}.weight"] = (
                torch.randn((outside, inside, 3, 3), generator=generator) * (2 / (9 * inside)) ** 0.5
            )
            state[f"{name}.bias"] = torch.randn(outside, generator=generator) * 0.1
            inside = outside
    return state


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return network_of(small_vgg_state(), preprocessing="torchvision")


@pytest.fixture
def system(network: FeatureNetwork) -> StyleTransfer:
    return StyleTransfer(StyleConfig(**SMALL), network)


def picture(seed: int, height: int = 24, width: int = 20) -> NDArray[np.uint8]:
    """Soft blobs in colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(0.1, 0.9, (3, 3)) * [1, 1, 7]]
    return (127 + 110 * np.stack(waves, axis=2)).astype(np.uint8)


CONTENT, STYLE = picture(0), picture(1, 28, 32)


def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None] / 255


class TestEquations:
    def test_gram_and_losses_equal_the_sums_written_out(self) -> None:
        rng = np.random.default_rng(2)
        f, p = rng.normal(size=(2, 3, 4, 5))
        n, m = 3, 20
        rows, other = f.reshape(n, m), p.reshape(n, m)
        want_gram = np.array([[sum(rows[i, k] * rows[j, k] for k in range(m)) for j in range(n)] for i in range(n)])
        other_gram = other @ other.T
        np.testing.assert_allclose(gram(torch.tensor(f)) * m, want_gram)
        want_style = ((want_gram - other_gram) ** 2).sum() / (4 * n**2 * m**2)  # equation 4 as printed
        np.testing.assert_allclose(style_loss(gram(torch.tensor(f)), gram(torch.tensor(p))), want_style)
        np.testing.assert_allclose(content_loss(torch.tensor(f), torch.tensor(p)), 0.5 * ((f - p) ** 2).sum())

    def test_gradient_of_the_content_loss_is_equation_2(self) -> None:
        f = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
        p = torch.randn(3, 4, 5, dtype=torch.float64)
        (gradient,) = torch.autograd.grad(content_loss(f, p), f)
        torch.testing.assert_close(gradient, (f - p).detach())

    def test_gradient_of_the_style_loss_is_equation_6(self) -> None:
        f = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
        a = gram(torch.randn(3, 4, 5, dtype=torch.float64))
        (gradient,) = torch.autograd.grad(style_loss(gram(f), a), f)
        n, m = 3, 20
        rows = f.detach().reshape(n, m)
        want = (rows.T @ (rows @ rows.T - a * m)).T / (n**2 * m**2)  # with Gram matrices not divided, as printed
        torch.testing.assert_close(gradient.reshape(n, m), want)

    def test_both_losses_are_shares_of_vanishing_activations(self, network: FeatureNetwork) -> None:
        config = StyleConfig(**{**SMALL, "content_layers": ("conv1_2", "conv2_2"), "layer_weights": (3.0, 1.0)}).filled(
            network
        )
        losses = Losses(network, tensor(CONTENT), tensor(STYLE), config)
        x = picture(5)
        got_content, got_style = losses(tensor(x))
        layers = ("conv1_2", "conv2_2", "conv1_1", "conv2_1")
        fx, fp, fa = (
            {k: v[0].double() for k, v in network.features(tensor(image), layers).items()}
            for image in (x, CONTENT, STYLE)
        )
        want_content = np.mean(
            [float((fx[k] - fp[k]).square().sum() / fp[k].square().sum()) for k in ("conv1_2", "conv2_2")]
        )
        shares = {"conv1_1": 0.75, "conv2_1": 0.25}
        want_style = sum(
            w * float((gram(fx[k]) - gram(fa[k])).square().sum() / gram(fa[k]).square().sum())
            for k, w in shares.items()
        )
        assert float(got_content) == pytest.approx(want_content, rel=1e-5)
        assert float(got_style) == pytest.approx(want_style, rel=1e-5)
        assert float(losses(tensor(CONTENT))[0]) == 0
        same = Losses(network, tensor(CONTENT), tensor(x), config)
        assert float(same(tensor(x))[1]) == pytest.approx(0, abs=1e-10)

    def test_the_size_of_the_style_does_not_matter(self, network: FeatureNetwork) -> None:
        tiled = np.tile(picture(3, 16, 16), (2, 3, 1))
        config = StyleConfig(**{**SMALL, "style_layers": ("conv1_1",)})
        one, other = (
            float(Losses(network, tensor(CONTENT), tensor(s), config)(tensor(CONTENT))[1])
            for s in (tiled, tiled[:16, :32])
        )
        assert one == pytest.approx(other, rel=0.1)


class TestOptimisation:
    def test_total_loss_falls(self, system: StyleTransfer) -> None:
        curve = system.run(Job(CONTENT, STYLE, options={"ratio": 10.0})).curve
        total = curve @ np.array([1 / 11, 10 / 11])
        assert total[-1] < 0.3 * total[0]
        assert curve[0, 0] == pytest.approx(0, abs=1e-9)  # it starts at the content

    def test_the_ratio_trades_content_for_style(self, system: StyleTransfer, network: FeatureNetwork) -> None:
        losses = Losses(network, tensor(CONTENT), tensor(STYLE), system.config)
        got = [
            [float(v) for v in losses(tensor(system.stylise(CONTENT, STYLE, ratio=r, steps=25)))]
            for r in (0.01, 1.0, 100.0)
        ]
        contents, styles = zip(*got, strict=True)
        assert contents[0] < contents[1] < contents[2]
        assert styles[0] > styles[1] > styles[2]

    def test_shallow_layers_bring_back_the_pixels(self, system: StyleTransfer) -> None:
        errors = []
        for layer in ("conv1_1", "conv5_1"):
            made = system.stylise(CONTENT, STYLE, 0, content_layers=[layer], ratio=0.0, start="noise", steps=60)
            errors.append(float(np.abs(made.astype(float) - CONTENT).mean()))
        assert errors[0] < 0.4 * errors[1]

    def test_content_alone_does_not_look_at_the_style(self, system: StyleTransfer) -> None:
        made = [system.stylise(CONTENT, style, 4, ratio=0.0, start="noise") for style in (STYLE, picture(9))]
        assert np.array_equal(*made)

    def test_frames_change_nothing(self, system: StyleTransfer) -> None:
        plain = system.run(Job(CONTENT, STYLE))
        shown = system.run(Job(CONTENT, STYLE), frames=[0, 1, 5, 12])
        assert np.array_equal(plain.picture, shown.picture)
        assert shown.frames.shape == (4, *CONTENT.shape)
        assert np.array_equal(shown.frames[0], CONTENT) and np.array_equal(shown.frames[-1], shown.picture)
        assert len(plain.frames) == 0

    def test_progress_counts_every_step(self, system: StyleTransfer) -> None:
        counted: list[int] = []
        system.run(Job(CONTENT, STYLE), update=counted.append)
        assert sum(counted) == SMALL["steps"]

    def test_smoothness_smooths(self, system: StyleTransfer) -> None:
        rough, smooth = (system.stylise(CONTENT, STYLE, smoothness=s).astype(float) for s in (0.0, 20.0))
        assert np.abs(np.diff(smooth, axis=1)).mean() < 0.8 * np.abs(np.diff(rough, axis=1)).mean()

    @pytest.mark.parametrize("start", ["content", "style", "noise"])
    def test_starts(self, system: StyleTransfer, start: str) -> None:
        first = system.run(Job(CONTENT, STYLE, 7, {"start": start, "steps": 1}), frames=[0]).frames[0]
        assert first.shape == CONTENT.shape
        if start == "content":
            assert np.array_equal(first, CONTENT)
        else:
            assert abs(float(first.mean()) - float((STYLE if start == "style" else np.array(127.5)).mean())) < 8


class TestDeterminism:
    def test_only_noise_needs_the_seed(self, system: StyleTransfer) -> None:
        one, two = (system.stylise(CONTENT, STYLE, seed) for seed in (1, 2))
        assert np.array_equal(one, two)
        noisy = [system.stylise(CONTENT, STYLE, seed, start="noise") for seed in (1, 1, 2)]
        assert np.array_equal(noisy[0], noisy[1]) and not np.array_equal(noisy[0], noisy[2])

    @pytest.mark.parametrize("threads", [1, 2])
    def test_threads_and_neighbours_change_nothing(self, system: StyleTransfer, threads: int) -> None:
        pairs = [("a", CONTENT, STYLE), ("b", picture(3), STYLE), ("c", STYLE, CONTENT)]
        alone = [system.stylise(content, style, seed, start="noise") for seed, (_, content, style) in enumerate(pairs)]
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for workers in (1, 3):
                together = system.stylise_all(pairs, range(3), {"start": "noise"}, workers)
                assert all(np.array_equal(x, y) for x, y in zip(alone, together, strict=True))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)

    def test_saved_systems_are_the_same(self, system: StyleTransfer, tmp_path: Path) -> None:
        system.save(tmp_path)
        again = StyleTransfer.load(tmp_path, system.config)
        assert np.array_equal(again.stylise(CONTENT, STYLE), system.stylise(CONTENT, STYLE))


class TestColours:
    def test_luminance_keeps_the_chrominance(self, system: StyleTransfer) -> None:
        grey = np.repeat(picture(0)[:, :, :1] // 2 + 60, 3, axis=2)  # far from clipping
        tinted = (grey.astype(int) + np.array([20, 0, -20])).astype(np.uint8)
        made = system.stylise(tinted, STYLE, colour="luminance", steps=4)
        shift = np.abs(to_yiq(made / 255.0) - to_yiq(tinted / 255.0))
        assert shift[..., 1:].max() < 0.01 < shift[..., 0].mean()

    def test_match_gives_the_style_the_contents_colours(self, system: StyleTransfer) -> None:
        blue = (STYLE * [0.2, 0.3, 1.0]).astype(np.uint8)
        red = (CONTENT * [1.0, 0.3, 0.2]).astype(np.uint8)
        plain, matched = (system.stylise(red, blue, colour=c, ratio=1000.0, steps=20) for c in ("style", "match"))
        distance = [float(np.abs(p.mean(axis=(0, 1)) - red.mean(axis=(0, 1))).sum()) for p in (plain, matched)]
        assert distance[1] < 0.5 * distance[0]

    def test_matched_moments(self) -> None:
        rng = np.random.default_rng(3)
        style = 0.5 + 0.1 * rng.normal(size=(40, 40, 3)) @ rng.normal(size=(3, 3)) * 0.5
        content = 0.5 + 0.05 * rng.normal(size=(30, 50, 3)) @ rng.normal(size=(3, 3))
        got = match_colours(style, content).reshape(-1, 3)
        np.testing.assert_allclose(got.mean(axis=0), content.reshape(-1, 3).mean(axis=0), atol=2e-3)
        np.testing.assert_allclose(np.cov(got.T), np.cov(content.reshape(-1, 3).T), atol=2e-3)

    def test_one_colour_can_be_matched(self) -> None:
        flat = np.full((8, 8, 3), 0.25)
        assert np.isfinite(match_colours(flat, CONTENT / 255)).all()
        assert match_luminance(flat[..., 0], np.full((4, 4), 0.75)) == pytest.approx(0.75)

    def test_yiq_is_that_of_scikit_image(self) -> None:
        from skimage.color import rgb2yiq, yiq2rgb

        x = np.random.default_rng(0).random((5, 6, 3))
        np.testing.assert_allclose(to_yiq(x), rgb2yiq(x), atol=1e-6)
        np.testing.assert_allclose(from_yiq(x), yiq2rgb(x), atol=1e-6)
        np.testing.assert_allclose(from_yiq(to_yiq(x)), x, atol=1e-12)


class TestFit:
    def test_weights_from_a_users_file(self, tmp_path: Path) -> None:
        save_file(small_vgg_state(), tmp_path / "mine.safetensors")
        system = StyleTransfer(StyleConfig(weights=str(tmp_path / "mine.safetensors"), steps=2))
        run = RunContext()
        system.fit({}, run)
        assert system.network.layers[-1] == "conv5_3"
        assert run.cost["parameters"] == sum(value.numel() for value in small_vgg_state().values())
        assert system.stylise(CONTENT, STYLE).shape == CONTENT.shape  # with VGG's usual layers

    def test_weights_of_the_prepared_data_set(self, tmp_path: Path) -> None:
        save_file(small_vgg_state(), tmp_path / "weights.safetensors")
        system = StyleTransfer(StyleConfig(**SMALL))
        system.fit({}, RunContext(data={"network": tmp_path}))
        assert isinstance(system, Styler)
        assert len(system.network.layers) == 13

    def test_random_weights_depend_on_the_seed(self) -> None:
        made = []
        for seed in (0, 0, 1):
            system = StyleTransfer(StyleConfig(weights="random", steps=1))
            system.fit({}, RunContext(seed=seed))
            made.append(system.stylise(CONTENT, STYLE))
        assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])

    def test_no_network(self) -> None:
        with pytest.raises(BenchError, match="under `network:`"):
            StyleTransfer().fit({}, RunContext())
        with pytest.raises(BenchError, match="call fit or load first"):
            StyleTransfer().stylise(CONTENT, STYLE)


class TestBadInput:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({"start": "middle"}, "start: must be one of"),
            ({"colour": "blue"}, "colour: must be one of"),
            ({"style_layers": "conv1_1"}, "style_layers: must be a list, each a text"),
            ({"style_layers": ("a", "a")}, "must be a list of different layers"),
            ({"style_layers": ("a", "b"), "layer_weights": (1.0,)}, "1 weights for 2 style layers"),
            ({"layer_weights": (0.0, 0.0)}, "must not all be zero"),
            ({"ratio": -1.0}, "ratio: must be a number of at least 0"),
            ({"steps": 0}, "steps: must be a whole number of at least 1"),
        ],
    )
    def test_settings(self, values: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            StyleConfig(**values)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"ration": 1.0}, r"unknown key 'ration'\. Did you mean 'ratio'\?"),
            ({"weights": "other.pth"}, "unknown key 'weights'"),
            ({"steps": 0}, "steps: must be a whole number of at least 1"),
            ({"style_layers": ["conv9_9"]}, "no layer 'conv9_9'"),
            ({"layer_weights": [1.0, 1.0, 1.0]}, "3 weights for 2 style layers"),
        ],
    )
    def test_options(self, system: StyleTransfer, options: dict[str, Any], said: str) -> None:
        with pytest.raises(BenchError, match=said):
            system.stylise(CONTENT, STYLE, **options)

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            (np.zeros((24, 20, 4), np.uint8), "content picture must be uint8"),
            (np.zeros((24, 20), np.uint16), "content picture must be uint8"),
            (np.zeros((24, 15), np.uint8), "content picture is 24x15: style transfer needs 16 pixels"),
            (np.zeros((24,), np.uint8), "content picture must be uint8"),
        ],
    )
    def test_pictures(self, system: StyleTransfer, bad: NDArray[Any], said: str) -> None:
        with pytest.raises(BenchError, match=said):
            system.stylise(bad, STYLE)

    def test_grey_pictures_are_welcome(self, system: StyleTransfer) -> None:
        assert system.stylise(CONTENT[:, :, 0], STYLE[:, :, :1], steps=2).shape == CONTENT.shape

    def test_a_constant_style(self, system: StyleTransfer) -> None:
        assert system.stylise(CONTENT, np.zeros((16, 16, 3), np.uint8), steps=3).shape == CONTENT.shape


class TestFloors:
    def test_shows(self) -> None:
        floor = DummyStyle()
        assert np.array_equal(floor.stylise(CONTENT, STYLE, shows="content"), CONTENT)
        assert np.array_equal(floor.stylise(CONTENT, STYLE, shows="style"), STYLE[:24, :20])
        assert floor.stylise(STYLE[:, :, 0], CONTENT, shows="style").shape == STYLE.shape
        noise = [floor.stylise(CONTENT, STYLE, seed) for seed in (0, 0, 1)]
        assert np.array_equal(noise[0], noise[1]) and not np.array_equal(noise[0], noise[2])
        with pytest.raises(BenchError, match="shows: must be one of"):
            floor.stylise(CONTENT, STYLE, shows="nothing")
