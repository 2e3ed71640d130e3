"""Articles out of a MediaWiki dump: what is left of the markup, which pages are left out, and broken files."""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.data.card_reader import card_of_block
from bench.data.datasets import load
from bench.data.prepare import prepare_card
from bench.data.wikitext import plain_paragraphs, read_wikitext

PAGE = "<page><title>{title}</title><ns>{ns}</ns>{extra}<revision><text>{text}</text></revision></page>"
ROOT = Path(__file__).parents[2]


def dump(path: Path, *pages: tuple[str, str, str, str]) -> Path:
    """A dump of (title, namespace, extra elements, markup)."""
    body = "".join(
        PAGE.format(title=t, ns=n, extra=e, text=m.replace("&", "&amp;").replace("<", "&lt;")) for t, n, e, m in pages
    )
    xml = f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/"><siteinfo/>{body}</mediawiki>'
    path.write_bytes(bz2.compress(xml.encode()) if path.suffix == ".bz2" else xml.encode())
    return path


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("'''Tea''' is ''hot''.", ["Tea is hot."]),
        ("A [[drink|beverage]] of [[China]].", ["A beverage of China."]),
        ("One.\n\nTwo.", ["One.", "Two."]),
        ("Dated {{circa|1200}} or so{{cn}}.", ["Dated or so."]),
        ("Nested {{a|{{b|c}}|d}} gone.", ["Nested gone."]),
        ("Noted.<ref name=x>Smith, ''Tea''</ref> Again.<ref name=x/>", ["Noted. Again."]),
        ("Before.\n{| class=wikitable\n|-\n| a || b\n|}\nAfter.", ["Before.", "After."]),
        ("[[File:Tea.jpg|thumb|A [[cup]] of tea]]Text.\n[[Category:Drinks]]", ["Text."]),
        ("Text.\n[[de:Tee]]", ["Text."]),
        ("The [[:Category:Drinks]] of [http://example.org a site].", ["The Category:Drinks of a site."]),
        ("x<!-- hidden -->y &amp; z&nbsp;&mdash; w", ["xy & z — w"]),
        ("Mass <math>m^2</math> and <code>i++</code> end.", ["Mass and end."]),
        ("Aristotle ({{lang|el|A}}; {{IPA|b}}, Greek) lived.", ["Aristotle (Greek) lived."]),
        ("Empty ({{IPA|b}}) brackets.", ["Empty brackets."]),
        ("Text.\n== History ==\nOld.\n=== See also ===\n* [[X]]\n== Use ==\nNew.", ["Text.", "Old.", "New."]),
        ("Text.\n== Notes ==\na\n=== Sub ===\nb\n== Use ==\nNew.", ["Text.", "New."]),
        (
            "Kinds:\n* green tea\n# black tea\n; term\n: indented",
            ["Kinds:", "green tea", "black tea", "term", "indented"],
        ),
        ("__NOTOC__\n----\n{{stub}}", []),
        ("an open ''mark and [[ bracket", ["an open mark and [[ bracket"]),
        ("Half &#xD800; a pair, &#8364; 1", ["Half a pair, € 1"]),
    ],
)
def test_markup_leaves_prose(markup: str, expected: list[str]) -> None:
    assert plain_paragraphs(markup) == expected


def test_redirects_other_namespaces_and_empty_pages_are_left_out(tmp_path: Path) -> None:
    pages = [
        ("Tea", "0", "", "A drink.\n\nHot."),
        ("Thé", "0", '<redirect title="Tea" />', "#REDIRECT [[Tea]]"),
        ("Old", "0", "", "#Redirect [[Tea]]"),
        ("Talk:Tea", "1", "", "Chat."),
        ("Stub", "0", "", "{{stub}}"),
        ("Café", "0", "", "A house."),
    ]
    expected = {"Tea": "A drink.\n\nHot.", "Café": "A house."}
    assert read_wikitext(dump(tmp_path / "a.xml.bz2", *pages)) == expected
    assert read_wikitext(dump(tmp_path / "a.xml", *pages)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml.bz2", bz2.compress(b"<mediawiki><page>" * 9)[:-12], "truncated or broken"),
        ("a.xml.bz2", b"no bz2 at all", "truncated or broken"),
        ("a.xml", b"<mediawiki><page>", "not the XML of a MediaWiki dump"),
        ("a.xml", b"plain text", "not the XML of a MediaWiki dump"),
        ("a.xml", b"<html/>", "no article with prose"),
        ("a.xml", b"", "not the XML of a MediaWiki dump"),
    ],
)
def test_a_broken_dump_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BenchError, match=message) as caught:
        read_wikitext(path)
    assert str(path) in str(caught.value)


def test_two_articles_of_one_title_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="two articles are called 'Tea'"):
        read_wikitext(dump(tmp_path / "a.xml", ("Tea", "0", "", "One."), ("Tea", "0", "", "Two.")))


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (["Tea", "Milk"], "both hold articles called 'Tea'"),
        (["A", "Tea", "B"], "both hold articles called 'Tea'"),
        ([f"Article {i:02d}" for i in range(8)], "'Article 00', 'Article 01', 'Article 02' and 5 more"),
    ],
)
def test_two_dumps_with_one_title_are_refused_and_named(tmp_path: Path, titles: list[str], said: str) -> None:
    folder = tmp_path / "raw"
    (folder / "b").mkdir(parents=True)
    first = ["Tea", *(f"Article {i:02d}" for i in range(40))]
    dump(folder / "a.xml", *((title, "0", "", f"First {title}.") for title in first))
    dump(folder / "b" / "c.xml", *((title, "0", "", f"Second {title}.") for title in titles))
    card = card_of_block("wiki", {"card": "datasets/wiki.yaml"}, root=ROOT)
    with pytest.raises(BenchError, match=said) as error:
        prepare_card(card, folder, tmp_path / "out", quiet=True)
    assert "a.xml and b/c.xml" in str(error.value)


def test_two_dumps_of_different_titles_are_one_data_set(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in "ab":
        dump(tmp_path / "raw" / f"{name}.xml", *((f"{name}{i}", "0", "", f"Prose {name}{i}.") for i in range(20)))
    card = card_of_block("wiki", {"card": "datasets/wiki.yaml"}, root=ROOT)
    prepare_card(card, tmp_path / "raw", tmp_path / "out", quiet=True)
    assert "".join(load(tmp_path / "out").values()).count("Prose") == 40


def test_whole_articles_go_to_one_split_and_twice_the_same(tmp_path: Path) -> None:
    pages = [(f"Article {i:02d}", "0", "", f"Prose of article number{i:02d}x.") for i in range(40)]
    (tmp_path / "raw" / "wiki").mkdir(parents=True)
    dump(tmp_path / "raw" / "wiki" / "dump.xml.bz2", *pages)
    card = card_of_block("wiki", {"card": "datasets/wiki.yaml"}, root=ROOT)
    first = prepare_card(card, tmp_path / "raw" / "wiki", tmp_path / "one", quiet=True)
    again = prepare_card(card, tmp_path / "raw" / "wiki", tmp_path / "two", quiet=True)
    assert first == again
    parts = load(tmp_path / "one")
    found = {split: {word for word in text.split() if word.startswith("number")} for split, text in parts.items()}
    assert {split: len(words) for split, words in found.items()} == {"train": 36, "validation": 2, "test": 2}
    assert len(set.union(*found.values())) == 40
