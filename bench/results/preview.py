from __future__ import annotations
from typing import Any
def preview_png(context: Any) -> bytes:
    return b""
