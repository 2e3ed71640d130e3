"""Latent diffusion: captions to pictures, by denoising in a codec's latents (Rombach et al. 2022, "High-Resolution
Image Synthesis with Latent Diffusion Models").

The picture is encoded once by a frozen KL autoencoder; the U-Net denoises the small latents, reading the caption by
cross-attention (their section 3.3) to the states of a frozen CLIP text tower; the result is decoded. Guidance and
negative prompts are in :mod:`bench.diffusion.guidance`, the loss in :mod:`bench.diffusion.loss`, the samplers in
:mod:`bench.diffusion.samplers`.

Two additions for prompts that name two objects. CLIP's text tower is causal, so in "a red three left of a blue seven"
the state of "three" cannot know on which side it belongs; a small trained transformer without a causal mask (the
*adapter*) lets all words see each other before the U-Net reads them. And relation scenes can be drawn more often than
they occur (``relation_share``).

Must show: prompt fidelity rises with guidance; a negative prompt removes its attribute; a step in latents is several
times cheaper than in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.base.processes import seeded
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Natural, NotNegative, Positive, Share, changed, taken_over
from bench.contracts import DataFacts, Images, ModelNeed, Need, RunContext
from bench.data.datasets import check_images
from bench.diffusion.generator import Condition, DenoisingOptions, DiffusionGenerator
from bench.diffusion.guidance import guided, negatives_for
from bench.diffusion.loss import Network, draw_steps
from bench.diffusion.samplers import OnStep
from bench.diffusion.schedule import Target, build_schedule
from bench.nn.attention import TransformerBlock
from bench.nn.blocks import ready
from bench.nn.unet import UNet, UNetConfig, check_levels
from bench.registry import load_model
from bench.training import fit, load_module, randn, save_module

__all__ = ["LatentDiffusion", "LatentDiffusionConfig", "LatentDiffusionOptions", "TextToLatent"]


@dataclass(frozen=True)
class LatentDiffusionConfig(Checked):
    """Hyper-parameters; see :class:`bench.nn.unet.UNetConfig` for those of the network.

    Attributes:
        schedule: ``cosine`` or ``linear``.
        steps: length T of the noising chain.
        target: what the loss is taken on.
        times: ``uniform`` or ``logit_normal`` draws of the training step.
        widths: channels by level.
        blocks: residual blocks by level.
        embedding: width of the time vector.
        attention: levels with self- and cross-attention.
        heads: attention heads.
        coordinates: tell the U-Net where a place lies (two more input channels).
        text_width: width of the adapted text states.
        adapter_layers: non-causal transformer layers over the frozen text states; 0 leaves a linear map.
        pooled: also add the mean of the adapted states to the time vector.
        dropout: share of captions replaced by the empty one in training, for guidance.
        relation_share: share of relation scenes in a training batch; 0 takes scenes as they come.
    """

    schedule: Literal["cosine", "linear"] = "cosine"
    steps: Count = 1000
    target: Target = "v"
    times: Literal["uniform", "logit_normal"] = "uniform"
    widths: tuple[Count, ...] = (64, 128)
    blocks: Count = 1
    embedding: Count = 256
    attention: tuple[Natural, ...] = (0, 1)
    heads: Count = 4
    coordinates: bool = True
    text_width: Count = 128
    adapter_layers: Natural = 2
    pooled: bool = True
    dropout: Share = 0.1
    relation_share: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.widths, self.attention, self.heads)
        if self.text_width % self.heads:
            raise ValueError(f"heads: {self.heads} do not divide text_width {self.text_width}")

    def check_models(self, models: Mapping[str, Any], facts: DataFacts) -> None:
        """Refuse a codec whose latents the U-Net cannot halve as often as it has to."""
        reduction = getattr(models.get("codec"), "reduction", None)
        if facts.size is None or reduction is None:
            return
        sides, factor = [side // reduction for side in facts.size], 2 ** (len(self.widths) - 1)
        if any(side % factor for side in sides):
            most = next(n for n in range(len(self.widths), 0, -1) if not any(side % 2 ** (n - 1) for side in sides))
            raise ValueError(
                f"widths: {len(self.widths)} levels halve the latents {len(self.widths) - 1} times, and those of the "
                f"codec are {sides[0]}x{sides[1]} (pictures of {facts.name}, reduced by {reduction}): at most {most} "
                "levels, or a codec with fewer widths"
            )


@dataclass(frozen=True)
class LatentDiffusionOptions(DenoisingOptions):
    """How pictures are drawn; see :class:`bench.diffusion.generator.DenoisingOptions` for the rest.

    Attributes:
        chunk: pictures drawn at a time; short chunks are padded.
        clip: bound on the estimate of the clean latents (which have standard deviation 1).
        guidance: scale g of classifier-free guidance; 1 is none.
    """

    chunk: Count = 40
    clip: Positive = 4.5
    guidance: NotNegative = 3.0


class TextToLatent(nn.Module):
    """The adapter over the frozen text states, and the U-Net that reads them."""

    def __init__(self, config: LatentDiffusionConfig, channels: int, text_dim: int, text_length: int) -> None:
        super().__init__()
        c = config
        self.pooled = c.pooled
        self.project = nn.Linear(text_dim, c.text_width)
        self.positions = nn.Parameter(0.02 * torch.randn(text_length, c.text_width))
        self.adapter = nn.ModuleList(
            TransformerBlock(c.text_width, c.heads, causal=False) for _ in range(c.adapter_layers)
        )
        self.norm = nn.LayerNorm(c.text_width)
        vector = c.text_width if c.pooled else 0
        self.unet = UNet(taken_over(UNetConfig, c, channels=channels, context_dim=c.text_width, vector_dim=vector))

    def read(self, states: Tensor, mask: Tensor) -> Tensor:
        """Frozen states ``(B, T, text_dim)`` to what the U-Net reads, ``(B, T, text_width)``; the same at every
        step."""
        h = self.project(states) + self.positions[: states.shape[1]]
        for block in self.adapter:
            h = block(h, mask=mask[:, None])
        return cast(Tensor, self.norm(h))

    def denoise(self, x: Tensor, t: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """The U-Net's prediction for latents ``(B, c, h, w)`` given what :meth:`read` returned."""
        vector = None
        if self.pooled:
            weights = mask[..., None].to(context.dtype)
            vector = (context * weights).sum(1) / weights.sum(1)  # (B, text_width)
        return cast(Tensor, self.unet(x, t, vector=vector, context=context, mask=mask))

    def forward(self, x: Tensor, t: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Both."""
        return self.denoise(x, t, self.read(states, mask), mask)


class LatentDiffusion:
    """A :class:`bench.contracts.TextToImage`; needs a ``codec`` and a ``text_encoder``."""

    Config = LatentDiffusionConfig
    SampleOptions = LatentDiffusionOptions
    NEEDS: ClassVar[Mapping[str, Need]] = {
        "codec": ModelNeed("LatentCodec"),
        "text_encoder": ModelNeed("CaptionEncoder"),
    }

    def __init__(self, config: LatentDiffusionConfig) -> None:
        self.config = config
        self.options = LatentDiffusionOptions()
        self.schedule = build_schedule(config.schedule, config.steps)
        self.device = "cpu"
        self.shape: tuple[int, ...] = ()  # (c, h, w) of the latents
        self.text: tuple[int, int] = (0, 0)  # width and length of the frozen text states
        self.network: TextToLatent | None = None
        self.codec: Any = None
        self.text_encoder: Any = None

    def attach(self, models: Mapping[str, Path]) -> None:
        """Load the codec and the text encoder.

        Raises:
            BenchError: one of them is not named.
        """
        for role in ("codec", "text_encoder"):
            if role not in models:
                raise BenchError(
                    f"latent diffusion needs a {role}: name one in its block of params.yaml (`{role}: NAME`)"
                )
        self.codec = load_model(models["codec"], self.device)
        self.text_encoder = load_model(models["text_encoder"], self.device)

    def _build(self, seed: int) -> TextToLatent:
        with seeded(seed):
            return TextToLatent(self.config, self.shape[0], *self.text)

    @property
    def generator(self) -> DiffusionGenerator:
        """The chain in the codec's latents."""

        def decode(latents: Tensor) -> Images:
            return cast(Images, self.codec.decode(latents.numpy()))

        return DiffusionGenerator(self.schedule, self.shape, decode, self.config.target, device=self.device)

    def _states(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        states, mask = self.text_encoder.text_states(prompts)
        return torch.as_tensor(states, dtype=torch.float32, device=self.device), torch.as_tensor(
            mask, device=self.device
        )

    def loss(self, network: TextToLatent, batch: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The loss of one batch of ``latents``, text ``states`` and ``mask``, and steps ``t``."""
        x0, states, mask = batch["latents"], batch["states"].float(), batch["mask"]

        def predict(x: Tensor, t: Tensor) -> Tensor:
            return cast(Tensor, network(x, t, states, mask))

        return self.generator.loss(predict, x0, batch["t"], lambda: randn(x0.shape, generator))

    def fit(self, data: Mapping[str, Any], run: RunContext) -> None:
        """Train on ``data["train"]`` (pictures and captions). Latents are made once, text states once for each
        different caption."""
        split, c = data["train"], self.config
        if split.captions is None:
            raise BenchError(f"{run.name}: text to image needs captions, and this data has none")
        self.device = run.device
        self.attach(run.models)
        check_images(getattr(self.codec, "config", None), split.images, f"{run.name}: codec")
        latents = np.asarray(self.codec.encode(split.images), dtype=np.float32)  # (N, c, h, w)
        factor, (height, width) = 2 ** (len(c.widths) - 1), latents.shape[2:]
        if height % factor or width % factor:
            raise BenchError(
                f"{run.name}: model.widths: {len(c.widths)} levels need latents in multiples of {factor}, and pictures "
                f"of {split.images.shape[1]}x{split.images.shape[2]} become latents of {height}x{width}"
            )
        captions = sorted({"", *split.captions})  # the empty caption comes first
        place = {caption: i for i, caption in enumerate(captions)}
        which = np.array([place[caption] for caption in split.captions])
        parts = [self._states(captions[i : i + 2048]) for i in range(0, len(captions), 2048)]
        states = torch.cat([part[0].half().cpu() for part in parts]).numpy()  # (captions, T, W)
        mask = torch.cat([part[1].cpu() for part in parts]).numpy()
        self.shape, self.text = latents.shape[1:], (states.shape[2], states.shape[1])
        related = np.flatnonzero(_related(split))
        network = self._build(derive(run.seed, "weights"))

        def batches(rng: np.random.Generator, size: int) -> dict[str, NDArray[Any]]:
            chosen = rng.integers(0, len(latents), size)
            if c.relation_share and len(related):
                natural = len(related) / len(latents)
                swap = rng.random(size) < max(0.0, (c.relation_share - natural) / (1 - natural))
                chosen = np.where(swap, related[rng.integers(0, len(related), size)], chosen)
            caption = np.where(rng.random(size) < c.dropout, 0, which[chosen])
            t = draw_steps(size, c.steps, rng, c.times)
            return {"latents": latents[chosen], "states": states[caption], "mask": mask[caption], "t": t}

        fit(network, lambda batch, generator: self.loss(network, batch, generator), batches, run)
        self.network = network
        ready(network, run.device)

    def sample(
        self,
        prompts: Sequence[str],
        seed: int,
        guidance: float | None = None,
        negative_prompts: Sequence[str] | str | None = None,
        *,
        first: int = 0,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> Images:
        """One picture for each prompt.

        Args:
            prompts: captions in the words of the training captions.
            seed: picture i depends on (seed, i), its prompt and its negative prompt alone.
            guidance: scale of classifier-free guidance, that of ``options`` by default.
            negative_prompts: what to push away from instead of the empty caption: one for all or one each.
            first: index of the first picture.
            on_step: called at every step with latents, chunk by chunk.
            options: see :class:`LatentDiffusionOptions`; each network evaluation is twice as large if guided.

        Returns:
            ``(N, H, W, C)`` uint8.

        Raises:
            BenchError: a word that the text encoder does not know, or impossible options.
        """
        chosen = self._chosen(guidance, options)
        condition = self._conditioned(prompts, negatives_for(prompts, negative_prompts), chosen.guidance)
        return self.generator.sample(condition, len(prompts), seed, chosen, first=first, on_step=on_step)

    def _chosen(self, guidance: float | None, options: Mapping[str, Any]) -> LatentDiffusionOptions:
        scale = {} if guidance is None else {"guidance": guidance}
        return changed(self.options, {**options, **scale}, "latent_diffusion")

    def _conditioned(self, prompts: Sequence[str], negatives: Sequence[str], guidance: float) -> Condition:
        """The guided network with the prompts of a chunk read and bound."""
        network = self.network
        if network is None or self.codec is None:
            raise BenchError(
                "this latent diffusion model has not been trained or loaded with its codec and text encoder"
            )

        def condition(items: slice, size: int) -> Network:
            filling = [""] * (size - len(prompts[items]))
            states, mask = self._states([*prompts[items], *filling])
            negative_states, negative_mask = self._states([*negatives[items], *filling])
            context, negative = network.read(states, mask), network.read(negative_states, negative_mask)
            return guided(network.denoise, context.float(), mask, negative.float(), negative_mask, guidance)

        return condition

    def denoising_strip(
        self,
        prompts: Sequence[str],
        seed: int,
        frames: int = 8,
        guidance: float | None = None,
        negative_prompts: Sequence[str] | str | None = None,
        **options: Any,
    ) -> Images:
        """The latents on their way, decoded: ``(len(prompts), frames, H, W, C)``, from noise to the sample (the last
        frame); ``options`` are those of :meth:`sample`."""
        chosen = self._chosen(guidance, options)
        condition = self._conditioned(prompts, negatives_for(prompts, negative_prompts), chosen.guidance)
        return self.generator.strip(condition, len(prompts), seed, chosen, frames)

    def in_pixels(self, channels: int = 3) -> nn.Module:
        """An untrained copy of the network that denoises pictures instead of latents: what a step would cost without
        the codec."""
        with seeded(0):
            return TextToLatent(self.config, channels, *self.text).eval()

    def save(self, folder: Path) -> None:
        """Weights and shapes; the codec and the text encoder stay in their own folders."""
        assert self.network is not None
        save_module(self.network, folder / "denoiser.safetensors")
        write_json(folder / "latent_diffusion.json", {"shape": list(self.shape), "text": list(self.text)})

    @classmethod
    def load(cls, folder: Path, config: LatentDiffusionConfig, device: str = "cpu") -> LatentDiffusion:
        """The inverse of :meth:`save`; :meth:`attach` must follow before sampling."""
        system = cls(config)
        facts = read_json(folder / "latent_diffusion.json")
        system.shape, system.text = tuple(facts["shape"]), (facts["text"][0], facts["text"][1])
        system.device = device
        system.network = system._build(0)
        load_module(system.network, folder / "denoiser.safetensors")
        ready(system.network, device)
        return system


def _related(split: Any) -> NDArray[np.bool_]:
    """Which scenes show two objects in a spatial relation."""
    if split.scene is None or "relation" not in split.scene:
        return np.zeros(len(split.images), np.bool_)
    return np.asarray(split.scene["relation"] >= 0)
