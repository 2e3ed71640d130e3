"""Vector quantisation: vectors to the nearest of K learned vectors, and three ways to learn those.

van den Oord, Vinyals, Kavukcuoglu 2017, "Neural Discrete Representation Learning" (VQ-VAE). The codebook is moved

- ``gradient``: by the second term of eq. 3;
- ``ema``: by exponential moving averages of the vectors assigned to each code (appendix A.1, eqs. 6-8);
- ``ema_restart``: likewise, and a code that hardly anything is assigned to is put onto a random vector of the batch
  (after Dhariwal et al. 2020, "Jukebox", section 3.1), which cures the collapse onto a few codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["CodebookKind", "Quantized", "VectorQuantizer", "nearest_codes", "straight_through"]

CodebookKind = Literal["gradient", "ema", "ema_restart"]


def nearest_codes(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest codebook vector by Euclidean distance (eq. 1); the lowest index among equals.

    Args:
        vectors: ``(N, D)``.
        codebook: ``(K, D)``.

    Returns:
        ``(N,)`` int64.

    >>> nearest_codes(torch.tensor([[0.9, 0.0], [0.2, 0.1]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    # |z - e|^2 without |z|^2, which is the same for every code
    return torch.addmm(codebook.square().sum(1), vectors, codebook.T, alpha=-2).argmin(1)


def straight_through(z: Tensor, quantized: Tensor) -> Tensor:
    """The value of ``quantized`` with the gradient of ``z`` (section 3.2: the gradient is copied past the
    quantiser)."""
    return z + (quantized - z).detach()


@dataclass(frozen=True)
class Quantized:
    """What the quantiser returns.

    Attributes:
        vectors: ``(N, D, h, w)`` codebook vectors, with the gradient of the input.
        codes: ``(N, h, w)`` int64.
        codebook_loss: second term of eq. 3; zero unless the codebook learns by gradient.
        commitment_loss: third term of eq. 3, without its weight beta.
        perplexity: exp of the entropy of the codes of this batch, 1 (one code) to K (all equally often).
    """

    vectors: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor
    perplexity: Tensor


class VectorQuantizer(nn.Module):
    """A codebook of ``size`` vectors of ``dim`` numbers.

    Args:
        size: K.
        dim: D.
        kind: how the codebook learns.
        init: ``uniform``: each number in +-1/K; ``normal``: standard normal. Drawn from torch's generator, alike for
            every ``kind``.
        decay: gamma of eqs. 6 and 7.
        restart_below: a code whose moving count is under this share of the mean count ...
        restart_after: ... and that was unused for so many steps is restarted ...
        restart_from: ... from this step on ...
        restart_count: ... with this share of the mean count.

    ``restart_until`` (a step number, None for no end) switches restarts off, so that the codebook can settle.

    Raises:
        ValueError: unknown ``kind`` or ``init``.
    """

    codebook: nn.Parameter
    counts: Tensor
    sums: Tensor
    idle: Tensor
    steps: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        kind: CodebookKind = "ema_restart",
        *,
        init: Literal["uniform", "normal"] = "uniform",
        decay: float = 0.99,
        restart_below: float = 0.03,
        restart_after: int = 5,
        restart_from: int = 20,
        restart_count: float = 0.2,
    ) -> None:
        super().__init__()
        if kind not in get_args(CodebookKind):
            raise ValueError(f"codebook must be one of {', '.join(get_args(CodebookKind))}, not {kind!r}")
        if init not in ("uniform", "normal"):
            raise ValueError(f"codebook_init must be 'uniform' or 'normal', not {init!r}")
        self.size, self.dim, self.kind, self.decay = size, dim, kind, decay
        self.restart_below, self.restart_after = restart_below, restart_after
        self.restart_from, self.restart_count = restart_from, restart_count
        self.restart_until: int | None = None
        start = torch.randn(size, dim) if init == "normal" else (2 * torch.rand(size, dim) - 1) / size
        self.codebook = nn.Parameter(start, requires_grad=kind == "gradient")
        self.register_buffer("counts", torch.ones(size))  # N_i of eq. 6
        self.register_buffer("sums", start.clone())  # m_i of eq. 7
        self.register_buffer("idle", torch.zeros(size, dtype=torch.int64))  # steps since the code was last used
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def lookup(self, codes: Tensor) -> Tensor:
        """Codebook vectors of ``(N, h, w)`` codes, ``(N, D, h, w)`` (eq. 2)."""
        return F.embedding(codes, self.codebook).permute(0, 3, 1, 2)

    def forward(self, z: Tensor, generator: torch.Generator | None = None) -> Quantized:
        """Quantise ``(N, D, h, w)`` encoder outputs, in float32 whatever the autocast; in training mode the codebook
        learns.

        Args:
            z: encoder outputs.
            generator: picks the vectors that restarted codes are put onto (the default generator if None).
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            flat = z.permute(0, 2, 3, 1).reshape(-1, self.dim)  # (N, D, h, w) -> (N h w, D)
            codes = nearest_codes(flat.detach(), self.codebook.detach())
            quantized = self.lookup(codes.view(z.shape[0], *z.shape[2:]))
            frequency = torch.bincount(codes, minlength=self.size).float()
            p = frequency / frequency.sum()
            result = Quantized(
                vectors=straight_through(z, quantized),
                codes=codes.view(z.shape[0], *z.shape[2:]),
                codebook_loss=F.mse_loss(quantized, z.detach()) if self.kind == "gradient" else z.new_zeros(()),
                commitment_loss=F.mse_loss(z, quantized.detach()),
                perplexity=torch.special.entr(p).sum().exp(),
            )
            if self.training and self.kind != "gradient":
                self._update(flat.detach(), codes, frequency, generator)
        return result

    @torch.no_grad()
    def _update(self, flat: Tensor, codes: Tensor, frequency: Tensor, generator: torch.Generator | None) -> None:
        sums = torch.zeros_like(self.sums).index_add_(0, codes, flat)
        if (
            dist.is_available() and dist.is_initialized()
        ):  # the batch is spread over processes: the codebook sees all of it
            dist.all_reduce(sums)
            dist.all_reduce(frequency)
            parts = [torch.empty_like(flat) for _ in range(dist.get_world_size())]
            dist.all_gather(parts, flat)
            flat = torch.cat(parts)
        self.counts.lerp_(frequency, 1 - self.decay)  # eq. 6
        self.sums.lerp_(sums, 1 - self.decay)  # eq. 7
        self.idle.add_(1).masked_fill_(frequency > 0, 0)
        self.steps.add_(1)
        if self.kind == "ema_restart" and self._restarts_now():
            self._restart(flat, generator)
        # eq. 8; a code without any mass stays where it is
        alive = self.counts > 1e-5
        self.codebook.copy_(
            torch.where(alive[:, None], self.sums / self.counts.clamp_min(1e-5)[:, None], self.codebook)
        )

    def _restarts_now(self) -> bool:
        step = int(self.steps)
        return step > self.restart_from and (self.restart_until is None or step <= self.restart_until)

    def _restart(self, flat: Tensor, generator: torch.Generator | None) -> None:
        mean = self.counts.mean()
        dead = (self.counts < self.restart_below * mean) & (self.idle >= self.restart_after)
        # one draw for each code, dead or not: the stream of random numbers does not depend on the outcome
        picks = torch.randint(len(flat), (self.size,), generator=generator, device=flat.device)
        fresh = self.restart_count * mean
        self.sums.copy_(torch.where(dead[:, None], flat[picks] * fresh, self.sums))
        self.counts.copy_(torch.where(dead, fresh, self.counts))
        self.idle.masked_fill_(dead, 0)
