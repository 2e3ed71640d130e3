"""The whole-file check of ``params.yaml`` and the cards: every key under every block, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.config import Params
from bench.data.card_reader import card_of_block
from bench.plan import UNSAMPLED, stage_module
from bench.registry import build_config

__all__ = ["validate"]


def validate(params: Params, root: Path) -> None:
    """Build every configuration that a stage will build: systems, sampling, scoring, data cards. Imports torch.

    Raises:
        BenchError: file, key, what is allowed.
    """
    params.validate()
    for name, block in params.generators().items():
        for section, package, configuration in (("sample", "drawing", "DrawConfig"), ("evaluate", "evaluation", "ScoreConfig")):
            values: Mapping[str, object] = block[section]
            if package == "drawing" and block["family"] in UNSAMPLED:
                continue
            module = stage_module(package, block["family"], block["system"])
            if hasattr(module, configuration):
                build_config(getattr(module, configuration), values, f"{params.path}: {block['family']}.{name}.{section}")
    for name, block in params.datasets().items():
        card_of_block(name, block, f"{params.path}: datasets", root)
