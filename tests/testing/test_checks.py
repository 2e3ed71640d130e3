"""Every check of the contract suite fails on a system with the fault that it looks for, and says what is wrong."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from bench.catalogue.systems import BUILT_IN
from bench.contracts import RunContext
from bench.data.datasets import load
from bench.testing import KINDS, Case, checks, tiny
from bench.testing.data import prepared

MODULE = "systems_with_a_fault"
PICTURES = np.arange(8 * 4 * 4, dtype=np.uint8).reshape(8, 4, 4, 1)


@dataclass(frozen=True)
class Config:
    fault: str = ""


class Letters:
    """A sound language model of 27 equally likely characters and an escape, or one with a fault."""

    Config: ClassVar[type] = Config
    SCORING: ClassVar[tuple[str, ...]] = ()
    trainings = 0

    def __init__(self, config: Config) -> None:
        self.config, self.shift = config, 0

    @property
    def vocabulary_name(self) -> str:
        return "characters"

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        Letters.trainings += 1
        self.shift = Letters.trainings if self.config.fault == "training" else 0
        for step in range(int(run.train["steps"])):
            run.curve(step, {"loss": 1.0 + (step if self.config.fault == "loss" else -0.01 * step)})

    def log_prob(self, text: str) -> Any:
        sign = 1 if self.config.fault == "positive" else -1
        each = np.array([np.log(28.0) if c in ALPHABET else 9 + np.log(256.0) * len(c.encode()) for c in text])
        if self.config.fault == "sum":
            each = np.full(len(text), 0.5)
        if self.config.fault == "infinite" and "\x00" in text:
            each[-1] = np.inf
        return sign * (each.astype(np.float32) if self.config.fault == "single" else each)

    def token_bytes(self, text: str) -> Any:
        return np.array([1 if self.config.fault == "bytes" else len(c.encode()) for c in text], dtype=np.int64)

    def sample(self, n_chars: int, seed: int, prompt: str = "", **options: Any) -> str:
        rng = np.random.default_rng({"constant": 0, "random": None}.get(self.config.fault, seed + self.shift))
        return "".join(rng.choice(list(ALPHABET), n_chars + (self.config.fault == "length")))

    def save(self, folder: Path) -> None:
        shift = 0 if self.config.fault == "saved" else self.shift
        name = "weights.pt" if self.config.fault == "pickled" else "weights.txt"
        (folder / name).write_text(str(shift))

    @classmethod
    def load(cls, folder: Path, config: Config, device: str = "cpu") -> Letters:
        system = cls(config)
        system.shift = 1 if config.fault == "saved" else int(next(folder.glob("weights.*")).read_text())
        return system


ALPHABET = "abcdefghijklmnopqrstuvwxyz "


class Pictures:
    """A sound image generator, or one with a fault."""

    Config: ClassVar[type] = Config

    def __init__(self, config: Config) -> None:
        self.config = config

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None: ...

    def sample(self, n: int, seed: int, labels: Any = None, **options: Any) -> Any:
        made = np.stack(
            [np.random.default_rng((seed, i)).integers(0, 256, (4, 4, 1), dtype=np.uint8) for i in range(n)]
        )
        made += n if self.config.fault == "batch" else 0
        made = made.repeat(2, 1) if self.config.fault == "shape" else made
        return made.astype(np.float32) if self.config.fault == "type" else made

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, config: Config, device: str = "cpu") -> Pictures:
        return cls(config)


class Silent(Letters):
    """Lacks what no check uses."""

    vocabulary_name: Any = property(lambda self: self.nothing)


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    module = types.ModuleType(MODULE)
    module.__dict__.update(Letters=Letters, Pictures=Pictures, Silent=Silent)
    monkeypatch.setitem(sys.modules, MODULE, module)
    for name in ("Letters", "Pictures", "Silent"):
        monkeypatch.setitem(BUILT_IN, name.lower(), f"{MODULE}:{name}")

    def make(system: str, fault: str = "") -> Case:
        data: Any = "text"
        if system == "pictures":
            data = {"train": types.SimpleNamespace(images=PICTURES, labels=None)}
        family = "images" if system == "pictures" else "words"
        return Case(system, family, model={"fault": fault}, train={"lr": 0.1} if system == "letters" else {}, data=data)

    return make


def complaints(case: Case, folder: Path) -> dict[str, str]:
    """What the checks say, by check."""
    trained, found = case.fit(folder / case.name), {}
    for check in checks(case):
        try:
            check(trained)
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


@pytest.mark.parametrize("system", ["letters", "pictures"])
def test_a_sound_system_passes_all(system: str, case: Callable[..., Case], tmp_path: Path) -> None:
    assert len(checks(case(system))) >= 7
    assert complaints(case(system), tmp_path) == {}


@pytest.mark.parametrize(
    ("system", "fault", "check", "says"),
    [
        ("silent", "", "fulfils_its_contract", "is no LanguageModel: it lacks vocabulary_name"),
        ("letters", "random", "same_seed_same_bytes_and_another_seed_others", "two different outputs"),
        ("letters", "constant", "same_seed_same_bytes_and_another_seed_others", "one and the same output"),
        ("letters", "saved", "save_then_load_gives_equal_outputs", "changed by save and load"),
        ("letters", "pickled", "weights_are_never_pickled", "saved weights.pt"),
        ("letters", "training", "same_seed_same_weights", "weights.txt differs"),
        ("letters", "single", "log_prob_covers_every_byte_and_is_a_probability", "float32, not float64"),
        ("letters", "positive", "log_prob_covers_every_byte_and_is_a_probability", "positive entry"),
        ("letters", "infinite", "log_prob_covers_every_byte_and_is_a_probability", "not finite"),
        ("letters", "bytes", "log_prob_covers_every_byte_and_is_a_probability", "sum to 14 of 18 bytes"),
        ("letters", "sum", "log_prob_covers_every_byte_and_is_a_probability", "sum to 77"),
        ("letters", "length", "text_has_the_asked_length", "asked for 1 characters, got 2"),
        ("letters", "loss", "overfitting_one_batch_lowers_the_loss", "the loss went from 2 to 22.5 in 24 steps"),
        ("pictures", "batch", "result_does_not_depend_on_batch_size", "depends on the batch"),
        ("pictures", "shape", "pictures_have_the_data_sets_shape", "(4, 8, 4, 1), not (4, 4, 4, 1)"),
        ("pictures", "type", "pictures_have_the_data_sets_shape", "float32, not uint8"),
    ],
)
def test_a_fault_is_found_and_named(
    system: str, fault: str, check: str, says: str, case: Callable[..., Case], tmp_path: Path
) -> None:
    found = complaints(case(system, fault), tmp_path)
    assert says in found[check]
    assert found[check].startswith(f"{system} ({system}): ")


def test_what_a_case_lacks_is_named(case: Callable[..., Case], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"no tiny data of kind 'texts'\. Did you mean 'text'"):
        Case("letters", "words", data="texts").fit(tmp_path / "letters")
    with pytest.raises(AssertionError, match="no family 'sounds'"):
        Case("letters", "sounds")
    with pytest.raises(AssertionError, match="no tiny prepared data set of kind 'video'"):
        prepared("video", tmp_path / "video")


@pytest.mark.parametrize("kind", KINDS)
def test_tiny_data_are_the_same_every_time(kind: str) -> None:
    one, other = tiny(kind), tiny(kind)
    assert list(one) == list(other)
    first = {name: getattr(part, "images", getattr(part, "frames", part)) for name, part in one.items()}
    for name, part in other.items():
        assert np.array_equal(first[name], getattr(part, "images", getattr(part, "frames", part)))


def test_a_prepared_set_of_weights_is_read_like_any_other(tmp_path: Path) -> None:
    assert load(prepared("weights", tmp_path / "weights")).keys() == tiny("weights").keys()


def test_a_model_that_another_needs_is_trained_once_beside_it(tmp_path: Path) -> None:
    codec = Case("dummy_codec", "codecs", data="images", name="codec")
    first = codec.fit(tmp_path / "codec")
    before = (first.folder / "model.json").stat().st_mtime_ns
    needing = Case("dummy_codec", "codecs", data="images", needs={"codec": codec})
    trained = needing.fit(tmp_path / needing.name)
    assert trained.models == {"codec": first.folder}
    assert (first.folder / "model.json").stat().st_mtime_ns == before
    elsewhere = needing.fit(tmp_path / "elsewhere" / needing.name)
    assert (elsewhere.models["codec"] / "model.json").is_file()


def test_the_suite_needs_no_pytest() -> None:
    code = "import sys, bench.testing; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
