"""Which systems declare which capability: what the harness asks with isinstance."""

from __future__ import annotations

from typing import Any

import pytest

from bench import contracts
from bench.catalogue.systems import BUILT_IN
from bench.registry import resolve

DECLARED: dict[str, set[str]] = {
    "BatchSampler": {"transformer_lm"},
    "AttentionMaps": {"transformer_lm"},
    "ScoredByWindow": {"transformer_lm"},
    "BatchSynthesizer": {"texture_synthesis"},
    "BatchStyler": {"style_transfer"},
    "StripSampler": {"ddpm", "latent_diffusion"},
    "PixelTwin": {"latent_diffusion"},
    "Attachable": {"latent_diffusion"},
}


@pytest.mark.parametrize("capability", DECLARED)
def test_capabilities_are_those_of_the_systems_that_have_them(capability: str) -> None:
    (method,) = [name for name in vars(getattr(contracts, capability)) if not name.startswith("_")]
    having = {name for name in BUILT_IN if hasattr(resolve(name), method)}
    assert having == DECLARED[capability]


def test_adjustable_systems_start_from_their_declared_defaults() -> None:
    adjustable: dict[str, Any] = {}
    for name in BUILT_IN:
        cls = resolve(name)
        if hasattr(cls, "SampleOptions"):
            adjustable[name] = cls(cls.Config())
            assert isinstance(adjustable[name], contracts.Adjustable)
            assert adjustable[name].options == cls.SampleOptions()
    assert set(adjustable) == {"ddpm", "latent_diffusion", "transformer_lm", "video_textures"}
