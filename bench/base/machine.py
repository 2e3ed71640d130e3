"""How protocol ids name a machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["machine_id"]


def machine_id(facts: Mapping[str, Any]) -> str:
    """Processor or GPU and threads, for the protocols of clocked costs: seconds of two machines share no column.

    >>> machine_id({"device": "cpu", "name": "AMD EPYC 9R14", "threads": 2})
    'cpu=amd-epyc-9r14/threads=2'
    """
    kind = str(facts.get("device", "cpu")).partition(":")[0]
    name = re.sub(r"[^a-z0-9]+", "-", str(facts.get("name", "")).lower()).strip("-") or "unknown"
    return f"{kind}={name}/threads={facts.get('threads', 1)}"
