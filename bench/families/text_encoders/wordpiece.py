"""WordPiece: a vocabulary of words and pieces of words, learned from text (Schuster and Nakajima 2012; Devlin et al.
2019, section 3).

Training and splitting are done by the ``tokenizers`` library. Its trainer numbers the continuing letters (``##a``) in
the order of a hash map, which differs from run to run and breaks ties differently; they are numbered in advance here,
so that the same text gives the same vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import BenchError
from bench.base.texts import read_text, split_lines

__all__ = ["CLS", "MASK", "PAD", "SEP", "SPECIAL", "UNK", "WordPiece"]

Ints = NDArray[np.int64]

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ADVICE = "a vocabulary is UTF-8: convert the file, or download it again"
_MINIMUM_LETTERS = 3
"""A letter seen less often is not in the vocabulary: a word with it becomes [UNK]."""


class WordPiece:
    """Texts to ids and back.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` whose model has the five special tokens.

    Raises:
        BenchError: a special token is missing.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        missing = [token for token in SPECIAL if tokenizer.token_to_id(token) is None]
        if missing:
            raise BenchError(f"this vocabulary lacks {', '.join(missing)}: a BERT vocabulary has {' '.join(SPECIAL)}")
        self.pad, self.unknown, self.cls, self.sep, self.mask = (int(tokenizer.token_to_id(token)) for token in SPECIAL)
        self.size = int(tokenizer.get_vocab_size())
        self.special = np.array(sorted({self.pad, self.unknown, self.cls, self.sep, self.mask}), dtype=np.int64)

    def __len__(self) -> int:
        return self.size

    @classmethod
    def train(cls, lines: Iterable[str], size: int, *, lowercase: bool = True) -> WordPiece:
        """A vocabulary of at most ``size`` tokens; the same lines give the same vocabulary.

        Args:
            lines: the training text in pieces.
            size: special tokens and letters included; fewer where the text has fewer pairs worth joining.
            lowercase: ``Tea`` and ``tea`` are one word, and accents are taken off, as in BERT "uncased".

        Raises:
            BenchError: no letter occurs often enough, or they alone need more than ``size`` tokens.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        normalizer = _normalizer(lowercase)
        plain = [normalizer.normalize_str(line) for line in lines]
        counts = Counter[str]()
        for line in plain:
            counts.update(line)
        letters = sorted(c for c, count in counts.items() if count >= _MINIMUM_LETTERS and not c.isspace())
        if not letters:
            raise BenchError(
                f"no letter occurs {_MINIMUM_LETTERS} times in the training text: there is no vocabulary to learn"
            )
        if 2 * len(letters) + len(SPECIAL) > size:
            raise BenchError(
                f"{len(letters)} letters, each alone and inside a word, need {2 * len(letters) + len(SPECIAL)} tokens: "
                f"raise `model.vocabulary` above {size}"
            )
        rare = {ord(c): " " for c in counts if c not in set(letters) and not c.isspace()}
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            special_tokens=[*SPECIAL, *(f"##{c}" for c in letters)],
            show_progress=False,
            limit_alphabet=len(letters),
        )
        learner: Any = Tokenizer(models.WordPiece(unk_token=UNK))
        learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        learner.train_from_iterator([line.translate(rare) for line in plain], trainer)
        return cls(_tokenizer(learner.get_vocab(), lowercase))

    @classmethod
    def read(cls, folder: Path) -> WordPiece:
        """The vocabulary of a pretrained BERT: ``tokenizer.json``, or ``vocab.txt`` (taken to be lower-case).

        Raises:
            BenchError: neither file is there, or it is no WordPiece vocabulary.
        """
        described, plain = folder / "tokenizer.json", folder / "vocab.txt"
        if described.is_file():
            return cls.from_text(read_text(described, advice=_ADVICE), str(described))
        if plain.is_file():
            tokens = split_lines(read_text(plain, advice=_ADVICE))
            return cls(_tokenizer({token: i for i, token in enumerate(tokens) if token}, lowercase=True))
        raise BenchError(f"no vocabulary in {folder}: it must hold tokenizer.json or vocab.txt")

    @classmethod
    def from_text(cls, text: str, where: str = "vocabulary") -> WordPiece:
        """The inverse of :meth:`to_text`."""
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise BenchError(f"{where}: not a vocabulary of the tokenizers library ({error})") from error
        return cls(tokenizer)

    def to_text(self) -> str:
        """Vocabulary and normalisation as JSON."""
        return str(self._tokenizer.to_str(pretty=False))

    def encode(self, texts: Sequence[str]) -> list[Ints]:
        """Ids of each text, without special tokens; a word that cannot be spelled from the vocabulary is
        ``unknown``."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(entry.ids, dtype=np.int64) for entry in found]

    def token(self, index: int) -> str:
        """The token of an id: a word, ``##`` and a piece, or a special token."""
        return str(self._tokenizer.id_to_token(int(index)))

    def text(self, ids: Iterable[int]) -> str:
        """Tokens joined by spaces, pieces joined to the piece before them.

        The spaces around punctuation are not known any more: ``tea , please``.
        """
        return " ".join(self.token(i) for i in ids).replace(" ##", "")


def _normalizer(lowercase: bool) -> Any:
    from tokenizers import normalizers

    return normalizers.BertNormalizer(lowercase=lowercase)


def _tokenizer(vocabulary: dict[str, int], lowercase: bool) -> Any:
    """Special tokens are plain entries: ``[MASK]`` in a user's text is five letters, not a command."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(lowercase), pre_tokenizers.BertPreTokenizer()
    return tokenizer
