"""Blocks of params.yaml whose parts do not go together, one at a time: roles, data, arms, scorers, defaults, names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[[str, str, str], None]
DUMMY_TEXTURE = "  dummy-texture:\n    system: dummy_texture\n"

# name, text of params.yaml, what stands there instead, what the message says
WRONG = [
    (
        "role that nothing reads",
        "  dummy-scenes:\n    system: dummy_scenes\n",
        "  dummy-scenes:\n    codec: kl-vae-scenes\n    system: dummy_scenes\n",
        r"text_to_image.dummy-scenes: unknown key 'codec'",
    ),
    (
        "role that is missing",
        "    judged_on: reuters-r8\n    model: &bert",
        "    model: &bert",
        r"bert-wiki.judged_on: missing: the name of a data set of kind labelled_texts; there is reuters-r8",
    ),
    (
        "data set of another kind as role",
        "    judged_on: word-tests\n    model: &word2vec",
        "    judged_on: reuters-r8\n    model: &word2vec",
        r"word2vec-sgns.judged_on: must be a data set of kind word_tests, not reuters-r8.*there is word-tests",
    ),
    (
        "data set of another kind",
        "    system: ddpm\n    dataset: mnist\n",
        "    system: ddpm\n    dataset: weather\n",
        r"ddpm-mnist.dataset: weather is of kind series; ddpm takes images or",
    ),
    (
        "channels of the data",
        "    model: { codebook: gradient, start: vqvae-digits }",
        "    model: { codebook: gradient, start: vqvae-digits, channels: 3 }",
        r"vqvae-gradient.model.channels: 3 does not fit the data set mnist, whose channels is 1",
    ),
    (
        "classes of the data",
        "    feature_net: resnet-digits\n    train: { steps: 5000",
        "    feature_net: resnet-digits\n    model: { classes: 7 }\n    train: { steps: 5000",
        r"ddpm-mnist.model.classes: mnist has 10, more than 7",
    ),
    (
        "size of the data",
        "model: &clip-model { half: a }",
        "model: &clip-model { half: a, size: 28 }",
        r"clip-scenes-a.model.size: \(28, 28\) does not fit the data set scenes, whose size is \(32, 32\)",
    ),
    (
        "widths and heads",
        "model: { width: 128, layers: 4, heads: 2, context: 128 }",
        "model: { width: 130, layers: 4, heads: 4, context: 128 }",
        r"transformer-char.model.width: 130 is not a multiple of 2 x 4 heads",
    ),
    (
        "context of another member",
        "arm: [window-1, window-2, window-3, window-5, window-8, one-hot-5]",
        "arm: window-1, context: 64",
        r"neural-lm-arms.sample.variants .*unknown key 'context'",
    ),
    (
        "order of another data",
        "variants: [{ order: [0, 1, 2] }] }\n    profiles: { smoke: { evaluate",
        "variants: [{ order: [0, 3] }] }\n    profiles: { smoke: { evaluate",
        r"markov-weather.sample.variants \(order=3\).order: 3 is not counted: from 0 to 2",
    ),
    (
        "train of what is not trained",
        "  dummy-words:\n    system: dummy_words\n",
        "  dummy-words:\n    train: { steps: 5 }\n    system: dummy_words\n",
        r"words.dummy-words.train: dummy_words is not trained step by step",
    ),
    (
        "clip name",
        "clips: &clips [pendulum, flame",
        "clips: &clips [pendulum, flamme",
        r"video-textures.sample.clips: clips holds no 'flamme'. Did you mean 'flame'",
    ),
    (
        "setting of a task",
        "tasks: { blur: {}, edge: {}",
        "tasks: { blur: { kapa: 1 }, edge: {}",
        r"analogies-filters.sample.tasks.blur: unknown key 'kapa'. Did you mean 'kappa'",
    ),
    (
        "key of a data set",
        "    card: datasets/mnist.yaml\n",
        "    card: datasets/mnist.yaml\n    limt: { train: 5 }\n",
        r"datasets.mnist: unknown key 'limt'. Did you mean 'limit'",
    ),
    (
        "source of a rendered data set",
        "    source: mnist\n    train: 60000",
        "    source: mnst\n    train: 60000",
        r"datasets.scenes.source: no data set 'mnst'. Did you mean 'mnist'",
    ),
    (
        "list for a mapping",
        "    model: { unit: words, order: 5 }\n",
        "    model: []\n",
        r"ngram-word.model: must be a mapping of key to value, not \[\]",
    ),
    (
        "duplicate key",
        "judged_on: word-tests\n    model: &word2vec",
        "judged_on: word-tests\n    dataset: wiki\n    model: &word2vec",
        r"is not YAML: line \d+, column 5: the key 'dataset' stands in line \d+ already",
    ),
    (
        "two kinds of name",
        "  sonnets:\n    card: datasets/sonnets.yaml",
        "  ngram-char:\n    card: datasets/sonnets.yaml",
        r"words.ngram-char: the name is taken by datasets.ngram-char",
    ),
    (
        "setting of sampling under the model",
        "    feature_net: resnet-digits\n    train: { steps: 5000",
        "    feature_net: resnet-digits\n    model: { precision: bf16 }\n    train: { steps: 5000",
        r"ddpm-mnist.model: unknown key 'precision'",
    ),
    (
        "value of a default of sampling",
        "      defaults: { precision: auto }",
        "      defaults: { precision: bf61 }",
        r"ddpm-mnist.sample.defaults.precision: must be one of auto, fp32, bf16, not 'bf61'. Did you mean 'bf16'",
    ),
    (
        "key of a default of sampling",
        "      defaults: { precision: auto }",
        "      defaults: { precision: auto, chunks: 500 }",
        r"ddpm-mnist.sample.defaults: unknown key 'chunks'. Did you mean 'chunk'",
    ),
    (
        "range of a default of sampling",
        "      defaults: { precision: auto }",
        "      defaults: { precision: auto, chunk: 0 }",
        r"ddpm-mnist.sample.defaults.chunk: must be a whole number of at least 1, not 0",
    ),
    (
        "number of samples is no default",
        "      defaults: { precision: auto }",
        "      defaults: { precision: auto, n: 3 }",
        r"ddpm-mnist.sample.defaults: unknown key 'n'",
    ),
    (
        "defaults of a floor",
        "  dummy-images:\n    system: dummy_images\n",
        "  dummy-images:\n    sample: { defaults: { steps: 5 } }\n    system: dummy_images\n",
        r"dummy-images.sample.defaults: DummyImages has no settings of sampling",
    ),
    (
        "defaults of a system that has none in force",
        "variants: [{ mixture: [none, ngram, both] }]",
        "defaults: { temperature: 0.5 }, variants: [{ mixture: [none, ngram, both] }]",
        r"neural-lm.sample.defaults: NeuralLM has no settings of sampling",
    ),
    (
        "arm by default",
        "      texts: 4\n      characters: 400\n      variants:\n        - { arm: attention-only }",
        "      texts: 4\n      characters: 400\n      defaults: { arm: rotary }\n      variants:\n"
        "        - { arm: attention-only }",
        r"transformer-positions.sample.defaults: unknown key 'arm'",
    ),
    (
        "key of an arm",
        "xs-1: { model: { width: 16, layers: 1 }, share: 0.01 }",
        "xs-1: { model: { width: 16, layers: 1 }, shares: 0.01 }",
        r"transformer-scaling.arms.xs-1: unknown key 'shares'. Did you mean 'share'",
    ),
    (
        "setting of an arm beside its model",
        "rotary: { model: { positions: rotary } }",
        "rotary: { positions: rotary }",
        r"transformer-positions.arms.rotary: unknown key 'positions'",
    ),
    (
        "share of an arm",
        "layers: 1 }, share: 0.01 }",
        "layers: 1 }, share: 1.01 }",
        r"transformer-scaling.arms.xs-1.share: must be a number above 0 and of at most 1, not 1.01",
    ),
    (
        "training of an arm",
        "rotary: { model: { positions: rotary } }",
        "rotary: { model: { positions: rotary }, train: { steps: 0 } }",
        r"transformer-positions.arms.rotary.train.steps: must be a whole number of at least 1, not 0",
    ),
    (
        "arms of another block",
        "sample: { variants: [{ temperature: [1.0, 0.7] }] }",
        "sample: { variants: [{ temperature: [1.0, 0.7], arm: rotary }] }",
        r"transformer-char.sample.variants: no arm 'rotary'. This block has no arms",
    ),
    (
        "name of a scorer",
        DUMMY_TEXTURE,
        f"{DUMMY_TEXTURE}    scorers: [texture_structur]\n",
        r"dummy-texture.scorers: unknown scorer 'texture_structur'. Did you mean 'texture_structure'",
    ),
    (
        "scorer of another contract",
        DUMMY_TEXTURE,
        f"{DUMMY_TEXTURE}    scorers: [distribution]\n",
        r"dummy-texture.scorers: distribution measures ImageGenerator; dummy_texture is of contract Synthesizer",
    ),
    (
        "scorers without a list",
        DUMMY_TEXTURE,
        f"{DUMMY_TEXTURE}    scorers: texture_structure\n",
        r"dummy-texture.scorers: must be a list of names of scorers, each once",
    ),
    (
        "a scorer twice",
        DUMMY_TEXTURE,
        f"{DUMMY_TEXTURE}    scorers: [texture_structure, texture_structure]\n",
        r"dummy-texture.scorers: must be a list of names of scorers, each once",
    ),
    (
        "option of a scorer that is not asked",
        DUMMY_TEXTURE,
        f"{DUMMY_TEXTURE}    scorers: [texture_structure]\n    evaluate: {{ seam: 9 }}\n",
        r"dummy-texture.evaluate: unknown key 'seam'",
    ),
    (
        "range of a scorer's option",
        "letter_entropies: 3",
        "letter_entropies: 4",
        r"ngram-char.evaluate.letter_entropies: must be a whole number from 0 to 3, not 4",
    ),
    (
        "type of a scorer's option",
        "evaluate: { train_characters: 200000, letter",
        "evaluate: { train_characters: 2e5, letter",
        r"ngram-char.evaluate.train_characters: must be a whole number of at least 0, not 200000.0",
    ),
    (
        "lengths of a scorer's lists",
        "repeats: [3, 3, 1, 1]",
        "repeats: [3, 3, 1]",
        r"bert-wiki.evaluate: labels, repeats and steps need as many values each",
    ),
    (
        "forecast without its first steps",
        "model: { unit: lines, order: 2 }",
        "model: { unit: lines, order: 2 }\n    evaluate: { horizon: 2 }",
        r"markov-weather.evaluate.horizon: must be a whole number of at least 3, not 2",
    ),
    (
        "negative prompts of a floor",
        "    system: dummy_scenes\n",
        "    system: dummy_scenes\n    sample: { negatives: 8 }\n",
        r"text_to_image.dummy-scenes.sample.negatives: must be 0: DummyScenes takes no negative prompts",
    ),
    (
        "negative prompts of the ceiling",
        "    system: real_scenes\n",
        "    system: real_scenes\n    sample: { negatives: 1 }\n",
        r"text_to_image.real-scenes.sample.negatives: must be 0: RealScenes takes no negative prompts",
    ),
    (
        "guidance of a floor",
        "    system: memoriser_scenes\n",
        "    system: memoriser_scenes\n    sample: { variants: [{ guidance: 3.0 }] }\n",
        r"text_to_image.memoriser-scenes.sample.variants .*unknown key 'guidance'",
    ),
    (
        "latents that the U-Net cannot halve",
        "model: { relation_share: 0.45 }",
        "model: { relation_share: 0.45, widths: [16, 16, 16, 16, 16] }",
        r"latent-diffusion-scenes.model.widths: 5 levels halve the latents 4 times, .* 8x8 .*by 4.*at most 4 levels",
    ),
    (
        "latents of a codec that reduces more",
        "    system: kl_vae\n",
        "    system: kl_vae\n    model: { widths: [8, 8, 8, 8, 8] }\n",
        r"latent-diffusion-scenes.model.widths: 2 levels .* are 1x1 .*reduced by 32\): at most 1 levels",
    ),
    (
        "latents under an arm",
        "    model: { relation_share: 0.45 }",
        "    arms: { deep: { model: { widths: [16, 16, 16, 16, 16] } } }",
        r"latent-diffusion-scenes.arms.deep.model.widths: 5 levels .*at most 4 levels",
    ),
    ("only", "only: [gpu] # 139 MB", "only: [gup] # 139 MB", r"cifar10.only: must be a list of profiles"),
    ("threads", "threads: 1", "threads: 0", r"runtime.threads: must be a whole number of at least 1, not 0"),
]


@pytest.mark.parametrize(("old", "new", "message"), [pytest.param(*case, id=name) for name, *case in WRONG])
def test_a_wrong_entry_is_refused(refused: Refused, old: str, new: str, message: str) -> None:
    refused(old, new, message)
