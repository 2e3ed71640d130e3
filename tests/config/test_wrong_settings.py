"""Wrong values and keys in params.yaml, one at a time: refused before anything runs; file, key and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[[str, str, str], None]
DDPM = "    feature_net: resnet-digits\n    train: { steps: 5000"
"""Of the block ddpm-mnist, which has no ``model:``."""


def ddpm(model: str) -> str:
    """The same with a ``model:``."""
    return DDPM.replace("    train:", f"    model: {{ {model} }}\n    train:")


# name, text of params.yaml, what stands there instead, what the message says
WRONG = [
    (
        "t2i variant key",
        "{ guidance: 3.0, steps: 50 }",
        "{ guidence: 3.0, steps: 50 }",
        r"latent-diffusion-scenes.sample.variants .*unknown key 'guidence'. Did you mean 'guidance'",
    ),
    (
        "ngram smoothing value",
        "{ n: 5, smoothing: stupid_backoff }",
        "{ n: 5, smoothing: stupid_back }",
        r"smoothing: must be one of mle, .*not 'stupid_back'. Did you mean 'stupid_backoff'",
    ),
    (
        "ngram n beyond order",
        "{ n: 8, smoothing: katz }",
        "{ n: 12, smoothing: katz }",
        r"ngram-char.sample.variants \(n=12,smoothing=katz\).n: 12 is not counted: from 1 to 8",
    ),
    (
        "ddpm sampler",
        "{ sampler: ddim, steps: 50 }",
        "{ sampler: dimm, steps: 50 }",
        r"sampler: must be one of ddim, ancestral, not 'dimm'. Did you mean 'ddim'",
    ),
    (
        "ddpm steps > T",
        "{ sampler: ddim, steps: 1000, n: 100 }",
        "{ sampler: ddim, steps: 5000, n: 100 }",
        r"ddpm-mnist.sample.variants .*steps: at most the 1000 of the noising chain \(`model.steps`\), not 5000",
    ),
    (
        "holes key",
        "holes: { side: 20, margin: 12, count: 4, windows: [9, 15], orders: [onion, raster] }",
        "holes: { sied: 20, margin: 12, count: 4, windows: [9, 15], orders: [onion, raster] }",
        r"efros-leung.sample.holes: unknown key 'sied'. Did you mean 'side'",
    ),
    (
        "exemplars key",
        "brick: { downscale: 4 }",
        "brick: { downscal: 4 }",
        r"efros-leung.sample.exemplars.brick: unknown key 'downscal'. Did you mean 'downscale'",
    ),
    (
        "growth key",
        "growth: { exemplar: grass }",
        "growth: { exemplr: grass }",
        r"efros-leung.sample.growth: unknown key 'exemplr'. Did you mean 'exemplar'",
    ),
    (
        "timed key",
        "timed: { task: blur, side: 320 }",
        "timed: { tsk: blur, side: 320 }",
        r"analogies-filters.sample.timed: unknown key 'tsk'. Did you mean 'task'",
    ),
    (
        "task name",
        "blur: {}, edge: {}",
        "blurr: {}, edge: {}",
        r"analogies-filters.sample.tasks: unknown key 'blurr'. Did you mean 'blur'",
    ),
    (
        "arm of series",
        "{ arm: attention-only }",
        "{ arm: attention-olny }",
        r"transformer-positions.sample.variants: no arm 'attention-olny'. Did you mean 'attention-only'",
    ),
    (
        "video variant key",
        "{ taps: 1 }",
        "{ tap: 1 }",
        r"video-textures.sample.variants \(tap=1\): unknown key 'tap'. Did you mean 'taps'",
    ),
    (
        "views key",
        "astronaut: { corner: [0, 100], side: 300 }",
        "astronaut: { korner: [0, 100], side: 300 }",
        r"gatys.sample.views.astronaut: unknown key 'korner'. Did you mean 'corner'",
    ),
    (
        "exemplar photo name",
        "{ of: coffee,",
        "{ of: cofee,",
        r"efros-leung.sample.exemplars.wood: textures holds no 'cofee'. Did you mean 'coffee'",
    ),
    (
        "style pair name",
        "- [coffee, cells-2]",
        "- [coffe, cells-2]",
        r"gatys.sample.pairs\[2\]: photos holds no 'coffe'. Did you mean 'coffee'",
    ),
    (
        "model key",
        "model: { unit: words, order: 5 }",
        "model: { unit: words, ordr: 5 }",
        r"ngram-word.model: unknown key 'ordr'. Did you mean 'order'",
    ),
    (
        "sample key",
        "negatives: 160",
        "negatves: 160",
        r"latent-diffusion-scenes.sample: unknown key 'negatves'. Did you mean 'negatives'",
    ),
    (
        "evaluate key",
        "letter_entropies: 3",
        "letter_entropy: 3",
        r"ngram-char.evaluate: unknown key 'letter_entropy'. Did you mean 'letter_entropies'",
    ),
    (
        "arms train key",
        "l-100: { model: { width: 96, layers: 3 } }",
        "l-100: { model: { widht: 96, layers: 3 } }",
        r"transformer-scaling.arms.l-100.model: unknown key 'widht'. Did you mean 'width'",
    ),
    (
        "train betas value",
        "betas: [0.9, 0.99], warmup",
        "betas: [0.9, 9.9], warmup",
        r"transformer-char.train.betas\[1\]: must be a number of at least 0 and below 1, not 9.9",
    ),
    (
        "train warmup negative",
        "warmup: 100",
        "warmup: -100",
        r"transformer-char.train.warmup: must be a whole number of at least 0, not -100",
    ),
    (
        "ddpm widths bad type",
        DDPM,
        ddpm("widths: abc"),
        r"ddpm-mnist.model.widths: must be a list, each a whole number of at least 1, not 'abc'",
    ),
    (
        "ddpm heads 3",
        DDPM,
        ddpm("heads: 3"),
        r"ddpm-mnist.model.heads: 3 do not divide widths\[1\], 64",
    ),
    (
        "ddpm attention level",
        DDPM,
        ddpm("attention: [7]"),
        r"ddpm-mnist.model.attention\[0\]: there is no level 7: widths has 0 to 1",
    ),
    (
        "ddpm times",
        DDPM,
        ddpm("times: unifrm"),
        r"ddpm-mnist.model.times: must be one of uniform, logit_normal, not 'unifrm'. Did you mean 'uniform'",
    ),
    (
        "latent schedule",
        "model: { relation_share: 0.45 }",
        "model: { relation_share: 0.45, schedule: cosin }",
        r"latent-diffusion-scenes.model.schedule: must be one of cosine, linear, not 'cosin'",
    ),
    (
        "sample n str",
        "negatives: 160",
        "negatives: many",
        r"latent-diffusion-scenes.sample.negatives: must be a whole number of at least 0, not 'many'",
    ),
    (
        "role for slot: codec is not a codec",
        "codec: kl-vae-scenes",
        "codec: ddpm-mnist",
        r"codec: must be a generator of contract LatentCodec, trained on scenes, not ddpm-mnist.*is kl-vae-scenes",
    ),
    (
        "feature_net from other data",
        DDPM,
        DDPM.replace("resnet-digits", "detector-scenes"),
        r"ddpm-mnist.feature_net: must be a generator of contract Encoder, trained on mnist, not detector-scenes",
    ),
    (
        "yes is no truth value",
        "evaluate: { power_law: true }",
        "evaluate: { power_law: yes }",
        r"transformer-scaling.evaluate.power_law: must be true or false, not 'yes'",
    ),
    (
        "text for a number",
        "lr: 0.003, betas",
        'lr: "0.003", betas',
        r"transformer-char.train.lr: must be a number from 0 to 10, not '0.003'",
    ),
    (
        "nan",
        "guidance: 3.0, steps: 50 }",
        "guidance: .nan, steps: 50 }",
        r"guidance: must be a number of at least 0, not nan",
    ),
    (
        "eta of the ancestral sampler",
        "{ sampler: ancestral, steps: 50 }",
        "{ sampler: ancestral, steps: 50, eta: 0.0 }",
        r"eta: belongs to sampler ddim and does nothing with ancestral",
    ),
    (
        "tail of another schedule",
        "train: { steps: 1200, batch_size: 128, lr: 0.003,",
        "train: { steps: 1200, tail: 0.5, batch_size: 128, lr: 0.003,",
        r"resnet-digits.train: tail belongs to schedule: linear_tail and does nothing with cosine",
    ),
    (
        "option of a floor",
        "  dummy-images:\n    system: dummy_images\n    dataset: mnist\n",
        "  dummy-images:\n    system: dummy_images\n    dataset: mnist\n    sample: { variants: [{ steps: 5 }] }\n",
        r"dummy-images.sample.variants \(steps=5\): unknown key 'steps'",
    ),
    (
        "windows of a floor",
        "sample: { exemplars: *exemplars, size: [64, 64], pictures: 4, holes: &holes",
        "sample: { windows: [9], exemplars: *exemplars, size: [64, 64], pictures: 4, holes: &holes",
        r"dummy-texture.sample.windows: unknown key 'window'",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), [pytest.param(*case, id=name) for name, *case in WRONG])
def test_a_wrong_entry_is_refused(refused: Refused, old: str, new: str, message: str) -> None:
    refused(old, new, message)
