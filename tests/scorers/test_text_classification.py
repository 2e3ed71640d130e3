"""A third text encoder, which the project knows nothing of, is scored beside BERT without a change in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.catalogue import plugins
from bench.catalogue.families import FAMILIES
from bench.config.load import load_params
from bench.context import StageContext
from bench.contracts import RunContext, TextEncoder
from bench.data.datasets import load, load_meta, write_meta, write_texts
from bench.pipeline.plan import data_of, scorers_of
from bench.pipeline.validation import validate
from bench.scorers.text_classification import ClassificationOptions
from bench.scoring import evaluate

SCORERS = FAMILIES["text_encoders"].task("TextEncoder").scorers
TOPICS = {
    "sea": ["wave", "ship", "sail", "tide", "fish", "harbour"],
    "air": ["cloud", "wing", "kite", "wind", "bird", "feather"],
}
COMMON = ["the", "a", "of", "with", "small", "old", "and", "near"]


@dataclass(frozen=True)
class LSAConfig:
    """Settings of :class:`LSA`."""

    dimensions: int = 16


class LSA:
    """Latent semantic analysis: TF-IDF of words, reduced by a singular value decomposition (Deerwester et al. 1990)."""

    Config: ClassVar[type] = LSAConfig

    def __init__(self, config: LSAConfig) -> None:
        self.config = config
        self.words = TfidfVectorizer(sublinear_tf=True)
        self.projection = np.zeros((0, 0))

    def fit(self, corpus: Mapping[str, str], run: RunContext) -> None:
        counts = self.words.fit_transform(corpus["train"].split("\n"))
        self.projection = TruncatedSVD(self.config.dimensions, random_state=run.seed).fit(counts).components_.T

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(self.words.transform(texts) @ self.projection, dtype=np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        words = {word: int(i) for word, i in self.words.vocabulary_.items()}
        write_json(folder / "lsa.json", {"words": words, "idf": self.words.idf_.tolist()})
        np.save(folder / "lsa.npy", self.projection)

    @classmethod
    def load(cls, folder: Path, config: LSAConfig, device: str = "cpu") -> LSA:
        system, facts = cls(config), read_json(folder / "lsa.json")
        system.words = TfidfVectorizer(sublinear_tf=True, vocabulary=facts["words"])
        system.words.idf_ = np.array(facts["idf"])
        system.projection = np.load(folder / "lsa.npy")
        return system


def _texts(n: int, seed: int) -> list[tuple[str, str]]:
    """Texts of two topics: six words of neither, two of their own or, once in ten, of the other."""
    rng = np.random.default_rng(seed)
    texts = []
    for label in rng.choice(list(TOPICS), n).tolist():
        topic = label if rng.random() < 0.9 else next(other for other in TOPICS if other != label)
        texts.append((label, " ".join([*rng.choice(TOPICS[topic], 2), *rng.choice(COMMON, 6)])))
    return texts


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("encoders")
    prose, news = root / "prose", root / "news"
    prose.mkdir()
    news.mkdir()
    text = "\n".join(line for _, line in _texts(400, 9))
    counts = write_texts(prose, {"train": text, "validation": text[:200], "test": text[:200]})
    write_meta(prose, {"name": "prose", "kind": "text", "splits": counts})
    for seed, (split, n) in enumerate({"train": 120, "validation": 6, "test": 80}.items()):
        lines = [json.dumps({"label": label, "text": line}) for label, line in _texts(n, seed)]
        (news / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(news / "meta.json", {"kind": "labelled_texts", "classes": list(TOPICS)})
    return root


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LSA, known through the entry point of an installed package."""
    point = SimpleNamespace(name="lsa", value=f"{__name__}:LSA")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == "words_and_pixels.systems" else [])
    plugins.plugins.cache_clear()
    yield
    plugins.plugins.cache_clear()


def trained(root: Path) -> LSA:
    system = LSA(LSAConfig())
    system.fit(load(root / "prose"), RunContext(seed=3))
    return system


def context(root: Path, judged: str = "news", **keys: Any) -> StageContext:
    system, model = trained(root), root / "models" / "lsa"
    system.save(model)
    write_json(
        model / "model.json", {"name": "lsa", "system": "lsa", "config": dataclasses.asdict(system.config), "uses": {}}
    )
    block = {"system": "lsa", "dataset": "prose", "evaluate": keys, "family": "text_encoders"}
    other = {"judged_on": root / judged} if judged else {}
    return StageContext("lsa", "text_encoders", block, 0, "cpu", root / "prose", model, {}, other, quiet=True)


@pytest.mark.usefixtures("plugged")
def test_a_third_encoder_is_classified_with_what_its_features_tell(root: Path) -> None:
    found = evaluate(context(root, probe=40), scorers_of({"system": "lsa", "family": "text_encoders"}))
    rows = {record.metric: record for record in found.records}
    assert set(rows) == {"accuracy", "macro_f1"} and isinstance(trained(root), TextEncoder)
    for record in rows.values():
        assert (record.variant, record.dataset, record.n, record.role) == ("method=frozen", "news", 80, "generator")
        assert record.protocol == f"{record.metric}/news/labels=40/v1" and record.higher_is_better is True
        assert record.ci95 is not None and record.ci95[0] < record.value < record.ci95[1]
    assert rows["accuracy"].value > 0.7


@pytest.mark.usefixtures("plugged")
def test_the_scores_are_those_of_scikit_learn_on_all_labels(root: Path) -> None:
    found = evaluate(context(root, probe=10_000), SCORERS)
    data, classes, system = load(root / "news"), load_meta(root / "news")["classes"], trained(root)
    scaler = StandardScaler().fit(system.embed_texts(data["train"].texts))
    train, test = (scaler.transform(system.embed_texts(data[split].texts)) for split in ("train", "test"))
    said = LogisticRegression(max_iter=2000).fit(train, data["train"].labels).predict(test)
    truth = data["test"].labels
    assert [row["value"] for row in found.rows] == pytest.approx(
        [accuracy_score(truth, said), f1_score(truth, said, average="macro", labels=range(len(classes)))]
    )
    assert found.rows[0]["protocol"] == "accuracy/news/labels=120/v1"
    assert evaluate(context(root, probe=10_000), SCORERS).rows == found.rows
    assert {row["n"] for row in evaluate(context(root, probe=40, tests=30), SCORERS).rows} == {30}


@pytest.mark.usefixtures("plugged")
def test_its_block_is_checked_and_its_data_are_dependencies(root: Path, tmp_path: Path) -> None:
    path, cards = tmp_path / "params.yaml", Path(__file__).parents[2] / "datasets"
    block = "{system: lsa, dataset: wiki, judged_on: reuters-r8, model: {dimensions: 4}, evaluate: {probe: 50}}"
    datasets = "".join(f"  {name}: {{card: {cards}/{name}.yaml}}\n" for name in ("wiki", "reuters-r8"))
    good = f"datasets:\n{datasets}text_encoders:\n  lsa: {block}\n"
    path.write_text(good)
    params = load_params(path)
    validate(params, tmp_path)
    assert data_of(params, "lsa", "evaluate") == {"judged_on": "reuters-r8"}
    path.write_text(good.replace("probe", "probes"))
    with pytest.raises(BenchError, match=r"lsa\.evaluate: unknown key 'probes'\. Did you mean 'probe'"):
        validate(load_params(path), tmp_path)


@pytest.mark.usefixtures("plugged")
def test_bad_input(root: Path) -> None:
    with pytest.raises(BenchError, match="judged_on: <data set of labelled texts>` is missing"):
        evaluate(context(root, judged="", probe=40), SCORERS)
    with pytest.raises(BenchError, match="is of kind text, not labelled_texts"):
        evaluate(context(root, judged="prose", probe=40), SCORERS)
    with pytest.raises(BenchError, match="1 labels for 2 classes"):
        evaluate(context(root, probe=1), SCORERS)
    with pytest.raises(ValueError, match="probe: must be a whole number of at least 1"):
        ClassificationOptions(probe=0)
