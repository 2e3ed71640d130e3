"""The table of families: one declaration each, in the order of the leaderboard.

A family is a section of params.yaml, a group of stages and a table of the leaderboard. What its systems must do is said
by *tasks*: a contract, how samples of it are drawn, and which scorers measure them. A system whose class names no
``CONTRACT`` takes the first task of its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.base.errors import BenchError, did_you_mean

__all__ = ["FAMILIES", "Family", "Task"]


@dataclass(frozen=True)
class Task:
    """What systems of one contract do in the pipeline.

    Attributes:
        contract: name of the Protocol in :mod:`bench.contracts`.
        sampling: module with ``SampleConfig`` and ``sample(context)``; ``""`` where nothing is sampled.
        evaluation: module with ``EvalConfig`` and ``evaluate(context)``.
        series: the same for blocks with ``arms``, where arms are compared in more ways; ``""``: as without.
        arms_as_variants: samples come in variants of which each names its arm; else stages work arm by arm.
    """

    contract: str
    sampling: str = ""
    evaluation: str = ""
    series: str = ""
    arms_as_variants: bool = False


@dataclass(frozen=True)
class Family:
    """A section of params.yaml.

    Attributes:
        name: of the section.
        title: for people.
        tasks: by contract; the first is that of systems that name none.
        samples: ending of the sample files, ``.npz`` (arrays) or ``.jsonl`` (texts); ``""`` where nothing is sampled.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    samples: str = ""

    def task(self, contract: str) -> Task:
        """The task of a contract.

        Raises:
            BenchError: no system of this contract belongs to the family.
        """
        known = {task.contract: task for task in self.tasks}
        if contract not in known:
            raise BenchError(f"contract {contract!r} has no task in family {self.name}.{did_you_mean(contract, known)}")
        return known[contract]


_HERE = "bench.families"
_ENTRIES = (
    Family(
        "words",
        "Words",
        (
            Task(
                "LanguageModel",
                f"{_HERE}.words.sampling",
                "bench.evaluation.words",
                series="bench.evaluation.model_series",
                arms_as_variants=True,
            ),
            Task("StateModel", f"{_HERE}.words.sampling", "bench.evaluation.markov_chain"),
        ),
        samples=".jsonl",
    ),
    Family(
        "text_encoders",
        "Text encoders",
        (
            Task("WordEmbedding", evaluation="bench.evaluation.word2vec"),
            Task("MaskedLanguageModel", evaluation="bench.evaluation.masked_lm"),
        ),
    ),
    Family(
        "by_example",
        "By example",
        (
            Task("Synthesizer", f"{_HERE}.by_example.textures.sampling", "bench.evaluation.by_example"),
            Task("AnalogySolver", f"{_HERE}.by_example.analogies.sampling", "bench.evaluation.image_analogies"),
            Task("VideoSynthesizer", f"{_HERE}.by_example.video.sampling", "bench.evaluation.video_textures"),
        ),
        samples=".npz",
    ),
    Family(
        "style_transfer",
        "Style transfer",
        (Task("Styler", f"{_HERE}.style_transfer.sampling", "bench.evaluation.style_transfer"),),
        samples=".npz",
    ),
    Family("encoders", "Encoders", (Task("Encoder", evaluation="bench.evaluation.encoders"),)),
    Family("codecs", "Codecs", (Task("Codec", f"{_HERE}.codecs.sampling", "bench.evaluation.codecs"),), samples=".npz"),
    Family(
        "images",
        "Images",
        (Task("ImageGenerator", f"{_HERE}.images.sampling", "bench.evaluation.images", arms_as_variants=True),),
        samples=".npz",
    ),
    Family(
        "text_to_image",
        "Text to image",
        (
            Task(
                "TextToImage",
                f"{_HERE}.text_to_image.sampling",
                "bench.evaluation.text_to_image",
                arms_as_variants=True,
            ),
        ),
        samples=".npz",
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ENTRIES})
"""Section of params.yaml -> the family."""
