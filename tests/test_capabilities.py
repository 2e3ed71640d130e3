"""Which systems declare which capability: what the harness asks with isinstance."""

from __future__ import annotations

import inspect

import pytest

from bench import capabilities, contracts
from bench.catalogue.systems import BUILT_IN
from bench.registry import resolve
from bench.series import series_of

DECLARED: dict[str, set[str]] = {
    "GrowingSynthesizer": {"texture_synthesis"},
    "TransitionModel": {"video_textures"},
    "CopyingSolver": {"image_analogies"},
    "IterativeStyler": {"style_transfer"},
    "Arms": set(),  # of a block, not of a system
    "AttentionMaps": {"transformer_lm"},
    "HasNote": {"markov_chain", "transformer_lm", "word2vec"},
    "PairModel": {"word2vec"},
    "FineTunable": {"masked_lm"},
    "PixelTwin": {"latent_diffusion"},
    "BatchSampler": {"transformer_lm"},
    "StripSampler": {"ddpm", "latent_diffusion"},
}


def having(protocol: type) -> set[str]:
    """The systems with all methods that a Protocol itself asks for; with its properties, where it has no methods."""
    members = {name: member for name, member in vars(protocol).items() if not name.startswith("_")}
    methods = {name for name, member in members.items() if inspect.isfunction(member)}
    return {name for name in BUILT_IN if all(hasattr(resolve(name), each) for each in methods or members)}


def test_every_capability_is_listed() -> None:
    found = {name for name in capabilities.__all__ if getattr(getattr(capabilities, name), "_is_runtime_protocol", 0)}
    assert found == set(DECLARED)


@pytest.mark.parametrize("capability", DECLARED)
def test_capabilities_are_those_of_the_systems_that_have_them(capability: str) -> None:
    assert having(getattr(capabilities, capability)) == DECLARED[capability]


def test_systems_that_work_with_other_models_say_so() -> None:
    attached = having(contracts.Attachable)
    assert attached == {"latent_diffusion"}
    assert all(getattr(resolve(name), "NEEDS", {}) for name in attached)


def test_arms_of_any_system_are_told_apart() -> None:
    system = resolve("transformer_lm")
    assert isinstance(series_of(system)({"one": system.Config()}), capabilities.Arms)


def test_adjustable_systems_start_from_their_declared_defaults() -> None:
    adjustable = set()
    for name in BUILT_IN:
        cls = resolve(name)
        if hasattr(cls, "SampleOptions"):
            system = cls(cls.Config())
            if isinstance(system, contracts.Adjustable):
                assert system.options == cls.SampleOptions()
                adjustable.add(name)
    assert adjustable == {"ddpm", "latent_diffusion", "transformer_lm", "video_textures"}
