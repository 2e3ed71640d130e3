"""Cards: the shipped ones are right, wrong ones are refused with file, key and what is allowed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from bench.base.errors import BenchError
from bench.data.card_reader import card_of_block, load_card
from bench.data.cards import Card
from bench.data.names import matches, plain_path

ROOT = Path(__file__).parents[2]
SHA = "0" * 64
GOOD = {
    "name": "mine",
    "kind": "text",
    "licence": "mine",
    "attribution": "me",
    "sources": [{"path": "my.txt"}],
    "split": {"rule": "position", "validation": 0.1, "test": 0.1},
}


def card_with(tmp_path: Path, change: dict) -> Card:
    raw = copy.deepcopy(GOOD)
    for key, value in change.items():
        if value is None:
            raw.pop(key, None)
        else:
            raw[key] = value
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(raw))
    return load_card(path)


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_cards(path):
    card = load_card(path)
    assert card.name == path.stem
    assert card.licence
    assert card.attribution
    # Everything that comes from a registry is pinned: the archive, or each of its members.
    for source in card.sources:
        assert all(source.sha256) or all(member.sha256 for member in card.members)


def test_shipped_data_folder_holds_no_code():
    assert not list((ROOT / "datasets").rglob("*.py"))


def test_defaults(tmp_path):
    card = card_with(tmp_path, {})
    assert (card.format, card.encoding, card.on_broken) == ("text", "utf-8", "refuse")
    assert [m.name for m in card.members] == ["**"]
    assert card.sources[0].client == "path"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"licence": None}, "licence: missing"),
        ({"attribution": 3}, "attribution: must be a text"),
        ({"kind": "txt"}, "kind: 'txt' is not allowed; one of text, images"),
        ({"kind": "txt"}, "Did you mean 'text'?"),
        ({"licens": "x"}, "unknown key 'licens'. Did you mean 'licence'?"),
        ({"name": "My Data"}, "name: lower-case letters"),
        ({"sources": None}, "sources: must be a list of at least one source"),
        ({"sources": [{"pypy": "a==1"}]}, "Did you mean 'pypi'?"),
        (
            {"sources": [{"path": "a", "url": "http://x/y", "sha256": SHA}]},
            "sources[0]: names one of pypi, npm, url, path, installed",
        ),
        ({"sources": ["my.txt"]}, "sources[0]: must be a mapping such as"),
        ({"sources": [{"pypi": "a"}]}, "sources[0].pypi: must be name==version"),
        ({"sources": [{"pypi": "--index-url==1"}]}, "sources[0].pypi: must be name==version"),
        ({"sources": [{"pypi": "a==1", "kind": "egg"}]}, "sources[0].kind: 'egg' is not allowed; one of sdist, wheel"),
        ({"sources": [{"npm": "a"}]}, "sources[0].npm: must be name@version"),
        ({"sources": [{"npm": "./a@1"}]}, "sources[0].npm: must be name@version"),
        ({"sources": [{"url": "http://x/y"}]}, "sources[0].sha256: missing"),
        ({"sources": [{"url": "ftp://x/y", "sha256": SHA}]}, "must begin with http:// or https://"),
        ({"sources": [{"url": ["http://x/y", "http://x/z"], "sha256": [SHA]}]}, "1 digests for 2 addresses"),
        ({"sources": [{"path": "a", "sha256": "abc"}]}, "sources[0].sha256: must be a sha256"),
        ({"sources": [{"path": "a", "prefix": "../x"}]}, "sources[0].prefix: must be a folder inside the archive"),
        ({"members": ["../x"]}, "members[0]: must be a relative file name"),
        ({"members": ["/etc/x"]}, "members[0]: must be a relative file name"),
        ({"members": [{"name": "*.txt", "sha256": SHA}]}, "a pattern cannot have one digest"),
        ({"members": [{"nam": "a.txt"}]}, "members[0]: unknown key 'nam'. Did you mean 'name'?"),
        ({"members": []}, "members: must be a list"),
        ({"split": {"rule": "official"}}, "split.rule: 'official' is not allowed; one of works, fraction, position"),
        ({"split": {"rule": "works", "validation": ["a"]}}, "split.test: must be a list of member names"),
        (
            {"split": {"rule": "position", "validation": 0.1, "test": 0.6}},
            "split.test: must be a share between 0 and 0.5",
        ),
        (
            {"split": {"rule": "position", "validation": 0.1, "test": 0.1, "sed": 1}},
            "unknown key 'sed'. Did you mean 'seed'?",
        ),
        ({"split": None}, "split: must be a mapping"),
        ({"encoding": "utf8"}, "encoding: 'utf8' is not allowed; one of utf-8, latin-1"),
        ({"on_broken": "ignore"}, "on_broken: 'ignore' is not allowed; one of skip, refuse"),
        ({"kind": "images", "split": {"rule": "fraction", "validation": 0.1, "test": 0.1}}, "size: missing"),
        ({"kind": "images", "size": [0, 3]}, "size: must be [height, width]"),
        ({"kind": "images", "size": [8, 8], "channels": 4}, "channels: must be 1 (grey) or 3 (colour), not 4"),
        (
            {"kind": "captioned_images", "size": [8, 8], "split": {"rule": "fraction", "validation": 0.1, "test": 0.1}},
            "captions: missing",
        ),
        (
            {"kind": "images", "size": [8, 8], "split": {"rule": "official", "test": 3}},
            "split.test: not allowed with rule 'official'",
        ),
        ({"kind": "scenes"}, "sources: scenes are rendered from another data set"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, change, said):
    with pytest.raises(BenchError) as error:
        card_with(tmp_path, change)
    assert said in str(error.value)
    assert str(tmp_path / "mine.yaml") in str(error.value)


def test_missing_card_and_broken_yaml(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: [")
    with pytest.raises(BenchError, match="is not YAML"):
        load_card(tmp_path / "mine.yaml")
    with pytest.raises(BenchError, match=r"no card .*mime.yaml\. Did you mean '.*mine.yaml'\?"):
        load_card(tmp_path / "mime.yaml")


def test_block_changes_the_card():
    block = {"card": "datasets/scenes.yaml", "source": "mnist", "train": 50, "judge": 7}
    card = card_of_block("scenes", block, root=ROOT)
    assert (card.render.train, card.render.judge, card.render.test) == (50, 7, 4000)
    card = card_of_block("mnist", {"card": "datasets/mnist.yaml", "limit": {"train": 100}}, root=ROOT)
    assert card.limit == {"train": 100}


@pytest.mark.parametrize(
    ("name", "block", "said"),
    [
        ("mnist", {}, "params.yaml: datasets.mnist.card: missing"),
        ("digits", {"card": "datasets/mnist.yaml"}, "name: 'mnist' differs from the block's name 'digits'"),
        ("mnist", {"card": "datasets/mnist.yaml", "limits": {}}, "unknown key 'limits'. Did you mean 'limit'?"),
        (
            "mnist",
            {"card": "datasets/mnist.yaml", "limit": {"train": 0}},
            "limit.train: must be a whole number of at least 1",
        ),
        (
            "scenes",
            {"card": "datasets/scenes.yaml", "train": "many"},
            "scenes.train: must be a whole number of at least 1, not 'many'",
        ),
    ],
)
def test_wrong_blocks_are_refused(name, block, said):
    with pytest.raises(BenchError) as error:
        card_of_block(name, block, root=ROOT)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "./a", "a\\b", "C:/a", "c:a", "a\0b", ".."])
def test_hostile_names(name):
    assert not plain_path(name)


@pytest.mark.parametrize("name", ["a", "a/b.txt", "..a", "a..b/c", "a b", "naïve/é.png", "a/b:c"])
def test_harmless_names(name):
    assert plain_path(name)


def test_patterns():
    assert matches("a/b/c.png", "**/*.png")
    assert matches("c.png", "**/*.png")
    assert matches("a/b/c.png", "a/**")
    assert not matches("a/b/c.png", "*.png")
    assert not matches("axpng", "a.png")
    assert matches("a1.png", "a?.png")
