"""What the report needs to know of the plug-in's metric: imports nothing but the catalogue."""

from __future__ import annotations

from bench.catalogue.metrics import MetricInfo

__all__ = ["TYPE_TOKEN_RATIO"]

TYPE_TOKEN_RATIO = MetricInfo(
    "type_token_ratio",
    "Types per 100 tokens",
    True,
    "types",
    "Different words among the first hundred of a text, mean over the texts",
)
