"""params.yaml: every wrong key or value names the file, the key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.config.load import Params, load_params, set_profile
from bench.pipeline.validation import validate

GOOD = """
profile: cpu  # a word
seed: 3
datasets: {letters: {card: datasets/letters.yaml}}
words:
  small: {system: ngram, dataset: letters, train: {steps: 10}, profiles: {smoke: {train: {steps: 2}}}}
encoders:
  net: {system: resnet, dataset: letters}
codecs:
  words-of-pictures: {system: vqvae, dataset: letters, feature_net: net}
"""


def load(tmp_path: Path, text: str) -> Params:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_params(path)


def test_profile_is_merged_over_the_block(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert load_params(path).generator("small")["train"] == {"steps": 10}
    assert load_params(path, "smoke").generator("small")["train"] == {"steps": 2}
    assert "profiles" not in load_params(path).generator("small")
    assert load_params(path).uses("words-of-pictures") == {"feature_net": "net"}


def test_the_profile_is_one_word_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(GOOD)
    assert set_profile(path, "smoke")
    assert not set_profile(path, "smoke")
    assert path.read_text() == GOOD.replace("profile: cpu", "profile: smoke")
    with pytest.raises(BenchError, match="Did you mean 'smoke'"):
        set_profile(path, "smok")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 3", "sed: 3", r"params.yaml: unknown key 'sed'. Did you mean 'seed'"),
        ("profile: cpu", "profile: cpuu", r"params.yaml: profile: 'cpuu' is not a profile. Did you mean 'cpu'"),
        ("seed: 3", "seed: three", r"seed: must be a whole number"),
        ("train: {steps: 10}", "arms: {}", r"words.small.arms: must be a mapping"),
        (
            "train: {steps: 10}",
            "arms: {a: {modl: {}}}",
            r"words.small.arms.a: unknown key 'modl'. Did you mean 'model'",
        ),
        ("train: {steps: 10}", "arms: {A b: {}}", r"words.small.arms.A b: a name is lower-case"),
        (
            "train: {steps: 10}",
            "arms: {a: {share: 2}}",
            r"words.small.arms.a.share: must be a number above 0 and of at most 1, not 2",
        ),
        (
            "train: {steps: 10}",
            "arms: {a: {train: {stps: 1}}}",
            r"arms.a.train: unknown key 'stps'. Did you mean 'steps'",
        ),
        (
            "train: {steps: 10}",
            "arms: {one: {}}, sample: {variants: [{arm: two}]}",
            r"words.small.sample.variants: no arm 'two'. Known: one",
        ),
        ("train: {steps: 10}", "sample: {variants: [{arm: two}]}", r"no arm 'two'. This block has no arms"),
        ("system: ngram", "system: ngrm", r"words.small.system: no system 'ngrm'. Did you mean 'ngram'"),
        ("system: ngram", "system: resnet", r"words.small.system: 'resnet' belongs to encoders"),
        (
            "dataset: letters, train",
            "dataset: leters, train",
            r"words.small.dataset: no dataset 'leters'. Did you mean 'letters'",
        ),
        ("{steps: 10}", "{step: 10}", r"words.small.train: unknown key 'step'. Did you mean 'steps'"),
        ("{steps: 10}", "{steps: 0}", r"words.small.train.steps: must be a whole number of at least 1"),
        (
            "{steps: 10}",
            "{precision: fp16}",
            r"words.small.train.precision: must be one of auto, fp32, bf16, not 'fp16'",
        ),
        ("{steps: 10}", "[10]", r"words.small.train: must be a mapping"),
        (
            "feature_net: net",
            "feature_net: ney",
            r"codecs.words-of-pictures.feature_net: no generator or data set 'ney'",
        ),
        ("smoke: {train", "smok: {train", r"words.small.profiles: unknown key 'smok'. Did you mean 'smoke'"),
        ("small:", "Small Thing:", r"words.Small Thing: a name is lower-case"),
        ("small:", "net:", r"encoders.net: the name is taken by words.net"),
        ("words:", "words: [", r"params.yaml is not YAML"),
        ("words:", "words: {}\nwords:", r"the key 'words' stands in line \d+ already"),
    ],
)
def test_wrong_input(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(BenchError, match=message):
        load(tmp_path, GOOD.replace(old, new))


def test_the_profile_changes_one_word_whatever_the_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"profile: 'smoke' # keep\r\nseed: 0\r\n")
    assert set_profile(path, "cpu")
    assert path.read_bytes() == b"profile: 'cpu' # keep\r\nseed: 0\r\n"


def test_wrong_model_key_is_found_by_validate(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(GOOD.replace("train: {steps: 10}, profiles: {smoke: {train: {steps: 2}}}", "model: {orders: 3}"))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/letters.yaml").write_text(
        "{name: letters, kind: text, licence: mine, attribution: me, sources: [{path: my.txt}],"
        " split: {rule: position, validation: 0.1, test: 0.1}}"
    )
    with pytest.raises(BenchError, match=r"words.small.model: unknown key 'orders'"):
        validate(load_params(path), tmp_path)


def test_no_file() -> None:
    with pytest.raises(BenchError, match="run the command in the project's root folder"):
        load_params("nowhere/params.yaml")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"profile: smoke # keep\r\nseed: 0\r\n", b"profile: cpu # keep\r\nseed: 0\r\n"),
        (b"# one\r\nseed: 0\r\nprofile:  'smoke'\r\n", b"# one\r\nseed: 0\r\nprofile:  'cpu'\r\n"),
        (b"# one\rprofile: gpu\rseed: 0", b"# one\rprofile: cpu\rseed: 0"),
        (b"\xef\xbb\xbfprofile: gpu\nseed: 0\r\n", b"\xef\xbb\xbfprofile: cpu\nseed: 0\r\n"),
    ],
)
def test_the_profile_is_one_word_to_the_byte(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(before)
    assert set_profile(path, "cpu")
    assert path.read_bytes() == after


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_params_in_another_encoding_are_named_and_left_alone(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content := "profile: smoke # f\u00fcr mich\n".encode(encoding))
    for act in (lambda: set_profile(path, "cpu"), lambda: load_params(path)):
        with pytest.raises(BenchError, match=r"params\.yaml: .*UTF-8"):
            act()
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("written", "number"), [("1e-05", 1e-5), ("0.00001", 1e-5), ("1e-1", 0.1), ("5.0E-4", 5e-4), ("1", 1)]
)
def test_a_number_is_what_dvc_writes_for_it(tmp_path: Path, written: str, number: float) -> None:
    """``dvc exp run -S words.small.train.lr=0.00001`` writes 1e-05."""
    loaded = load(tmp_path, GOOD.replace("{steps: 10}", f"{{steps: 10, lr: {written}}}"))
    assert loaded.generator("small")["train"]["lr"] == number
    with pytest.raises(BenchError, match=r"words.small.train.lr: must be a number"):
        load(tmp_path, GOOD.replace("{steps: 10}", f"{{steps: 10, lr: '{written}'}}"))


@pytest.mark.parametrize("written", [".nan", ".inf", "-.inf", "-1e-3", "1" + "0" * 400, "nan", "true"])
def test_what_is_no_finite_number_in_range_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(BenchError, match=r"words.small.train.lr: must be a number"):
        load(tmp_path, GOOD.replace("{steps: 10}", f"{{steps: 10, lr: {written}}}"))
