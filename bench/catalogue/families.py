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
from bench.contracts import extends

__all__ = ["FAMILIES", "Family", "Task"]


@dataclass(frozen=True)
class Task:
    """What systems of one contract do in the pipeline.

    Attributes:
        contract: name of the Protocol, in the module of the family's contracts.
        sampling: module with ``SampleConfig`` and ``sample(context)``; ``""`` where nothing is sampled.
        scorers: what is measured, in order; a block may name others.
        kinds: of the data sets that it is trained and scored on; none for every kind.
        arms_as_variants: samples come in variants of which each names its arm; else stages work arm by arm.
    """

    contract: str
    sampling: str = ""
    scorers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    arms_as_variants: bool = False


@dataclass(frozen=True)
class Family:
    """A section of params.yaml.

    Attributes:
        name: of the section.
        title: for people.
        tasks: by contract; the first is that of systems that name none.
        samples: ending of the sample files, ``.npz`` (arrays) or ``.jsonl`` (texts); ``""`` where nothing is sampled.
        chosen_by: metric by whose score on the validation split a generator's shown setting is chosen; ``""`` for the
            first that the block declares.
        contracts: module of the Protocols that the tasks name. A new family brings its own: a change of
            :mod:`bench.contracts`, which all systems import, makes every trained model stale.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    samples: str = ""
    chosen_by: str = ""
    contracts: str = "bench.contracts"

    def task(self, contract: str) -> Task:
        """The task of a contract: its own, or that of a contract which it extends.

        Raises:
            BenchError: no system of this contract belongs to the family.
        """
        known = {task.contract: task for task in self.tasks}
        for name in extends(contract, self.contracts):
            if name in known:
                return known[name]
        raise BenchError(f"contract {contract!r} has no task in family {self.name}.{did_you_mean(contract, known)}")


_HERE = "bench.families"
_TEXTS = ("text", "series")
_PICTURES = ("images", "captioned_images", "scenes")
_WRITING = ("likelihood", "letter_entropy", "verbatim_copying", "language_figures", "splices")
_ENTRIES = (
    Family(
        "words",
        "Words",
        (
            Task("LanguageModel", f"{_HERE}.words.sampling", (*_WRITING, "scaling"), _TEXTS, arms_as_variants=True),
            Task(
                "StateModel", f"{_HERE}.words.sampling", ("state_tables", *_WRITING, "next_state", "long_run"), _TEXTS
            ),
        ),
        samples=".jsonl",
        chosen_by="bits_per_byte",
    ),
    Family(
        "text_encoders",
        "Text encoders",
        (
            Task("TextEncoder", scorers=("text_classification",), kinds=("text",)),
            Task(
                "WordEmbedding",
                scorers=("word_similarity", "word_analogies", "word_vector_figures", "pmi_agreement"),
                kinds=("text",),
            ),
            Task(
                "MaskedLanguageModel",
                scorers=("masked_tokens", "pseudo_perplexity", "cloze", "label_efficiency"),
                kinds=("text",),
            ),
        ),
    ),
    Family(
        "by_example",
        "By example",
        (
            Task(
                "Synthesizer",
                f"{_HERE}.by_example.textures.sampling",
                ("texture_structure", "hole_filling", "texture_figures"),
                ("textures",),
            ),
            Task(
                "AnalogySolver",
                f"{_HERE}.by_example.analogies.sampling",
                ("analogy_answers", "analogy_figures"),
                ("textures", "pairs"),
            ),
            Task(
                "VideoSynthesizer",
                f"{_HERE}.by_example.video.sampling",
                (
                    "video_plays",
                    "video_loops",
                    "video_control",
                    "video_regions",
                    "video_sprites",
                    "video_convergence",
                    "video_seams",
                    "video_figures",
                ),
                ("video",),
            ),
        ),
        samples=".npz",
    ),
    Family(
        "style_transfer",
        "Style transfer",
        (Task("Styler", f"{_HERE}.style_transfer.sampling", ("style_losses", "style_figures"), ("textures",)),),
        samples=".npz",
    ),
    Family(
        "encoders",
        "Encoders",
        (
            Task(
                "Encoder",
                scorers=("classification", "detection", "zero_shot", "retrieval", "feature_ladder"),
                kinds=_PICTURES,
            ),
        ),
    ),
    Family(
        "codecs",
        "Codecs",
        (Task("Codec", f"{_HERE}.codecs.sampling", ("reconstruction", "content_kept", "codec_figures"), _PICTURES),),
        samples=".npz",
    ),
    Family(
        "images",
        "Images",
        (
            Task(
                "ImageGenerator",
                f"{_HERE}.images.sampling",
                (
                    "distribution",
                    "class_agreement",
                    "memorisation",
                    "data_copying",
                    "degradation_ladder",
                    "image_figures",
                ),
                _PICTURES,
                arms_as_variants=True,
            ),
        ),
        samples=".npz",
        chosen_by="fid",
    ),
    Family(
        "text_to_image",
        "Text to image",
        (
            Task(
                "TextToImage",
                f"{_HERE}.text_to_image.sampling",
                (
                    "prompt_fidelity",
                    "clip_score",
                    "scene_distribution",
                    "scene_memorisation",
                    "scene_copying",
                    "negative_prompts",
                    "step_compute",
                    "scene_figures",
                ),
                ("scenes", "captioned_images"),
                arms_as_variants=True,
            ),
        ),
        samples=".npz",
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.name: family for family in _ENTRIES})
"""Section of params.yaml -> the family."""
