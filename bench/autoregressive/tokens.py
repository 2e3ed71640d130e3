"""Text to the token ids of a neural language model: characters, or byte-level BPE (Sennrich et al. 2016; Radford et al.
2019).

Both cover every byte of any text: a character that the training text lacks is the escape ``UNKNOWN`` and is spelled out
in bytes; byte-level BPE has the 256 bytes among its tokens and needs no escape (its id ``UNKNOWN`` is never used).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.autoregressive.vocabulary import UNKNOWN, Vocabulary, byte_nats, characters, utf8_lengths

__all__ = ["UNITS", "BytePairs", "Characters", "Tokens", "build_tokens", "restore_tokens"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

UNITS = ("characters", "bpe")


class Tokens(Protocol):
    """What a neural language model needs of its vocabulary."""

    name: str

    def __len__(self) -> int: ...

    def encode(self, text: str) -> Ints:
        """Ids."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD."""

    def lengths(self, text: str) -> Ints:
        """UTF-8 bytes of each token of ``text``."""

    def spelling(self, text: str) -> Floats:
        """Nats that each token of ``text`` costs beyond its own probability (the spelling of escapes)."""

    def to_bytes(self) -> NDArray[np.uint8]:
        """For an npz."""


class Characters:
    """One token a character."""

    name = "characters"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> Ints:
        return self.vocabulary.encode(characters(text))

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.vocabulary.decode(token) for token in ids)

    def lengths(self, text: str) -> Ints:
        return utf8_lengths(characters(text))

    def spelling(self, text: str) -> Floats:
        nats = np.zeros(len(text))
        for place in np.flatnonzero(self.encode(text) == UNKNOWN):
            nats[place] = byte_nats(text[place])
        return nats

    def to_bytes(self) -> NDArray[np.uint8]:
        return self.vocabulary.to_bytes()


class BytePairs:
    """Byte-level BPE of the `tokenizers` library; id 0 is kept free for the escape of the other vocabularies."""

    name = "bpe"

    def __init__(self, description: str) -> None:
        from tokenizers import Tokenizer

        self._description = description
        self._tokenizer = Tokenizer.from_str(description)
        # Each character of a byte-level token stands for one byte.
        pieces = sorted((i, token) for token, i in self._tokenizer.get_vocab().items())
        self._sizes = np.array([0, *(len(token) for _, token in pieces)], dtype=np.int64)

    @classmethod
    def train(cls, text: str, size: int) -> BytePairs:
        """Merges learned on ``text`` until the vocabulary has ``size`` ids (fewer if the text has nothing more to
        merge)."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size - 1,
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
        )
        tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(tokenizer.to_str())

    def __len__(self) -> int:
        return len(self._sizes)

    def encode(self, text: str) -> Ints:
        return np.array(self._tokenizer.encode(text).ids, dtype=np.int64) + 1

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode([int(i) - 1 for i in ids if i != UNKNOWN]))

    def lengths(self, text: str) -> Ints:
        sizes: Ints = self._sizes[self.encode(text)]
        return sizes

    def spelling(self, text: str) -> Floats:
        return np.zeros(len(self.encode(text)))

    def to_bytes(self) -> NDArray[np.uint8]:
        return np.frombuffer(self._description.encode(), dtype=np.uint8)


def build_tokens(unit: str, text: str, size: int) -> Tokens:
    """The vocabulary of ``text``: its characters, or ``size`` byte-level BPE tokens."""
    return BytePairs.train(text, size) if unit == "bpe" else Characters(Vocabulary.build(text))


def restore_tokens(unit: str, data: NDArray[np.uint8]) -> Tokens:
    """The inverse of ``to_bytes``."""
    return BytePairs(data.tobytes().decode()) if unit == "bpe" else Characters(Vocabulary.from_bytes(data))
