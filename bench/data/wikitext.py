"""Articles of a MediaWiki dump (``pages-articles`` XML, plain or bz2) as plain paragraphs.

The markup is parsed by mwparserfromhell and its tree walked once, in linear time (the parser's own ``remove`` searches
the whole page for each node). What is not prose is left out: templates, tables, notes, pictures, categories, formulas,
and the sections that hold an article's apparatus ("References", "See also" ...). Links leave their label, lists their
items, one a line.
"""

from __future__ import annotations

import bz2
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from bench.base.errors import BenchError

__all__ = ["plain_paragraphs", "read_wikitext"]

_DROPPED_TAGS = re.compile(
    "ref|references|table|gallery|math|chem|ce|score|timeline|imagemap|syntaxhighlight|source|code|pre|graph|mapframe|hiero|templatedata|"
    "indicator|style|noinclude"
)
_MEDIA = re.compile(r"\s*(?:file|image|media|category)\s*:", re.IGNORECASE)
_INTERWIKI = re.compile(r"\s*(?:[a-z]{2,3}|simple|zh-[a-z-]+)\s*:", re.ASCII)
_APPARATUS = re.compile(
    "(notes and |explanatory |general |cited |specific )?references( and (notes|further reading))?|(explanatory "
    "|foot)?notes|citations|"
    "((primary|secondary|cited) )?sources( and further reading)?|bibliography|works cited|further reading|external "
    "links|see also|"
    "gallery|discography|filmography|awards"
)
_MAGIC = re.compile(r"__[A-Z]+__")
_EMPTY_BRACKETS = re.compile(r"\(\s*[,;:–—-]*\s*\)|\[\s*\]")
_OPENING = re.compile(r"\(\s*(?:[,;:]\s*)*")
_SPACES = re.compile(r"[^\S\n]+")
_SPACE_BEFORE = re.compile(r" +([,.;:!?)\]])(?=\s|$)")
_LINES = re.compile(r"\s*\n\s*")


def _text(node: Any, kinds: dict[type, Callable[[Any], str]]) -> str:
    handler = kinds.get(type(node))
    return handler(node) if handler else ""


def _walker() -> Callable[[Any], str]:
    """A function from parsed wikicode to its text; nodes of other types than these (templates, comments, arguments)
    leave nothing."""
    from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Tag, Text, Wikilink

    def walk(code: Any) -> str:
        return "".join(_text(node, kinds) for node in code.nodes) if code is not None else ""

    def link(node: Any) -> str:
        target = str(node.title)
        if _MEDIA.match(target) or (_INTERWIKI.match(target) and node.text is None):
            return ""
        return walk(node.text) if node.text is not None else walk(node.title).lstrip(":")

    def tag(node: Any) -> str:
        name = str(node.tag).strip().lower()
        if _DROPPED_TAGS.fullmatch(name):
            return ""
        if name in ("br", "hr", "li", "dt", "dd"):
            return "\n" if name in ("br", "hr") else ""
        return walk(node.contents)

    def entity(node: Any) -> str:
        return cast(str, node.normalize()).encode(errors="ignore").decode()  # half a surrogate pair is no character

    kinds: dict[type, Callable[[Any], str]] = {
        Text: lambda node: cast(str, node.value),
        Wikilink: link,
        Tag: tag,
        HTMLEntity: entity,
        ExternalLink: lambda node: walk(node.title),
        Heading: lambda node: f"\n\x00{node.level} {walk(node.title).strip()}\n",
    }
    return walk


def _without_apparatus(lines: list[str]) -> Iterator[str]:
    """The lines outside sections whose heading says that they are apparatus; headings themselves are dropped."""
    skipping = 0  # level of the heading that began a skipped section
    for line in lines:
        if line.startswith("\x00"):
            level, title = int(line[1]), line[2:].strip().lower()
            if not skipping or level <= skipping:
                skipping = level if _APPARATUS.fullmatch(title) else 0
        elif not skipping:
            yield line


def plain_paragraphs(markup: str) -> list[str]:
    """The paragraphs (and list items) of an article's markup, without markup.

    >>> markup = "'''Tea''' is a [[drink|beverage]].<ref>Smith</ref>{{citation needed}}\\n== See also ==\\n* [[Coffee]]"
    >>> plain_paragraphs(markup)
    ['Tea is a beverage.']
    """
    import mwparserfromhell

    markup = markup.replace("\0", "").replace("\r\n", "\n")
    # Without style tags, an apostrophe that is left open cannot send the parser into retries; the marks are taken off
    # below.
    text = _walker()(mwparserfromhell.parse(markup, skip_style_tags=True))
    text = unicodedata.normalize("NFC", re.sub(r"'{2,}", "", text))
    text = _SPACES.sub(" ", _MAGIC.sub("", text))
    text = _EMPTY_BRACKETS.sub("", _OPENING.sub("(", text))
    text = _SPACE_BEFORE.sub(r"\1", _SPACES.sub(" ", text))
    lines = [
        line.lstrip(" *#:;").rstrip() if not line.startswith("\x00") else line for line in _LINES.split(text.strip())
    ]
    return [line for line in _without_apparatus(lines) if any(letter.isalnum() for letter in line)]


def _pages(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    """(title, markup) of each article: namespace 0, no redirect."""
    root: Any = None
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        if root is None:
            root = element
        if event != "end" or element.tag.rsplit("}", 1)[-1] != "page":
            continue
        parts = {child.tag.rsplit("}", 1)[-1]: child for child in element.iter()}
        title, space, body = (parts[key].text or "" if key in parts else "" for key in ("title", "ns", "text"))
        root.clear()  # or every page read so far stays in memory
        if space.strip() in ("", "0") and "redirect" not in parts and not body.lstrip().lower().startswith("#redirect"):
            yield title.strip(), body


def read_wikitext(path: Path) -> dict[str, str]:
    """Title -> text of every article in a dump, paragraphs apart by an empty line; articles without prose are left out.

    Args:
        path: ``*.xml`` or ``*.xml.bz2`` (told by the suffix ``.bz2``).

    Raises:
        BenchError: broken or truncated, not the XML of a MediaWiki dump, two articles of one title, or no article with
            prose.
    """
    articles: dict[str, str] = {}
    try:
        with bz2.open(path) if path.suffix == ".bz2" else path.open("rb") as stream:
            for title, markup in _pages(cast(IO[bytes], stream)):
                if title in articles:
                    raise BenchError(f"{path}: two articles are called {title!r}")
                paragraphs = plain_paragraphs(markup)
                if paragraphs:
                    articles[title] = "\n\n".join(paragraphs)
    except ElementTree.ParseError as error:
        raise BenchError(f"{path}: not the XML of a MediaWiki dump ({error})") from error
    except (EOFError, OSError) as error:
        raise BenchError(f"{path}: truncated or broken ({error}); fetch it again") from error
    if not articles:
        raise BenchError(f"{path}: no article with prose (namespace 0, not a redirect): is it a pages-articles dump?")
    return articles
