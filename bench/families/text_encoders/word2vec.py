"""word2vec: skip-gram and CBOW with negative sampling (Mikolov et al. 2013a; 2013b, eq. 4 and 5).

For a word ``w`` and a neighbour ``c``, skip-gram minimises ``-log s(v_w . u_c) - sum over k negatives of log s(-v_w .
u_n)`` with negatives drawn from the unigram distribution to the power 3/4 (eq. 4); CBOW puts the mean of the
neighbours' vectors in the place of ``v_w`` and the word itself in that of ``c``. Frequent words are dropped at random
(eq. 5) and windows have random sizes.

Two things make it fast without a compiled loop. All pairs of ``BLOCK`` neighbouring places are one product of small
matrices, and the places of a block share one set of ``shared`` negatives, each with the weight ``negatives / shared``
of a pair: the expectation of eq. 4 is unchanged, a negative's row is read once a block. On the wiki prose it reads
twice gensim's words a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.files import write_npz
from bench.base.progress import Progress
from bench.base.seeds import derive
from bench.base.settings import Checked, Count, Positive, Range
from bench.base.texts import split_lines
from bench.capabilities import PairCounts
from bench.contracts import RunContext
from bench.families.text_encoders.word_pairs import (
    BLOCK,
    Blocks,
    Corpus,
    keep_probabilities,
    lower_words,
    noise_distribution,
)
from bench.families.text_encoders.word_vectors import WordVectors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Word2Vec", "Word2VecConfig", "cbow_step", "negative_sampling_loss", "skip_gram_step"]

_FILE = "word2vec.npz"
_MOST = 2.0
"""Of :func:`_descend`: two occurrences of a word in one batch, at the usual step size and window."""


@dataclass(frozen=True)
class Word2VecConfig(Checked):
    """Hyper-parameters of :class:`Word2Vec`.

    Attributes:
        architecture: ``skip_gram`` or ``cbow``.
        dimensions: numbers in a vector.
        window: most words on each side that count as neighbours.
        negatives: k of eq. 4.
        min_count: words seen less often are left out.
        subsample: t of eq. 5, a share of all words; 0 keeps every occurrence.
        epochs: passes over the text.
        lr: step size at the start; it falls linearly to ``min_lr``.
        min_lr: step size at the end.
        share: share of the text's lines, drawn at random, that training sees.
        batch: blocks of 32 places that are updated at once.
        shared: negatives that the places of a block share.
    """

    architecture: Literal["skip_gram", "cbow"] = "skip_gram"
    dimensions: Count = 100
    window: Count = 5
    negatives: Count = 5
    min_count: Count = 5
    subsample: Annotated[float, Range(low=0, below=1)] = 1e-3
    epochs: Count = 20
    lr: Positive = 0.025
    min_lr: Positive = 1e-4
    share: Annotated[float, Range(above=0, high=1)] = 1.0
    batch: Count = 16
    shared: Count = 22

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_lr > self.lr:
            raise ValueError(f"lr: must be at least min_lr ({self.min_lr}), not {self.lr}")


def negative_sampling_loss(inputs: Tensor, outputs: Tensor, noise: Tensor) -> Tensor:
    """Eq. 4, negated, of each pair: ``(P,)`` nats.

    Args:
        inputs: ``(P, D)`` vectors of the words (for CBOW, means of the neighbours' vectors).
        outputs: ``(P, D)`` output vectors of the words to be told from noise.
        noise: ``(P, k, D)`` output vectors of the negatives.
    """
    from torch.nn.functional import softplus

    right = (inputs * outputs).sum(-1)  # (P,)
    wrong = (noise @ inputs[:, :, None])[..., 0]  # (P, k)
    return softplus(-right) + softplus(wrong).sum(-1)


def skip_gram_step(
    inputs: Tensor,
    outputs: Tensor,
    blocks: Blocks,
    noise: NDArray[np.int64],
    k: int,
    lr: float,
    *,
    measure: bool = False,
) -> float:
    """One step of gradient descent on the sum of eq. 4 over all pairs of some blocks, in place.

    Args:
        inputs: ``(V, D)`` vectors of words.
        outputs: ``(V, D)`` vectors of neighbours and negatives.
        blocks: n blocks of B places.
        noise: ``(n, K)`` negatives of each block.
        k: negatives of a pair; each of the K shared ones counts ``k / K``.
        lr: step size.
        measure: also compute the loss before the step.

    Returns:
        Mean loss of a pair in nats, 0 unless ``measure``.
    """
    import torch

    columns = blocks.columns.shape[1]
    rows = torch.from_numpy(blocks.places.reshape(-1))
    others = torch.from_numpy(np.concatenate([blocks.columns, noise], 1).reshape(-1))
    v = inputs.index_select(0, rows).view(*blocks.places.shape, -1)  # (n, B, D)
    u = outputs.index_select(0, others).view(len(noise), -1, inputs.shape[1])  # (n, C + K, D)
    pairs = torch.from_numpy(blocks.pairs)  # (n, B, C)
    weight = pairs.sum(2, keepdim=True) * (k / noise.shape[1])  # (n, B, 1)
    scores = v @ u.transpose(1, 2)  # (n, B, C + K)
    loss = _mean_loss(scores[..., :columns][pairs], scores[..., columns:], weight) if measure else 0.0
    slope = scores.sigmoid_()
    near, far = slope[..., :columns], slope[..., columns:]
    near.sub_(1.0).mul_(pairs)
    far.mul_(weight)
    masses = pairs.sum(1, dtype=weight.dtype), weight.sum(1).expand(-1, noise.shape[1])
    _descend(outputs, others, slope.transpose(1, 2) @ v, torch.cat(masses, 1), lr)
    _descend(inputs, rows, slope @ u, pairs.sum(2) * (1.0 + k), lr)
    return loss


def _descend(table: Tensor, rows: Tensor, gradient: Tensor, mass: Tensor, lr: float) -> None:
    """``table[rows] -= lr gradient``, and less for a row that a batch holds too often.

    The gradients of a batch are taken at one place, where word by word each would see the step before. A row whose
    terms together (``mass``, their largest possible sum of slopes) would move it by more than ``_MOST`` moves by that
    much.
    """
    import torch

    total = torch.zeros(len(table), dtype=table.dtype).index_add_(0, rows, mass.reshape(-1).to(table.dtype))
    gradient = gradient.flatten(0, 1)
    if float(total.max()) * lr > _MOST:
        gradient = gradient * (_MOST / (total * lr).clamp(min=_MOST)).index_select(0, rows)[:, None]
    table.index_add_(0, rows, gradient, alpha=-lr)


def cbow_step(
    inputs: Tensor,
    outputs: Tensor,
    blocks: Blocks,
    noise: NDArray[np.int64],
    k: int,
    lr: float,
    *,
    measure: bool = False,
) -> float:
    """The step of CBOW: the mean of the neighbours' vectors predicts the word at the place. Arguments as
    :func:`skip_gram_step`.

    As in the authors' program, every neighbour gets the whole error of the mean and not its share of it: with windows
    of many sizes the share would make the step size of a word depend on how many others stand beside it.
    """
    import torch

    rows = torch.from_numpy(blocks.columns.reshape(-1))
    others = torch.from_numpy(np.concatenate([blocks.places, noise], 1).reshape(-1))
    pairs = torch.from_numpy(blocks.pairs).to(inputs.dtype)  # (n, B, C)
    size = pairs.sum(2, keepdim=True)  # (n, B, 1)
    weight = (size > 0) * (k / noise.shape[1])
    v = inputs.index_select(0, rows).view(*blocks.columns.shape, -1)  # (n, C, D)
    known = outputs.index_select(0, others).view(len(noise), -1, inputs.shape[1])  # (n, B + K, D)
    u, z = known[:, : blocks.places.shape[1]], known[:, blocks.places.shape[1] :]
    h = (pairs @ v) / size.clamp(min=1)  # (n, B, D)
    near = (h * u).sum(2, keepdim=True)  # (n, B, 1)
    far = h @ z.transpose(1, 2)  # (n, B, K)
    loss = _mean_loss(near[size > 0], far, weight) if measure else 0.0
    near = (near.sigmoid() - 1.0) * (size > 0)
    far = far.sigmoid() * weight
    error = near * u + far @ z  # (n, B, D)
    _descend(inputs, rows, pairs.transpose(1, 2) @ error, pairs.sum(1) * (1.0 + k), lr)
    both = torch.cat([near * h, far.transpose(1, 2) @ h], 1)  # (n, B + K, D)
    mass = torch.cat([(size > 0)[..., 0].to(weight.dtype), weight.sum(1).expand(-1, noise.shape[1])], 1)
    _descend(outputs, others, both, mass, lr)
    return loss


def _mean_loss(near: Tensor, far: Tensor, weight: Tensor) -> float:
    """Mean of eq. 4 over pairs: ``near`` their scores, ``far`` those of places and negatives with their weights."""
    from torch.nn.functional import softplus

    total = softplus(-near).sum() + (softplus(far) * weight).sum()
    return float(total) / max(1, near.numel())


class Word2Vec:
    """Vectors of words, and what was learned beside them.

    Args:
        config: see :class:`Word2VecConfig`.
    """

    Config: ClassVar[type] = Word2VecConfig
    CONTRACT: ClassVar[str] = "WordEmbedding"

    def __init__(self, config: Word2VecConfig) -> None:
        self.config = config
        self.counts = np.zeros(0, np.int64)
        """``(V,)`` occurrences of each word in the training text."""
        self.outputs = np.zeros((0, config.dimensions), np.float32)
        """``(V, D)`` vectors of words as neighbours (u of eq. 4)."""
        self.seed = 0
        """Of the training run; it says which lines were drawn."""
        self._vectors: WordVectors | None = None

    @property
    def vectors(self) -> WordVectors:
        """The vectors of words (v of eq. 4), most frequent word first."""
        if self._vectors is None:
            raise BenchError("this word2vec model is not trained: call fit or load first")
        return self._vectors

    @property
    def note(self) -> str:
        """How large the vocabulary is, for the report."""
        return (
            f"{len(self.vectors):,} words seen at least {self.config.min_count} times in {int(self.counts.sum()):,} "
            "words of text."
        )

    def training_text(self, text: str) -> str:
        """The lines of ``text`` that training saw: ``share`` of them, drawn by the seed of :meth:`fit`."""
        if self.config.share == 1:
            return text
        lines = split_lines(text)
        drawn = np.random.default_rng(derive(self.seed, "share")).random(len(lines)) < self.config.share
        return "\n".join(line for line, kept in zip(lines, drawn, strict=True) if kept)

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        """Train on ``corpus["train"]``.

        Raises:
            BenchError: no word in the text, none frequent enough, or no two known words in one line.
        """
        import torch

        config = self.config
        self.seed = run.seed
        text = Corpus.read(self.training_text(corpus["train"]), config.min_count)
        size = len(text.words)
        rng = np.random.default_rng(derive(run.seed, "vectors"))
        inputs = torch.from_numpy(
            ((rng.random((size, config.dimensions)) - 0.5) / config.dimensions).astype(np.float32)
        )
        outputs = torch.zeros(size, config.dimensions)
        keep = keep_probabilities(text.counts, config.subsample)
        noise = np.cumsum(noise_distribution(text.counts))
        step = skip_gram_step if config.architecture == "skip_gram" else cbow_step
        total, done, number, start = len(text.ids) * config.epochs, 0.0, 0, time.monotonic()
        with torch.no_grad(), Progress(f"train {run.name}", total, "words", quiet=run.quiet) as progress:
            for epoch in range(config.epochs):
                rng = np.random.default_rng(derive(run.seed, "epoch", epoch))
                thinned = text.thinned(keep, rng)
                read = len(text.ids) / max(1, len(thinned.ids))  # words read for each word kept
                for blocks in thinned.blocks(config.window, rng, config.batch):
                    drawn = np.searchsorted(
                        noise, rng.random((len(blocks.places), config.shared)) * noise[-1], side="right"
                    )
                    lr = max(config.min_lr, config.lr * (1 - done / total))
                    measure = number % 50 == 0
                    loss = step(inputs, outputs, blocks, drawn, config.negatives, lr, measure=measure)
                    if measure:
                        run.curve(round(done), {"loss": loss})
                    number += 1
                    advance = min(blocks.places.size * read, total - done)  # the last block of a pass is not full
                    done += advance
                    progress.update(round(advance))
        self._vectors = WordVectors(text.words, inputs.numpy())
        self.outputs, self.counts = outputs.numpy(), text.counts
        run.cost["parameters"] = float(2 * size * config.dimensions)
        kept = float((text.counts * keep).sum()) * config.epochs
        run.cost["train_flops"] = 6.0 * config.dimensions * kept * (BLOCK + 2 * config.window + config.shared)
        run.cost["words_per_second"] = total / max(1e-9, time.monotonic() - start)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)`` mean of the vectors of each text's known words; zero for a text that has none."""
        result = np.zeros((len(texts), self.config.dimensions), np.float32)
        for row, text in zip(result, texts, strict=True):
            known = [self.vectors.index[word] for word in lower_words(text) if word in self.vectors]
            if known:
                row[:] = self.vectors.vectors[known].mean(0)
        return result

    def pair_counts(self, text: str, seed: int) -> PairCounts | None:
        """How often words meet in a pass over the training split ``text``, with the windows and subsampling of
        training; None for CBOW, which scores no pairs."""
        if self.config.architecture != "skip_gram":
            return None
        corpus = Corpus.read(self.training_text(text), words=self.vectors.words)
        met = corpus.pair_counts(self.config.window, keep_probabilities(corpus.counts, self.config.subsample), seed)
        return PairCounts(met, noise_distribution(corpus.counts), self.config.negatives, self.outputs)

    def save(self, folder: Path) -> None:
        """``word2vec.npz``: words, counts, both sets of vectors."""
        arrays: dict[str, NDArray[Any]] = {
            "words": np.array(self.vectors.words),
            "counts": self.counts,
            "seed": np.array(self.seed),
        }
        write_npz(folder / _FILE, {**arrays, "inputs": self.vectors.vectors, "outputs": self.outputs})

    @classmethod
    def load(cls, folder: Path, config: Word2VecConfig, device: str = "cpu") -> Word2Vec:
        """The inverse of :meth:`save`; ``device`` makes no difference."""
        path = folder / _FILE
        if not path.is_file():
            raise BenchError(f"no vectors at {path}: run `dvc repro` first")
        system = cls(config)
        with np.load(path, allow_pickle=False) as file:
            system._vectors = WordVectors([str(word) for word in file["words"]], file["inputs"])
            system.outputs, system.counts, system.seed = file["outputs"], file["counts"], int(file["seed"])
        return system
