"""Scenes from captions: what is asked.

The *suite* is the same for every variant and every generator: all 80 pairs of a colour and a digit (8 of them never
seen in training), captions without a colour, two to four of a kind, and two digits in a relation (captions of
validation scenes). For FID and KID, which compare distributions, test captions are drawn as they come.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.base.files import SampleSet
from bench.base.finite import drawn_by
from bench.base.processes import gather, shard, world_size
from bench.base.progress import Progress
from bench.base.seeds import derive
from bench.base.settings import Checked, Natural, build_config
from bench.capabilities import PixelTwin, StripSampler, takes_negative_prompts
from bench.config.variants import Swept, variant_id
from bench.context import StageContext
from bench.contracts import Images
from bench.data.datasets import ImageSplit, load_images
from bench.families.text_to_image.prompts import Suite, build_suite
from bench.families.text_to_image.step_cost import step_costs
from bench.scene_language import COLOURS

__all__ = ["SampleConfig", "recognised", "sample", "sample_config", "suite_of"]


@dataclass(frozen=True)
class VariantConfig(Checked):
    """Keys of a variant that are no options of the system and no part of its name.

    Attributes:
        captions: test captions of this variant; null for the block's.
    """

    captions: Natural | None = None


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of this family, besides ``variants``.

    Attributes:
        singles: pictures of each colour-digit pair.
        colourless: captions without a colour.
        counts: captions of each number from two to four.
        relations: captions of two digits in a relation.
        captions: test captions, for FID and KID, of each variant that does not say its own; 0 for none.
        negatives: pictures for each colour named as negative prompt, with the first variant; 0 for none.
        strip: frames of the denoising strip of the first variant, 0 for none.
        step_repeats: timings of one denoising step in latents and in pixels, 0 for none.
    """

    singles: Natural = 3
    colourless: Natural = 40
    counts: Natural = 20
    relations: Natural = 120
    captions: Natural = 1000
    negatives: Natural = 0
    strip: Natural = 8
    step_repeats: Natural = 0

    Own: ClassVar[type] = VariantConfig

    def check_system(self, cls: Any) -> None:
        """Refuse negative prompts for a system that takes none."""
        if self.negatives and not takes_negative_prompts(cls):
            raise ValueError(f"negatives: must be 0: {cls.__name__} takes no negative prompts")


def sample_config(context: StageContext) -> SampleConfig:
    """The keys under ``sample:``, for drawing and for scoring what was drawn."""
    config: SampleConfig = build_config(
        SampleConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample"
    )
    return config


def suite_of(context: StageContext, config: SampleConfig, splits: Mapping[str, ImageSplit]) -> Suite:
    """The prompts, the same for every variant and every generator."""
    seed = derive(context.seed, context.family, str(context.block["dataset"]), "suite")
    sizes = {
        "singles": config.singles,
        "colourless": config.colourless,
        "counts": config.counts,
        "relations": config.relations,
    }
    return build_suite(
        splits["validation"].captions or [], splits["test"].captions or [], seed, captions=config.captions, **sizes
    )


def recognised(samples: SampleSet, context: StageContext, splits: Mapping[str, ImageSplit]) -> SampleSet:
    """Samples of another program: those that answer the benchmark's own suite, prompt by prompt, say so, and their
    numbers may be compared with its own."""
    suite, prompts = suite_of(context, SampleConfig(), splits), samples.prompts or []
    if "parts" in samples.info or tuple(prompts[: suite.size]) != suite.texts:
        return samples
    return dataclasses.replace(samples, info={**samples.info, "kind": "suite", "parts": suite.sizes})


def _sample(system: Any, prompts: Sequence[str], seed: int, options: Mapping[str, Any]) -> Images:
    """A picture for each prompt; under torchrun each process draws its part, if the system can start at any item."""
    if world_size() == 1 or "first" not in inspect.signature(system.sample).parameters:
        return np.asarray(system.sample(prompts, seed, **options))
    first, count = shard(len(prompts))
    return gather(system.sample(prompts[first : first + count], seed, first=first, **options))


def sample(context: StageContext) -> list[SampleSet]:
    """The suite and the test captions for every variant, with the same seed; then the negative prompts, with the first
    variant."""
    config = sample_config(context)
    system = context.load()
    suite = suite_of(context, config, load_images(context.data))  # of the test split the captions alone are read
    seed = derive(context.seed, context.family, str(context.block["dataset"]))
    sets: list[SampleSet] = []
    with Progress(
        f"sample {context.name}", len(config.variants) + bool(config.negatives), "variants", quiet=context.quiet
    ) as progress:
        for options in config.variants:
            chosen = dict(options)
            prompts = suite.prompts(int(chosen.pop("captions", config.captions)))
            start = time.monotonic()
            with drawn_by(variant_id(chosen)):
                images = _sample(system, prompts, seed, chosen)
            seconds = time.monotonic() - start
            info = {"seconds": seconds, "seconds_per_item": seconds / max(1, len(prompts)), "kind": "suite", **chosen}
            info["parts"] = suite.sizes
            extra: dict[str, NDArray[Any]] = {}
            if not sets and config.strip and isinstance(system, StripSampler):
                extra["strip"] = system.denoising_strip(suite.shown()[:8], seed, config.strip, **chosen)
            if not sets and config.step_repeats and isinstance(system, PixelTwin):
                size = load_images(context.data)["train"].images.shape[1:]
                info["cost"] = step_costs(
                    system, (size[2], *size[:2]), config.step_repeats, int(chosen.get("steps") or system.options.steps)
                )
            sets.append(
                SampleSet(variant=variant_id(chosen), images=images, prompts=list(prompts), info=info, extra=extra)
            )
            progress.update(1, variant_id(chosen))
        if config.negatives:
            chosen = {key: value for key, value in dict(config.variants[0]).items() if key != "captions"}
            asked = suite.colourless(config.negatives)
            for negative in ("", *COLOURS):
                options = {**chosen, "negative": negative or "none"}
                negatives = [negative] * len(asked)
                with drawn_by(variant_id(options)):
                    images = _sample(system, asked, seed, {**chosen, "negative_prompts": negatives})
                info = {"kind": "negative", **chosen, "negative": negative}
                sets.append(SampleSet(variant=variant_id(options), images=images, prompts=list(asked), info=info))
            progress.update(1, "negative prompts")
    return sets
