"""The whole-file check of ``params.yaml`` and the cards: every key under every block, before anything runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError
from bench.catalogue.families import FAMILIES
from bench.config.load import Params
from bench.data.card_reader import card_of_block
from bench.pipeline.plan import scorers_of, stage_modules
from bench.registry import build_config, resolve
from bench.scoring import check_options, resolve_scorer

__all__ = ["validate"]


def validate(params: Params, root: Path) -> None:
    """Build every configuration that a stage will build: systems, sampling, scoring, data cards. Imports torch.

    Raises:
        BenchError: file, key, what is allowed.
    """
    params.validate()
    for name, block in params.generators().items():
        where = f"{params.path}: {block['family']}.{name}"
        _check_defaults(block, f"{where}.sample.defaults")
        if FAMILIES[block["family"]].samples:
            (module,) = stage_modules(block, "sample")
            build_config(importlib.import_module(module).SampleConfig, block["sample"], f"{where}.sample")
        check_options(map(resolve_scorer, scorers_of(block)), block["evaluate"], f"{where}.evaluate")
    for name, block in params.datasets().items():
        card_of_block(name, block, f"{params.path}: datasets", root)


def _check_defaults(block: Mapping[str, Any], where: str) -> None:
    """The settings of sampling that all variants share."""
    defaults = block["sample"].get("defaults") or {}
    if not defaults:
        return
    options = getattr(resolve(block["system"]), "SampleOptions", None)
    if options is None:
        raise BenchError(f"{where}: system {block['system']!r} has no settings of sampling")
    build_config(options, defaults, where)
