"""The page: self-contained, deterministic, accessible, complete; and the other products of the report stage."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import BenchError
from bench.base.files import read_json, write_json
from bench.report.build import Products, build
from bench.report.charts import Point, Series, line_chart, micro_interval, scatter, ticks
from bench.report.figures import bucket_means
from bench.results.extras import Curve, Line, Text, write_extras
from bench.results.pictures import figure_png, grid, png, png_bytes, png_size
from bench.results.sources import gather

Declared = Callable[[Path], dict[str, dict[str, Any]]]
VOID = {"meta", "col", "link", "img", "br", "input", "hr", "rect", "line", "circle", "path", "polygon"}


class Page(HTMLParser):
    """Elements with attributes, text, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def make(root: Path, declared: Declared, reports: Path) -> Products:
    return build(gather(root, declared(root)), reports)


@pytest.fixture(scope="module")
def products(workspace: Path, declared: Declared, reports: Path) -> Products:
    return make(workspace, declared, reports)


@pytest.fixture(scope="module")
def page(products: Products) -> Page:
    return Page(products.html)


def test_two_builds_are_byte_for_byte_equal(
    workspace: Path, declared: Declared, reports: Path, products: Products
) -> None:
    again = make(workspace, declared, reports)
    assert (again.html, again.csv, again.markdown, again.preview, again.readme) == (
        products.html,
        products.csv,
        products.markdown,
        products.preview,
        products.readme,
    )
    assert again.leaderboard == products.leaderboard
    assert again.claims == products.claims


def test_the_page_loads_nothing(products: Products, page: Page) -> None:
    for tag, attributes in page.elements:
        for key in ("src", "srcset", "poster", "data", "action", "xlink:href"):
            assert re.match(r"data:image/(png|webp);base64,", attributes.get(key, "data:image/png;base64,")), (tag, key)
        if "href" in attributes:
            assert attributes["href"].startswith("#"), attributes
    assert not page.all("link")
    style = re.search(r"<style>(.*?)</style>", products.html, re.S)
    assert style is not None
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)
    assert not re.search(
        r"fetch\(|XMLHttpRequest|import\(|https?://|//[a-z]+\.[a-z]", re.sub(r"base64,[^\"]*", "", products.html)
    )


def test_every_picture_has_an_alternative_text_and_a_size(page: Page) -> None:
    from PIL import Image

    images = page.all("img")
    assert len(images) > 20
    for attributes in images:
        assert len(attributes["alt"]) > 10
        width, height = Image.open(io.BytesIO(base64.b64decode(attributes["src"].partition(";base64,")[2]))).size
        assert int(attributes["width"]) * height == int(attributes["height"]) * width
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or (
            attributes["role"] in ("img", "group") and attributes["aria-label"]
        )


def test_tags_are_closed_and_links_lead_somewhere(page: Page) -> None:
    assert not page.faults
    assert not page.open
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for attributes in page.all("a"):
        assert attributes["href"][1:] in identifiers, attributes


def test_the_page_can_be_used_without_a_mouse(page: Page) -> None:
    for index, (_, attributes) in enumerate(page.elements):
        if attributes.get("class") == "scroll":
            assert attributes["aria-label"]
            reachable = attributes.get("tabindex") == "0" or any(
                tag in ("a", "summary") and within.get("tabindex") != "-1"
                for tag, within in page.elements[index : index + 200]
            )
            assert reachable, f"{attributes}: no key reaches what scrolls"
    assert page.all("html")[0]["lang"] == "en"
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings)), "no level of heading is skipped"
    for attributes in page.all("th"):
        assert attributes["scope"] in ("row", "col")
    for index, (tag, _) in enumerate(page.elements):
        if tag == "table" and "leader" in page.elements[index][1].get("class", ""):
            assert page.elements[index + 1][0] == "caption"


def test_light_dark_phone_and_print_are_styled(products: Products) -> None:
    for query in ("prefers-color-scheme: dark", "max-width: 700px", "@media print", "prefers-reduced-motion"):
        assert query in products.html
    assert 'name="viewport"' in products.html


def test_every_ranked_number_stands_on_the_page(products: Products, page: Page) -> None:
    for generator in {row.record.generator for row in products.rows}:
        assert any(attributes.get("id") == f"card-{generator}" for attributes in page.all("details")), (
            f"{generator} has no provenance"
        )
    for verdict in products.verdicts:
        assert verdict.claim.title in page.text
        assert verdict.claim.source in page.text
    for protocol in {row.record.protocol for row in products.rows}:
        assert protocol in page.text, protocol


def test_ties_floors_directions_and_intervals_are_shown(page: Page) -> None:
    for word in ("baseline", "real data", "memorising baseline", "↓", "↑", "2.117 – 2.157", "∞"):
        assert word in page.text


def test_the_real_row_comes_first_and_neighbours_lie_under_each_grid(products: Products) -> None:
    section = products.html[
        products.html.index('<section id="images"') : products.html.index('<section id="text_to_image"')
    ]
    figures = re.findall(r'<figure class="sample (\w+)">', section)
    assert figures[:2] == ["ceiling", "generator"]
    assert section.count("nearest training items") >= 4


def test_provenance_names_stage_data_parameters_and_command(page: Page) -> None:
    assert "dvc repro -s train-images@ddpm-mnist evaluate-images@ddpm-mnist" in page.text
    assert "mnist " + "cd" * 16 in page.text
    assert "system: ddpm" in page.text


def test_licences_and_attribution_are_shown(page: Page) -> None:
    for dataset in ("shakespeare", "mnist", "textures", "scenes"):
        assert f"licence of {dataset}" in page.text
        assert f"made by {dataset}" in page.text


def test_removing_a_generator_removes_it_from_every_product(
    fresh_workspace: Path, declared: Declared, reports: Path
) -> None:
    blocks = declared(fresh_workspace)
    del blocks["latent-diffusion-scenes"]
    products = build(gather(fresh_workspace, blocks), reports)
    claims_free = re.sub(r'<section id="claims".*?</section>', "", products.html, flags=re.S)
    for text in (claims_free, products.csv, products.markdown, products.readme, str(products.leaderboard)):
        assert "latent-diffusion-scenes" not in text
        assert "ddpm-mnist" in text or "images" not in text


def test_a_declared_generator_without_evaluation_is_named(
    fresh_workspace: Path, declared: Declared, reports: Path
) -> None:
    (fresh_workspace / "evaluations/vqvae-ema.json").unlink()
    assert "not evaluated yet: vqvae-ema." in make(fresh_workspace, declared, reports).html


def test_a_picture_that_is_gone_is_named_with_the_remedy(
    fresh_workspace: Path, declared: Declared, reports: Path
) -> None:
    (missing,) = (fresh_workspace / "evaluations/vqvae-ema").glob("gallery-000.png")
    missing.unlink()
    with pytest.raises(BenchError, match=r"vqvae-ema/gallery-000.png is missing: run `dvc repro`"):
        make(fresh_workspace, declared, reports)


def test_a_misspelt_extra_is_refused(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    path = fresh_workspace / "evaluations/vqvae-ema.json"
    document = read_json(path)
    document["extras"]["curvs"] = [{"title": "lost"}]
    write_json(path, document)
    with pytest.raises(BenchError, match=r"vqvae-ema.json: extras: unknown kind 'curvs'.*Did you mean 'curves'"):
        make(fresh_workspace, declared, reports)


def test_an_empty_workspace_still_gives_a_page(tmp_path: Path, declared: Declared, reports: Path) -> None:
    products = build(gather(tmp_path, {}), reports)
    assert products.rows == ()
    assert not Page(products.html).faults
    assert products.preview.startswith(b"\x89PNG")


def test_repeated_items_of_a_data_set_are_said(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    path = sorted((fresh_workspace / "data/prepared").glob("*/meta.json"))[0]
    assert "earlier split" not in make(fresh_workspace, declared, reports).html
    repeated = [{"unit": "pictures", "validation": [0, 5000], "test": [3, 10000]}]
    write_json(path, {**read_json(path), "repeated": repeated})
    page = Page(make(fresh_workspace, declared, reports).html)
    assert "pictures that an earlier split holds, too: test 3 of 10,000, validation 0 of 5,000" in page.text


def test_text_from_a_model_cannot_become_markup(fresh_workspace: Path, declared: Declared, reports: Path) -> None:
    path = fresh_workspace / "evaluations/transformer-char.json"
    document = read_json(path)
    hostile = "</blockquote><script>alert(1)</script><img src=x onerror=alert(1)>"
    curve = Curve(hostile, hostile, hostile, (Line(hostile, ((1, 2), (2, 3))),))
    extras = [Text(hostile, title=hostile, variant=hostile, prompt=hostile), curve]
    document["extras"] = write_extras(path.with_suffix(""), extras)
    write_json(path, document)
    text = make(fresh_workspace, declared, reports).html
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert text.count("<script>") == 1


def test_a_missing_template_folder_is_an_error_that_helps(workspace: Path, declared: Declared, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"schema\.yaml: no such file here"):
        make(workspace, declared, tmp_path)


def test_the_preview_is_a_picture_of_reasonable_size(products: Products) -> None:
    from PIL import Image

    picture = Image.open(io.BytesIO(products.preview))
    assert picture.width == 1280
    assert len(products.preview) < 400_000
    assert np.asarray(picture).std() > 5


def test_the_stage_writes_every_product_and_again_the_same_bytes(small_project: Path, reports: Path) -> None:
    shutil.copytree(
        reports,
        small_project / "reports",
        ignore=shutil.ignore_patterns("*.html", "*.png", "*.csv", "*.md", "leaderboard.json"),
    )
    (small_project / "README.md").write_text(
        "# A project\n\n<!-- leaderboard:begin -->\n<!-- leaderboard:end -->\n\nMore.\n"
    )
    names = ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "claims.json", "index.html", "preview.png")
    contents = []
    for _ in range(2):
        command = [sys.executable, str(reports.parent / "stages/report.py"), "--readme"]
        done = subprocess.run(command, cwd=small_project, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        contents.append(
            [(small_project / "reports" / name).read_bytes() for name in names]
            + [(small_project / "README.md").read_bytes()]
        )
    assert contents[0] == contents[1]
    assert "rows; claims: " in done.stdout
    readme = contents[0][-1].decode()
    assert "**ngram-char** n 3" in readme
    assert readme.endswith("More.\n")


_CLICKS = f"<script>{(Path(__file__).parent / 'page_walk.js').read_text()}</script></body>"


def _browser(folder: Path, page: str, *flags: str) -> str:
    """The page's markup after its scripts have run in a headless browser."""
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = ["chromium", *quiet.split(), "--disable-component-update", "--disable-sync", *flags]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", f"file://{folder / page}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def _said(markup: str) -> list[Any]:
    """What a script put into the title."""
    title = re.search(r"<title>(.*?)</title>", markup)
    assert title is not None
    said = json.loads(html.unescape(title.group(1)))
    assert isinstance(said, list)
    return said


_PHONE = """<!doctype html><title></title><iframe src="page.html" width="390" height="844" style="border:0"></iframe>
<script>
window.addEventListener("load", function () {
  var page = document.querySelector("iframe").contentDocument.documentElement;
  document.title = JSON.stringify([page.scrollWidth, page.scrollHeight / 844]);
});
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_the_page_fits_a_phone_and_paper(products: Products, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(products.html, encoding="utf-8")
    (tmp_path / "phone.html").write_text(_PHONE)
    width, screens = _said(_browser(tmp_path, "phone.html", "--allow-file-access-from-files", "--dump-dom"))
    assert width <= 390, "nothing is wider than the window"
    assert screens <= 40
    _browser(tmp_path, "page.html", f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
    assert 3 < len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes())) <= 25
    assert len(products.html) < 4_000_000


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_the_page_works_in_a_browser(products: Products, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(products.html.replace("</body>", _CLICKS), encoding="utf-8")
    said = _said(_browser(tmp_path, "page.html", "--window-size=1440,900", "--dump-dom"))
    best, worst, found, address, generators, psnr, unfolded, moved, card, row_hidden, *rest = said
    steps = [f"ddpm-mnist sampler=ddim,steps={n}" for n in (50, 10, 3, 1)]
    every = ["real-mnist ", "memoriser-images ", *steps, "dummy-images "]
    assert (best, worst) == (every, every[::-1]), "the first click on a heading puts the best first"
    assert found == [steps[3], steps[1]], "sorted as before"
    assert "q=ddim%20steps%3D1" in address
    assert address.startswith("#view=images-mnist&")
    assert all(line.startswith("ddpm-mnist") for line in generators)
    assert psnr == ["vqvae-restart ", "vqvae-ema ", "vqvae-gradient ", "dummy-codec "]
    assert unfolded is True
    assert moved is True, "arrow keys move among the headings"
    assert card is True
    assert row_hidden is False
    order, narrow, folded, unclear_hidden, copied, further, stops, fits = rest
    assert (order, narrow, folded) == ("descending", False, 0)
    assert unclear_hidden is True
    tsv, markdown, latex = copied
    assert tsv.splitlines()[1].split("\t")[:3] == ["1", "vqvae-restart", "23.10 dB [23.00 – 23.20]"]
    assert markdown.splitlines()[1].startswith("| --- | --- |")
    assert latex.startswith("\\begin{tabular}{llr")
    assert "\\%" in latex
    assert further > 0
    assert stops <= 300
    assert fits is True


# Charts and pictures


def test_png_round_trip_and_determinism() -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for shape in ((5, 7), (5, 7, 1), (5, 7, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        assert png_bytes(image) == png_bytes(image.copy())
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(image)))), image.squeeze())
    assert png_size(png_bytes(np.zeros((5, 7), np.uint8))) == (7, 5)
    with pytest.raises(ValueError, match="got"):
        png_bytes(np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="not a PNG"):
        png_size(b"GIF89a, no picture at all here")


def test_png_keeps_the_asked_number_of_colours() -> None:
    from PIL import Image

    photograph = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    few = Image.open(io.BytesIO(png(photograph, colours=16, dither=False))).convert("RGB")
    assert len(few.getcolors(2000)) == 16
    assert len(png(photograph, 16)) < len(png(photograph)) / 2
    assert png(photograph) == png_bytes(photograph)
    assert png(photograph[..., :1], 16) == png_bytes(photograph[..., :1]), "a grey picture keeps its values"


def test_a_figure_is_the_same_file_each_time() -> None:
    from matplotlib.figure import Figure

    def drawn() -> bytes:
        figure = Figure(figsize=(2, 1), dpi=50)
        figure.add_subplot().plot([1, 3, 2])
        return figure_png(figure)

    assert drawn() == drawn()
    assert png_size(drawn()) == (100, 50)


def test_grid_puts_pictures_in_reading_order() -> None:
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    sheet = grid(images, columns=3, gap=1, background=0)
    assert sheet.shape == (5, 8, 1)
    assert [int(sheet[y, x, 0]) for y, x in ((0, 0), (0, 3), (0, 6), (3, 0), (3, 3), (3, 6))] == [1, 2, 3, 4, 5, 0]
    assert grid(images, columns=3, scale=2).shape == (10, 16, 1)
    with pytest.raises(ValueError, match="N > 0"):
        grid(np.zeros((0, 2, 2, 1), np.uint8))


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        *((0, 1, False), (-3.2, 17, False), (1e-5, 3e-5, False), (1, 1e6, True), (2, 7, True), (0.01, 90, True)),
        *((2.9, 4.7, True), (1.01, 1.02, True), (0.946, 0.954, False), (9, 11, True), (0.7, 300, True)),
    ],
)
def test_ticks_lie_inside_and_are_few(low: float, high: float, log: bool) -> None:
    found = ticks(low, high, log)
    assert 3 <= len(found) <= 9
    assert all(low * 0.99 - 1e-9 <= value <= high * 1.01 for value in found)
    assert found == sorted(found)


def test_charts_skip_what_they_cannot_show_and_escape_names() -> None:
    nan = float("nan")
    svg = line_chart([Series("a <b>", ((1.0, 2.0), (2.0, nan), (3.0, 1.0), (4.0, 1.5)))], "x", "y", title="t")
    assert "nan" not in svg
    assert "a &lt;b&gt;" in svg
    assert line_chart([Series("a", ((0.0, 1.0),))], "x", "y", title="t", log_x=True) == ""
    assert line_chart([], "x", "y", title="t") == ""
    assert scatter([], "x", "y", title="t") == ""
    three = [Point(f"p{i}", 10.0**i, 0.5, 0.4, 0.6, 0, f"p{i}: 0.5") for i in range(3)]
    assert "p2" in scatter(three, "x", "y", title="t")
    assert scatter(three[:2], "x", "y", title="t") == "", "two points are a sentence, not a chart"
    assert "nan" not in micro_interval(1.0, 0.5, 2.0, (0.0, 3.0), log=True)


def test_learning_curves_keep_their_mean_when_thinned() -> None:
    steps = np.arange(1000.0)
    values = np.sin(steps / 50)
    thin = bucket_means(steps.tolist(), values.tolist(), buckets=100)
    assert len(thin) == 100
    assert np.mean([y for _, y in thin]) == pytest.approx(values.mean())
    assert bucket_means([1.0, 2.0], [float("nan"), 3.0]) == ((2.0, 3.0),)
