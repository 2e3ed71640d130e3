from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.base.errors import BenchError
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.families.encoders.clip import CLIP, CLIPConfig, contrastive_loss, half_of
from bench.metrics.retrieval import retrieval_at_k

SMALL = CLIPConfig(dim=32, widths=(16, 16, 32, 32, 32, 32), text_width=32)
TRAIN = {"steps": 60, "batch_size": 24, "lr": 0.005, "warmup": 5, "checkpoint_every": 0}


def units(seed: int, n: int = 6) -> torch.Tensor:
    return F.normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_loss_is_the_papers_for_distinct_captions() -> None:
    images, texts, scale = units(0), units(1), torch.tensor(7.0)
    logits = 7.0 * images @ texts.T
    labels = torch.arange(6)
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    assert contrastive_loss(images, texts, scale, torch.eye(6, dtype=torch.bool)).item() == pytest.approx(
        expected.item(), rel=1e-6
    )


def test_equal_captions_share_the_target() -> None:
    images, texts = units(0), units(1)
    texts[3] = texts[1]
    same = torch.eye(6, dtype=torch.bool)
    same[1, 3] = same[3, 1] = True
    logits = (7.0 * images @ texts.T).log_softmax(1)
    rows = -torch.stack(
        [logits[i, i] if i not in (1, 3) else (logits[i, 1] + logits[i, 3]) / 2 for i in range(6)]
    ).mean()
    columns = (7.0 * texts @ images.T).log_softmax(1)
    back = -torch.stack(
        [columns[i, i] if i not in (1, 3) else (columns[i, 1] + columns[i, 3]) / 2 for i in range(6)]
    ).mean()
    assert contrastive_loss(images, texts, torch.tensor(7.0), same).item() == pytest.approx(
        ((rows + back) / 2).item(), rel=1e-5
    )


def test_the_halves_share_nothing_and_are_the_same_in_every_run() -> None:
    a, b = half_of(101, "a"), half_of(101, "b")
    assert sorted([*a, *b]) == list(range(101))
    assert np.array_equal(a, half_of(101, "a"))
    assert abs(len(a) - len(b)) <= 1
    assert not np.array_equal(a, np.arange(0, 101, 2))
    assert half_of(5, "all").tolist() == [0, 1, 2, 3, 4]


def test_trains_on_its_own_half_only(scenes: dict[str, ImageSplit]) -> None:
    """A change in the other half changes nothing; a change in its own does."""

    def weights(data: ImageSplit) -> torch.Tensor:
        system = CLIP(CLIPConfig(dim=16, widths=(8, 8, 8, 8, 8, 8), text_width=16, half="a"))
        system.fit({"train": data}, RunContext(seed=3, train={**TRAIN, "steps": 2}))
        return system.network.image_projection.weight.detach().clone()

    train = scenes["train"]
    start = weights(train)
    for half, equal in (("b", True), ("a", False)):
        images = train.images.copy()
        images[half_of(len(images), half)] = 128
        assert torch.equal(start, weights(ImageSplit(images, captions=train.captions))) is equal


@pytest.mark.parametrize("causal", [True, False])
def test_causal_words_do_not_know_what_follows(causal: bool) -> None:
    torch.manual_seed(0)
    system = CLIP(CLIPConfig(text_width=32, dim=32, causal=causal))
    states, mask = system.text_states(["a red three left of a blue two", "a red three right of a blue two"])
    assert states.shape == (2, 18, 32)
    assert mask.sum(1).tolist() == [10, 10]
    before = torch.equal(states[0, :4], states[1, :4])  # start, a, red, three
    assert before is causal
    assert not torch.allclose(states[0, 5:10], states[1, 5:10])


def test_padding_does_not_touch_the_words() -> None:
    system = CLIP(SMALL)
    tokens = torch.from_numpy(system.tokenize(["a small red three"]))
    full, cut = system.network.text_states(tokens), system.network.text_states(tokens[:, :6])
    assert torch.allclose(full[:, :6], cut, atol=1e-5)
    assert torch.allclose(system.network.embed_texts(tokens), system.network.embed_texts(tokens[:, :6]), atol=1e-5)


def test_learns_to_match_scenes_and_captions(scenes: dict[str, ImageSplit]) -> None:
    few = scenes["train"].take(slice(0, 24))
    assert few.captions is not None
    system = CLIP(SMALL)
    before = retrieval_at_k(
        system.embed_images(few.images), system.embed_texts(few.captions), groups=few.captions
    ).mean()
    system.fit({"train": few}, RunContext(seed=0, train=TRAIN))
    images, texts = system.embed_images(few.images), system.embed_texts(few.captions)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert before < 0.3
    assert retrieval_at_k(images, texts, groups=few.captions).mean() > 0.8


def test_positive_only_loss_collapses(scenes: dict[str, ImageSplit]) -> None:
    system = CLIP(CLIPConfig(dim=32, widths=(16, 16, 32, 32, 32, 32), text_width=32, loss="positive_only"))
    system.fit({"train": scenes["train"]}, RunContext(seed=0, train=TRAIN))
    images = system.embed_images(scenes["test"].images)
    assert (images @ images.T).mean() > 0.99


def test_words_outside_the_vocabulary_are_named() -> None:
    with pytest.raises(BenchError, match=r"'rd'.*Did you mean 'red'"):
        CLIP(SMALL).embed_texts(["a rd three"])


def test_captions_are_needed_and_settings_checked(digits: dict[str, ImageSplit]) -> None:
    with pytest.raises(BenchError, match="captions"):
        CLIP(SMALL).fit(digits, RunContext(name="clip-x"))
    for wrong in ({"half": "c"}, {"loss": "softmax"}, {"start_scale": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            CLIPConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        CLIP(SMALL).logits(digits["test"].images)
