"""Names that come from data (slices, captions, titles) made safe for MLflow, for files and for protocol ids."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["LONGEST", "fitted_name", "safe_name", "slug"]

LONGEST = 250
"""Characters of a name in MLflow; of a file's name 255 bytes."""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def fitted_name(name: str, limit: int = LONGEST) -> str:
    """``name``, cut to ``limit`` bytes of UTF-8; a cut one ends in a digest of the whole, so that two stay two.

    >>> fitted_name("a" * 30, 20)
    'aaaaaaaaaaa-3a54fc0c'
    """
    encoded = name.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return name
    return f"{encoded[: limit - 9].decode('utf-8', 'ignore')}-{_digest(name)}"


def safe_name(text: str, limit: int = LONGEST) -> str:
    """``text`` as one part of a name: letters and digits of any script, ``_``, ``-``, ``.`` and space.

    ``key=value,key=value`` is written ``key-value.key-value``. A name that lost something else ends in a digest of the
    whole text: two texts never become one name.

    >>> safe_name("sampler=ddim,steps=50"), safe_name("собака")
    ('sampler-ddim.steps-50', 'собака')
    >>> safe_name("top-1 @ 10"), safe_name("top-1 # 10")
    ('top-1 _ 10-997fa764', 'top-1 _ 10-d5d6d9f4')
    """
    plain = text.replace("=", "-").replace(",", ".")
    kept = re.sub(r"[^\w\-. ]", "_", plain).strip(". ") or "_"
    return fitted_name(kept if kept == plain else f"{fitted_name(kept, limit - 9)}-{_digest(text)}", limit)


def slug(text: str, empty: str) -> str:
    """``text`` in ``a-z``, ``0-9`` and ``-``, as in names of blocks; one with letters of other scripts ends in a
    digest.

    >>> slug("My_Samples 2", "samples"), slug("собака", "samples")
    ('my-samples-2', 'samples-b37b8135')
    """
    kept = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or empty
    lost = any(ord(letter) > 127 and unicodedata.category(letter)[0] in "LNM" for letter in text)
    return fitted_name(f"{kept}-{_digest(text)}" if lost else kept, 100)
