"""A trained generator as an MLflow model ("models from code": this file itself is logged, with the package beside it).

``predict`` takes what the contract asks for::

    model = mlflow.pyfunc.load_model(uri)
    model.predict(["To be"], params={"n_chars": 200, "seed": 7})  # words: beginnings -> texts
    model.predict(pandas.DataFrame({"prompt": ["a red three"]}))  # text to image: captions -> (N, H, W, 3)
    model.predict(16)                                             # images: a count -> (16, H, W, C)
    model.predict(pandas.DataFrame({"label": [0, 1, 2]}))         # images: asked classes
    model.predict(exemplar)                                       # textures: (H, W[, 3]) -> (1, h, w[, 3])
    model.predict(frames, params={"n_frames": 300})               # video textures: (T, H, W, C) -> (300, H, W, C)
    model.predict({"a": a, "a_prime": a_prime, "b": b})           # analogies: pictures -> (1, H, W, 3)
    model.predict({"content": content, "style": style})           # style transfer: pictures -> (1, H, W, 3)
    model.predict(["some text"])                                  # text encoders: texts -> (N, dimensions)
    model.predict(pictures)                                       # codecs, encoders: (N, H, W, C)

Pictures are uint8, integers from 0 to 255, or floats in [0, 1]; anything else is refused, and so are integers of 0 and
1 alone, which could be either. Labels and counts are integers.

A data frame may have the columns ``prompt``, ``negative_prompt``, ``label`` or ``count``. Further keyword arguments of
the system's ``sample`` come as JSON in ``params={"options": '{"steps": 10}'}``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
from mlflow.pyfunc.model import PythonModel

from bench.base.files import read_json
from bench.base.finite import drawn_by
from bench.inference import parse_request, predict

__all__ = ["Generator"]


class _Answering:
    """Apart from :class:`Generator`, whose own ``predict`` MLflow would tie to one type of input."""

    def load_context(self, context: Any) -> None:
        """``artifacts["model"]`` is a copy of ``models/<name>``, what it uses lies beside it; ``facts`` names its
        family."""
        from bench.registry import load_model

        facts = read_json(Path(context.artifacts["facts"]))
        self.name, self.family = str(facts.get("name", "")), str(facts["family"])
        self.system = load_model(Path(context.artifacts["model"]), "cpu", defaults=facts.get("defaults"))

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow infers schemas of type hints
        """A list of texts, or one array of pictures (or features)."""
        with drawn_by(self.name):
            found = predict(self.system, self.family, parse_request(self.family, model_input, params or {}))
        return found if self.family == "words" else np.stack(found)


class Generator(_Answering, PythonModel):
    """Loads the model's folder through the registry and answers requests."""


mlflow.models.set_model(Generator())
