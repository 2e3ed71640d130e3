"""Videos and figures of an evaluation: on the page, in print, among the artifacts of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.files import read_json, write_json
from bench.report.build import Products, build
from bench.report.figures import dense_picture, film
from bench.report.page import data_uri, picture_uri
from bench.results.extras import Extra, Figure, Film, Gallery, Strip, write_extras
from bench.results.pictures import png
from bench.results.sources import gather
from bench.tracking.run_content import artifacts_of, content_key

Declared = Callable[[Path], dict[str, dict[str, Any]]]
MP4 = b"\x00\x00\x00\x18ftypisom" + bytes(range(200))
FRAME = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32).astype(np.uint8)
HOSTILE = '"><script>alert(1)</script>'


def a_film(**changes: Any) -> Film:
    film = Film("Endless play", MP4, png(FRAME), "A pendulum that swings for ever", note="Seed 0.")
    return replace(film, **changes)


def a_figure(**changes: Any) -> Figure:
    figure = Figure("Transition matrix", png(FRAME.T), "Probabilities of all jumps", "Row to column.")
    return replace(figure, **changes)


class Elements(HTMLParser):
    """Elements with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def make(root: Path, declared: Declared, reports: Path, *extras: Extra) -> Products:
    path = root / "evaluations/efros-leung.json"
    document = read_json(path)
    document["extras"] = write_extras(path.with_suffix(""), extras)
    write_json(path, document)
    return build(gather(root, declared(root)), reports)


@pytest.fixture
def page(fresh_workspace: Path, declared: Declared, reports: Path) -> str:
    once = a_film(title="Once", loop=False, note="")
    extras = a_film(), once, a_figure(), a_figure(density=1)
    return make(fresh_workspace, declared, reports, *extras).html


def test_a_video_can_be_played_on_the_page(page: str) -> None:
    first, second = Elements(page).all("video")
    for attributes in (first, second):
        assert {"controls", "muted", "playsinline"} <= set(attributes), (
            "plays in place, silently, when the reader wants"
        )
        assert attributes["preload"] == "none"
        assert attributes["src"] == data_uri(MP4, "video/mp4")
        assert "poster" not in attributes, "the picture beside it is in the page once; the script makes it the poster"
        assert attributes["aria-label"] == "A pendulum that swings for ever"
        assert (attributes["width"], attributes["height"]) == (str(32 * 6), str(24 * 6))
    assert "loop" in first and "loop" not in second
    assert "Endless play" in page and "Seed 0." in page


def test_a_loop_respects_a_wish_for_calm(page: str) -> None:
    script = page[page.index("<script>") :]
    assert "prefers-reduced-motion" in script and 'all("video[loop]")' in script
    assert not any("autoplay" in attributes for attributes in Elements(page).all("video"))


def test_a_video_has_its_poster_beside_it(page: str) -> None:
    posters = [image for image in Elements(page).all("img") if image.get("class") == "poster"]
    assert [image["src"] for image in posters] == [picture_uri(png(FRAME))] * 2
    assert all(image["alt"] == "A pendulum that swings for ever" and image["loading"] == "lazy" for image in posters)
    assert "video.poster = poster.src" in page
    style = page[page.index("@media print") : page.index("</style>")]
    assert re.search(r"\.pictures video\s*\{[^}]*display: none", style)


def test_films_beyond_the_limit_are_posters_and_say_so(
    fresh_workspace: Path, declared: Declared, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.page.FILM_BYTES", len(MP4))
    text = make(fresh_workspace, declared, reports, a_film(), a_film(title="Second")).html
    assert len(Elements(text).all("video")) == 1
    assert len([image for image in Elements(text).all("img") if "poster" in image.get("class", "")]) == 2
    assert text.count("The film is under evaluations/efros-leung/, left out to keep this page small.") == 1


def test_pictures_beyond_the_limit_are_left_out_largest_first(
    fresh_workspace: Path, declared: Declared, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.page.PICTURE_BYTES", 0)
    text = make(fresh_workspace, declared, reports, a_figure(), Gallery("first", png(FRAME), "alt")).html
    assert "The picture is under evaluations/efros-leung/, left out to keep this page small." in text
    assert picture_uri(png(FRAME)) in text, "what stands for a model stays"
    assert picture_uri(png(FRAME.T)) not in text


def test_a_figure_is_shown_at_its_density(page: str) -> None:
    shown = [image for image in Elements(page).all("img") if image["src"] == picture_uri(png(FRAME.T))]
    assert [(image["width"], image["height"]) for image in shown] == [("12", "16"), ("24", "32")]
    assert all(image["alt"] == "Probabilities of all jumps" for image in shown)
    assert page.count("Row to column.") == 2


def test_text_of_extras_cannot_become_markup(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    words = {"title": HOSTILE, "alt": HOSTILE, "note": HOSTILE}
    text = make(fresh_workspace, declared, reports, a_film(**words), a_figure(**words)).html
    assert text.count("<script>") == 1
    assert "<script>alert" not in text


def test_sizes() -> None:
    wide = png(np.zeros((50, 700), np.uint8))
    shown = film(a_film(poster=wide))
    assert (shown["width"], shown["height"]) == (700, 50)
    assert dense_picture(a_figure(png=wide))["width"] == 350
    assert dense_picture(a_figure(png=wide, density=0.5))["width"] == 1400


def test_a_run_holds_the_files(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    strip, sheet = Strip("A strip", png(FRAME.T), "alt"), Gallery("A/sheet", png(FRAME), "alt")
    make(fresh_workspace, declared, reports, a_film(), a_film(title=""), a_figure(), strip, sheet)
    entry = gather(fresh_workspace, declared(fresh_workspace)).entries["efros-leung"]
    files = artifacts_of(fresh_workspace, entry)
    assert files["videos/00-Endless play.mp4"] == files["videos/01-_-e3b0c442.mp4"] == MP4
    assert files["videos/00-Endless play.png"] == png(FRAME)
    assert files["figures/00-Transition matrix.png"] == png(FRAME.T)
    assert files["strips/00-A strip.png"] == png(FRAME.T)
    assert files["gallery/00-A_sheet-d6441be8.png"] == png(FRAME)


def test_another_picture_makes_another_run(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    def key(figure: Figure) -> str:
        make(fresh_workspace, declared, reports, figure)
        return content_key(fresh_workspace, gather(fresh_workspace, declared(fresh_workspace)).entries["efros-leung"])

    assert key(a_figure()) == key(a_figure()) != key(a_figure(png=png(FRAME)))
