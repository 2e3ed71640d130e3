"""Language models: which texts they write."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.base.files import SampleSet
from bench.base.progress import Progress
from bench.base.seeds import derive
from bench.base.settings import Count, build_config
from bench.capabilities import BatchSampler
from bench.config.variants import Swept, variant_id
from bench.context import StageContext

__all__ = ["SampleConfig", "sample", "sample_config"]


@dataclass(frozen=True)
class SampleConfig(Swept):
    """Keys under ``sample:`` of a block of this family, besides ``variants``.

    Attributes:
        prompts: beginnings to continue, in turn; ``""`` asks for a text without one.
        texts: texts of each variant.
        characters: length of each text.
    """

    prompts: tuple[str, ...] = ("", "To be, or not to be", "KING.\n", "Enter ")
    texts: Count = 20
    characters: Count = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prompts:
            raise ValueError('prompts: at least one is needed, "" for none')


def sample_config(context: StageContext) -> SampleConfig:
    """The keys under ``sample:``, for drawing and for scoring what was drawn."""
    config: SampleConfig = build_config(
        SampleConfig, context.block.get("sample") or {}, f"{context.family}.{context.name}.sample"
    )
    return config


def sample(context: StageContext) -> list[SampleSet]:
    """``texts`` continuations for each variant; prompt and seed of text i are the same for all variants and all
    generators."""
    config = sample_config(context)
    system = context.load()
    prompts = [config.prompts[i % len(config.prompts)] for i in range(config.texts)]
    seeds = [derive(context.seed, context.family, str(context.block["dataset"]), i) for i in range(config.texts)]
    sets = []
    with Progress(
        f"sample {context.name}", config.texts * len(config.variants), "texts", quiet=context.quiet
    ) as progress:
        for options in config.variants:
            start = time.monotonic()
            if isinstance(system, BatchSampler):
                texts = system.sample_batch(config.characters, seeds, prompts, **options)
                progress.update(config.texts, variant_id(options))
            else:
                texts = []
                for seed, prompt in zip(seeds, prompts, strict=True):
                    texts.append(system.sample(config.characters, seed, prompt, **options))
                    progress.update(1, variant_id(options))
            seconds = time.monotonic() - start
            info = {
                "seconds": seconds,
                "seconds_per_item": seconds / config.texts,
                "characters": config.characters,
                **options,
            }
            sets.append(SampleSet(variant=variant_id(options), texts=texts, prompts=prompts, info=info))
    return sets
