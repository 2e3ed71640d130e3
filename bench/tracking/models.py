"""Trained generators as MLflow models: which folders travel, what ``predict`` is asked, how they are registered."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.base.files import read_json, write_json
from bench.inference import PREDICT_PARAMS
from bench.results.sources import Entry

__all__ = ["log_model", "model_folders", "model_requirements", "request_schema"]

MODEL_REQUIREMENTS = ("mlflow", "numpy", "torch", "safetensors", "pyyaml")
_CAPTIONS = ("prompt", "negative_prompt")
MAX_MODEL_BYTES = 256 * 2**20


def model_folders(models: Path, name: str) -> Sequence[Path]:
    """``models/<name>`` and, behind it, every folder that it uses, directly or not."""
    found: list[Path] = []
    todo = [name]
    while todo:
        folder = models / todo.pop(0)
        if folder in found or not (folder / "model.json").is_file():
            continue
        found.append(folder)
        todo += [str(other) for other in (read_json(folder / "model.json").get("uses") or {}).values()]
    return found


def model_requirements() -> list[str]:
    """Pinned requirements of a logged model, without local version parts (``2.13.0+cpu`` -> ``2.13.0``)."""
    pinned = []
    for name in MODEL_REQUIREMENTS:
        try:
            pinned.append(f"{name}=={metadata.version(name).split('+')[0]}")
        except metadata.PackageNotFoundError:
            continue
    return pinned


def request_schema(family: str) -> tuple[Any, Any]:
    """Schema and example of what ``predict`` takes, (None, None) where pictures are asked for.

    MLflow enforces a schema before the model sees the request. Beginnings, texts, counts and classes are one column
    without a name, so that a list will do; a caption and what the picture shall not show are two. A tensor has one type
    of numbers, and pictures may be bytes, integers or floats: the model checks those itself.
    """
    import pandas
    from mlflow.types.schema import ColSpec, DataType, Schema

    if family in ("words", "text_encoders"):
        return Schema([ColSpec(DataType.string)]), ["To be"]
    if family == "images":
        return Schema([ColSpec(DataType.long)]), [4]
    if family == "text_to_image":
        caption, avoided = (ColSpec(DataType.string, name, required=name == "prompt") for name in _CAPTIONS)
        return Schema([caption, avoided]), pandas.DataFrame({"prompt": ["a red three above a blue seven"]})
    return None, None


def _signature(schema: Any) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import DataType, ParamSchema, ParamSpec

    kinds = {int: DataType.long, float: DataType.double, str: DataType.string}
    params = ParamSchema([ParamSpec(name, kinds[type(value)], value) for name, value in PREDICT_PARAMS.items()])
    return ModelSignature(inputs=schema, params=params)


@contextmanager
def _fluent(mlflow: Any, uri: str) -> Iterator[None]:
    """MLflow's global state set to a store, and put back: ``set_tracking_uri`` also writes the environment."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow asks for type hints and inferred schemas
            yield
    finally:
        mlflow.set_tracking_uri("")
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before


def log_model(mlflow: Any, uri: str, run_id: str, root: Path, entry: Entry, description: str) -> str:
    """Log the trained model under its generator's name, and register it as the next version of that name.

    Args:
        mlflow: the module.
        uri: the store.
        run_id: the generator's run.
        root: the checkout.
        entry: the generator.
        description: of the version.

    Returns:
        A note why there is none, or ``""``.
    """
    folders = model_folders(root / "models", entry.name)
    if not folders:
        return "none: no trained model on this machine"
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    if size > MAX_MODEL_BYTES:
        return f"none: {size:,} bytes are too many for the store; it lies in models/{entry.name}"
    schema, example = request_schema(entry.family)
    with _fluent(mlflow, uri), mlflow.start_run(run_id=run_id), tempfile.TemporaryDirectory() as scratch:
        facts = Path(scratch) / "facts.json"
        described = {"name": entry.name, "family": entry.family, "system": entry.system}
        write_json(facts, {**described, "defaults": dict((entry.block.get("sample") or {}).get("defaults") or {})})
        others = {folder.name: str(folder) for folder in folders[1:]}
        logged = mlflow.pyfunc.log_model(
            name=entry.name,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"model": str(folders[0]), "facts": str(facts), **others},
            code_paths=[str(Path(__file__).resolve().parents[1])],
            pip_requirements=model_requirements(),
            signature=_signature(schema),
            input_example=example,
        )
        tags = {"family": entry.family, "system": entry.system, "dataset": entry.dataset}
        _register(mlflow.MlflowClient(), entry.name, logged, run_id, tags, description)
    return ""


def _register(client: Any, name: str, logged: Any, run_id: str, tags: Mapping[str, str], description: str) -> None:
    """The next version of a registered model; MLflow's own function prints."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags=dict(tags))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        name,
        source=logged.model_uri,
        run_id=run_id,
        description=description,
        model_id=logged.model_id,
        await_creation_for=0,
    )
