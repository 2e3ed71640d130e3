"""The checks of the contracts: a function for each promise, called with a trained case."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.testing.case import Case, Trained
from bench.testing.outputs import OUTPUTS, SIZE, Output, colour_pictures

__all__ = ["Check", "checks"]

Check = Callable[[Trained], None]
"""Raises AssertionError with what is wrong."""

OVERFITTED = 24
"""Steps on one batch."""
_FORMATS = (".safetensors", ".json", ".npz", ".npy", ".txt")


def _require(holds: Any, trained: Trained, problem: str) -> None:
    if not holds:
        raise AssertionError(f"{trained.case.name} ({trained.case.system}): {problem}")


def _output_of(case: Case) -> Output:
    for contract in case.contracts:
        if contract in OUTPUTS:
            return OUTPUTS[contract]
    raise AssertionError(
        f"{case.name}: the suite does not know what a {case.protocol.__name__} makes: add the contract to OUTPUTS "
        "in bench/testing/outputs.py"
    )


def _made(trained: Trained, seed: int = 0, n: int = 4, system: Any = None) -> Any:
    made = _output_of(trained.case).make
    return made(trained.system if system is None else system, trained.case.splits, seed, n)


def _same(a: Any, b: Any) -> bool:
    return a == b if isinstance(a, str) else bool(np.array_equal(a, b))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def fulfils_its_contract(trained: Trained) -> None:
    """Every method and attribute of the Protocol is there."""
    protocol = trained.case.protocol
    members = {name for one in protocol.__mro__ for name in (*vars(one), *getattr(one, "__annotations__", ()))}
    missing = sorted(name for name in members if name[0] != "_" and not hasattr(trained.system, name))
    fulfilled = isinstance(trained.system, protocol)
    _require(fulfilled, trained, f"is no {protocol.__name__}: it lacks {', '.join(missing)}")


def same_seed_same_bytes_and_another_seed_others(trained: Trained) -> None:
    """Sampling is a function of the seed."""
    first = _made(trained, seed=1)
    _require(_same(first, _made(trained, seed=1)), trained, "the same seed gave two different outputs")
    # Of a caption there may be one real scene only.
    if _output_of(trained.case).seeded and trained.case.role != "ceiling":
        others = [_made(trained, seed=seed) for seed in (2, 3, 4)]
        _require(not all(_same(first, other) for other in others), trained, "four seeds gave one and the same output")


def save_then_load_gives_equal_outputs(trained: Trained) -> None:
    """Everything that matters is in the files."""
    loaded = _made(trained, seed=5, system=trained.reload())
    _require(_same(_made(trained, seed=5), loaded), trained, "the output changed by save and load")


def weights_are_never_pickled(trained: Trained) -> None:
    """Loading a model runs no code."""
    other = [path.name for path in _files(trained.folder) if path.suffix not in _FORMATS]
    _require(not other, trained, f"saved {', '.join(other)}: allowed are {', '.join(_FORMATS)}")


def same_seed_same_weights(trained: Trained) -> None:
    """Training is a function of the seed, to the byte."""
    again, _ = trained.again()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        again.save(folder)
        for path in _files(folder):
            where = path.relative_to(folder)
            first = trained.folder / where
            equal = first.is_file() and path.read_bytes() == first.read_bytes()
            _require(equal, trained, f"{where} differs between two trainings with one seed")


def result_does_not_depend_on_batch_size(trained: Trained) -> None:
    """Item i is the same in a batch of two and in one of four."""
    equal = np.array_equal(_made(trained, seed=3, n=4)[:2], _made(trained, seed=3, n=2))
    _require(equal, trained, "an item depends on the batch that it was made in")


def pictures_have_the_data_sets_shape(trained: Trained) -> None:
    """``(N, H, W, C)`` uint8, like the data."""
    pictures, expected = _made(trained), (4, *trained.case.splits["train"].images.shape[1:])
    _require(pictures.dtype == np.uint8, trained, f"pictures are {pictures.dtype}, not uint8")
    _require(pictures.shape == expected, trained, f"pictures are of shape {pictures.shape}, not {expected}")


def codes_and_reconstructions(trained: Trained) -> None:
    """Codes are indices into the codebook; decoded pictures are of the shape of the originals."""
    system, images = trained.system, trained.case.splits["validation"].images[:5]
    codes = system.encode(images)
    _require(len(codes) == 5, trained, f"{len(codes)} codes of 5 pictures")
    if system.codebook_size:
        _require(codes.dtype == np.int64, trained, f"codes are {codes.dtype}, not int64")
        inside = codes.min() >= 0 and codes.max() < system.codebook_size
        _require(inside, trained, f"a code lies outside the codebook of {system.codebook_size}")
    decoded = system.decode(codes)
    _require(decoded.shape == images.shape, trained, f"decoded to {decoded.shape}, not {images.shape}")
    _require(decoded.dtype == np.uint8, trained, f"decoded to {decoded.dtype}, not uint8")


def log_prob_covers_every_byte_and_is_a_probability(trained: Trained) -> None:
    """No log-probability is positive, no text impossible, and one step's probabilities sum to at most one."""
    system, prefix = trained.system, "And summer"
    for text in ("Shall I compare thee", "Shall \u4f60\u597d\x00 thee"):
        seen, covered = system.log_prob(text), int(system.token_bytes(text).sum())
        _require(seen.dtype == np.float64, trained, f"log_prob gave {seen.dtype}, not float64")
        _require((seen <= 1e-9).all(), trained, f"log_prob of {text!r} has a positive entry")
        _require(np.isfinite(seen.sum()), trained, f"log_prob of {text!r} is not finite")
        expected = len(text.encode())
        _require(covered == expected, trained, f"token_bytes of {text!r} sum to {covered} of {expected} bytes")
    before = system.log_prob(prefix).sum()
    total = sum(np.exp(system.log_prob(prefix + chr(c)).sum() - before) for c in range(1, 128))
    _require(total <= 1 + 1e-6, trained, f"the probabilities of one character sum to {total}")


def text_has_the_asked_length(trained: Trained) -> None:
    """In characters."""
    for n in (1, 30):
        length = len(trained.system.sample(n, 0))
        _require(length == n, trained, f"asked for {n} characters, got {length}")


def textures_have_the_asked_size(trained: Trained) -> None:
    """Height and width; uint8."""
    made = _made(trained)
    _require(made.shape[:2] == SIZE, trained, f"asked for {SIZE} pixels, got {made.shape[:2]}")
    _require(made.dtype == np.uint8, trained, f"a texture is {made.dtype}, not uint8")


def answers_have_the_size_of_their_picture(trained: Trained) -> None:
    """An analogy that of B, a styled picture that of its content."""
    made, pictures = _made(trained), colour_pictures(trained.case.splits)
    expected = pictures["AnalogySolver" in trained.case.contracts].shape
    _require(made.shape == expected, trained, f"the answer is of shape {made.shape}, not {expected}")
    _require(made.dtype == np.uint8, trained, f"the answer is {made.dtype}, not uint8")


def plays_have_the_asked_length_and_stay_in_the_clip(trained: Trained) -> None:
    """Indices of frames."""
    shown, frames = _made(trained), len(next(iter(trained.case.splits.values())).frames)
    _require(shown.shape == (20,), trained, f"asked for 20 frames, got {shown.shape}")
    _require(shown.dtype == np.int64, trained, f"indices are {shown.dtype}, not int64")
    _require(shown.min() >= 0 and shown.max() < frames, trained, f"a frame lies outside the clip of {frames}")


def overfitting_one_batch_lowers_the_loss(trained: Trained) -> None:
    """The loss that the loop logs is the one that it minimises."""
    _, curve = trained.again(steps=OVERFITTED, warmup=2, schedule="constant", tail=None)
    first, last = (float(np.mean(part)) for part in (curve[:3], curve[-4:]))
    _require(last < first, trained, f"the loss went from {first:.4g} to {last:.4g} in {OVERFITTED} steps on one batch")


_ALL: tuple[Check, ...] = (
    fulfils_its_contract,
    same_seed_same_bytes_and_another_seed_others,
    save_then_load_gives_equal_outputs,
    weights_are_never_pickled,
    same_seed_same_weights,
)
_OF: dict[str, tuple[Check, ...]] = {
    "LanguageModel": (log_prob_covers_every_byte_and_is_a_probability, text_has_the_asked_length),
    "Synthesizer": (textures_have_the_asked_size,),
    "VideoSynthesizer": (plays_have_the_asked_length_and_stay_in_the_clip,),
    "AnalogySolver": (answers_have_the_size_of_their_picture,),
    "Styler": (answers_have_the_size_of_their_picture,),
    "Codec": (codes_and_reconstructions,),
    "ImageGenerator": (pictures_have_the_data_sets_shape,),
    "TextToImage": (pictures_have_the_data_sets_shape,),
}


def checks(case: Case) -> list[Check]:
    """The checks that apply to a case: those of all systems, of its contract, and of training.

    Raises:
        AssertionError: the suite does not know the contract.
    """
    found = [*_ALL, *(check for contract in case.contracts for check in _OF.get(contract, ()))]
    if _output_of(case).items:
        found.append(result_does_not_depend_on_batch_size)
    if case.train:
        found.append(overfitting_one_batch_lowers_the_loss)
    return found
