"""Wrong entries of params.yaml, one at a time: each is refused before anything runs; file, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.config.load import load_params
from bench.pipeline.validation import validate

ROOT = Path(__file__).parents[2]
ORIGINAL = (ROOT / "params.yaml").read_text(encoding="utf-8")

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
        r"steps: at most 1000, the noising chain's|steps: at most the 1000 of the noising chain",
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
        r"arm: there is no 'attention-olny'. Did you mean 'attention-only'",
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
        "l-100: { width: 96, layers: 3 }",
        "l-100: { widht: 96, layers: 3 }",
        r"transformer-scaling.model.arms.l-100: unknown key 'widht'. Did you mean 'width'",
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
        "model: { precision: bf16 }",
        "model: { precision: bf16, widths: abc }",
        r"ddpm-mnist.model.widths: must be a list, each a whole number of at least 1, not 'abc'",
    ),
    (
        "ddpm heads 3",
        "model: { precision: bf16 }",
        "model: { precision: bf16, heads: 3 }",
        r"ddpm-mnist.model.heads: 3 do not divide widths\[1\], 64",
    ),
    (
        "ddpm attention level",
        "model: { precision: bf16 }",
        "model: { precision: bf16, attention: [7] }",
        r"ddpm-mnist.model.attention\[0\]: there is no level 7: widths has 0 to 1",
    ),
    (
        "ddpm times",
        "model: { precision: bf16 }",
        "model: { precision: bf16, times: unifrm }",
        r"ddpm-mnist.model.times: must be one of uniform, logit_normal, not 'unifrm'. Did you mean 'uniform'",
    ),
    (
        "latent schedule",
        "model: { precision: bf16, relation_share: 0.45 }",
        "model: { precision: bf16, relation_share: 0.45, schedule: cosin }",
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
        "    feature_net: resnet-digits\n    model: { precision: bf16 }",
        "    feature_net: detector-scenes\n    model: { precision: bf16 }",
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
        "{ sampler: ancestral, steps: 50, n: 1000 }",
        "{ sampler: ancestral, steps: 50, n: 1000, eta: 0.0 }",
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
        "    model: { codebook: gradient, init_seed: 0 }",
        "    model: { codebook: gradient, init_seed: 0, channels: 3 }",
        r"vqvae-gradient.model.channels: 3 does not fit the data set mnist, whose channels is 1",
    ),
    (
        "classes of the data",
        "    model: { precision: bf16 }\n    train: { steps: 5000",
        "    model: { precision: bf16, classes: 7 }\n    train: { steps: 5000",
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
    ("only", "only: [gpu] # 139 MB", "only: [gup] # 139 MB", r"cifar10.only: must be a list of profiles"),
    ("threads", "threads: 2", "threads: 0", r"runtime.threads: must be a whole number of at least 1, not 0"),
]


@pytest.mark.parametrize(("old", "new", "message"), [pytest.param(*case, id=name) for name, *case in WRONG])
def test_a_wrong_entry_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ORIGINAL
    path = tmp_path / "params.yaml"
    path.write_text(ORIGINAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BenchError, match=message) as caught:
        validate(load_params(path, "cpu"), ROOT)
    assert str(path) in str(caught.value)
