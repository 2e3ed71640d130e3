"""Samples of any other program as a row of the report: ``system: external_samples``, for every family that is sampled.

There is no model: the train stage reads the file, the sample stage hands it on, and of the family's scorers those
measure it that need samples alone. The file is a dependency of the train stage, so that other samples are scored anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from bench.base.errors import BenchError
from bench.base.files import (
    SampleSet,
    read_image_samples,
    read_text_samples,
    write_image_samples,
    write_json,
    write_text_samples,
)
from bench.base.settings import Checked
from bench.context import StageContext
from bench.contracts import RunContext
from bench.data.datasets import ImageSplit
from bench.data.samples_from_files import digest_of, fitted, read_samples

__all__ = ["ExternalSamples", "ExternalSamplesConfig", "SampleConfig", "sample"]


@dataclass(frozen=True)
class ExternalSamplesConfig(Checked):
    """Settings.

    Attributes:
        path: file or folder of the samples (:mod:`bench.data.samples_from_files`), from the project's root.
        captions: ``.jsonl`` of the captions of images, ``""`` for none.
    """

    path: str = ""
    captions: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise ValueError("path: name the file or folder of the samples")


@dataclass(frozen=True)
class SampleConfig:
    """No keys under ``sample:``: the file is what it is."""


@dataclass
class ExternalSamples:
    """Samples in a file."""

    Config: ClassVar[type[ExternalSamplesConfig]] = ExternalSamplesConfig
    FILES: ClassVar[tuple[str, ...]] = ("path", "captions")
    MODEL: ClassVar[bool] = False
    SAMPLING: ClassVar[str] = "bench.families.external_samples"

    config: ExternalSamplesConfig
    sets: list[SampleSet] = field(default_factory=list)

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Read the file; images take the channels of the data.

        Raises:
            BenchError: a file in another format, or images of another size than the data's.
        """
        test = data.get("test")
        ending = ".jsonl" if isinstance(test, str) else ".npz"
        captions = Path(self.config.captions) if self.config.captions else None
        self.sets = read_samples(Path(self.config.path), ending, captions)
        if isinstance(test, ImageSplit):
            self.sets = fitted(self.sets, test.images, self.config.path)

    def save(self, folder: Path) -> None:
        """The samples in the harness's own format, and the digest of the file that they came from."""
        if self.sets and self.sets[0].images is None:
            write_text_samples(folder / "samples.jsonl", self.sets)
        else:
            write_image_samples(folder / "samples.npz", self.sets)
        files = [Path(name) for name in (self.config.path, self.config.captions) if name]
        write_json(folder / "source.json", {"files": [str(file) for file in files], "sha256": digest_of(*files)})

    @classmethod
    def load(cls, folder: Path, config: ExternalSamplesConfig, device: str = "cpu") -> ExternalSamples:
        """The inverse of :meth:`save`."""
        texts = folder / "samples.jsonl"
        return cls(config, read_text_samples(texts) if texts.is_file() else read_image_samples(folder / "samples.npz"))

    def sample(self, *arguments: Any, **options: Any) -> NoReturn:
        """There is no model to sample from.

        Raises:
            BenchError: always.
        """
        raise BenchError(f"these are samples from {self.config.path}: no model is there to sample more from")


def sample(context: StageContext) -> list[SampleSet]:
    """The samples as the file has them."""
    sets: list[SampleSet] = context.load().sets
    return sets
