"""Holes in held-out pieces, extrapolation and the cost of growing, from sampling to scores and figures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bench.base.errors import BenchError
from bench.base.files import SampleSet, read_image_samples, write_image_samples, write_json, write_npz
from bench.catalogue.families import FAMILIES
from bench.context import StageContext
from bench.families.by_example.textures.growth_costs import Growths, growth_costs
from bench.families.by_example.textures.sampling import Cut, Holes, cut, sample, tiles
from bench.metrics.psnr import psnr
from bench.results.extras import Figure, of_kind
from bench.scorers.figures.labelled_grid import labelled_grid
from bench.scoring import Evaluation, evaluate

HOLES = {"side": 8, "margin": 6, "count": 2}
SAMPLE: dict[str, Any] = {"exemplars": {"one": {"side": 24}, "two": {"side": 24}}, "pictures": 0}


def photograph(channels: int = 1) -> NDArray[np.uint8]:
    """Diagonal stripes: a hole in them can be filled exactly."""
    y, x = np.indices((40, 80))
    return np.repeat((((x + y) % 8) * 28).astype(np.uint8)[:, :, None], channels, axis=2)


def stage(tmp_path: Path, system: str, sample: dict[str, Any]) -> StageContext:
    write_npz(tmp_path / "data" / "exemplars.npz", {"one": photograph()[:, :, 0], "two": photograph(3)})
    write_json(tmp_path / "model" / "model.json", {"name": system, "system": system, "config": {}})
    return StageContext(
        name=f"test-{system}",
        family="by_example",
        block={
            "system": system,
            "dataset": "textures",
            "sample": {**SAMPLE, **sample},
            "evaluate": {"patches": [5], "copied": 9},
        },
        seed=0,
        device="cpu",
        data=tmp_path / "data",
        model=tmp_path / "model",
        samples=tmp_path / "samples.npz",
        quiet=True,
    )


def run(context: StageContext) -> Evaluation:
    assert context.samples is not None
    write_image_samples(context.samples, sample(context))
    return evaluate(context, FAMILIES["by_example"].task("Synthesizer").scorers)


def rows(result: Evaluation, metric: str, part: str = "") -> dict[str, float]:
    return {r.variant: r.value for r in result.records if (r.metric, r.slice) == (metric, part) and r.value is not None}


def test_tiles_lie_in_the_held_out_piece_and_their_holes_apart() -> None:
    picture = np.arange(40 * 80).reshape(40, 80)  # every pixel is another
    piece = cut((picture % 251).astype(np.uint8), Cut(side=24), "here")
    holes = Holes(side=8, margin=6, count=4)
    assert (~holes.known).sum() == 64
    assert (~holes.known[6:14, 6:14]).all()
    found = tiles(piece, holes, "here")
    assert found.shape == (4, 20, 20, 1)
    whole = piece.held_out[:, :, 0]
    corners = []
    for tile in found[:, :, :, 0]:
        places = [(y, x) for y in range(21) for x in range(37) if (whole[y : y + 20, x : x + 20] == tile).all()]
        corners.append(places[0])
    for i, (y, x) in enumerate(corners):
        assert all(abs(y - v) >= 8 or abs(x - w) >= 8 for v, w in corners[:i])


def test_stripes_are_mended_and_shuffled_pixels_are_not(tmp_path: Path) -> None:
    ways = {"windows": [7], "orders": ["onion", "raster"]}
    mended = run(stage(tmp_path / "a", "texture_synthesis", {"holes": {**HOLES, **ways}}))
    shuffled = run(stage(tmp_path / "b", "dummy_texture", {"holes": HOLES}))
    copied = run(stage(tmp_path / "c", "memoriser_texture", {"holes": HOLES}))
    smooth = run(stage(tmp_path / "d", "biharmonic_texture", {"holes": HOLES}))
    onion, raster, other = "task=fill,order=onion,window=7", "task=fill,order=raster,window=7", "task=fill"
    assert set(rows(mended, "seam_error")) == {onion, raster}
    assert rows(mended, "seam_error")[onion] == 0.0
    assert rows(copied, "seam_error")[other] == 0.0, "the best shift of stripes is exact"
    assert rows(mended, "ssim")[onion] == pytest.approx(1.0)
    assert rows(smooth, "psnr")[other] > rows(shuffled, "psnr")[other] + 1
    assert rows(shuffled, "seam_error")[other] > rows(smooth, "seam_error")[other] > 0.005
    gain = rows(mended, "seam_gain")["task=fill,window=7"]
    assert gain == pytest.approx(rows(mended, "seam_error")[raster] - rows(mended, "seam_error")[onion])


def test_hole_rows_are_those_of_the_hole_alone(tmp_path: Path) -> None:
    """PSNR is taken inside the hole, and every exemplar in its own channels."""
    context = stage(tmp_path, "dummy_texture", {"holes": HOLES})
    result = run(context)
    assert context.samples is not None
    (samples,) = read_image_samples(context.samples)
    assert samples.images is not None
    assert samples.images.shape == (4, 20, 20, 3)
    truth = tiles(cut(photograph(), Cut(side=24), "here"), Holes(**HOLES), "here")
    known = Holes(**HOLES).known
    np.testing.assert_array_equal(samples.images[:2, :, :, :1][:, known], truth[:, known])
    want = psnr(samples.images[:2, 6:14, 6:14, :1], truth[:, 6:14, 6:14]).mean()
    assert rows(result, "psnr", "one")["task=fill"] == pytest.approx(want)
    overall = next(r for r in result.records if r.metric == "psnr" and not r.slice)
    assert overall.n == 4
    assert overall.ci95 is not None


def test_extrapolation_keeps_the_exemplar_in_the_middle(tmp_path: Path) -> None:
    context = stage(tmp_path, "texture_synthesis", {"extrapolate": 32, "extrapolate_window": 5})
    result = run(context)
    assert context.samples is not None
    (samples,) = read_image_samples(context.samples)
    assert samples.images is not None
    assert samples.images.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(samples.images[0, 8:24, 8:24, 0], photograph()[:16, :16, 0])
    assert result.records == []
    assert [figure.title for figure in of_kind(result.extras, Figure)] == ["Grown outwards"]


def test_figures_are_pictures_with_words(tmp_path: Path) -> None:
    sample = {
        "pictures": 1,
        "size": [24, 24],
        "windows": [5, 7],
        "holes": {**HOLES, "windows": [5], "orders": ["onion"]},
    }
    figures = of_kind(run(stage(tmp_path, "texture_synthesis", sample)).extras, Figure)
    assert [figure.title for figure in figures] == [
        "Window sizes side by side",
        "Holes in unseen pieces, filled from the exemplar",
    ]
    for figure in figures:
        assert "one, two" in figure.alt
        with Image.open(io.BytesIO(figure.png)) as image:
            assert image.width > 4 * 40
        assert len(figure.png) < 60_000


def test_labelled_grid_places_pictures_under_their_titles() -> None:
    cells = [[np.full((10, 12, 1), 40, np.uint8), np.full((8, 12, 3), 200, np.uint8)]] * 2
    for titles in (["a", "b"], [["a", "b"], ["c", "d"]]):
        pixels = np.asarray(Image.fromarray(labelled_grid(cells, titles, ["x", "y"], scale=2)).convert("L"))
        assert (pixels == 40).sum() >= 2 * 20 * 24
        assert (pixels == 200).sum() >= 2 * 16 * 24
    with pytest.raises(ValueError, match="rows of 2 pictures"):
        labelled_grid([cells[0], cells[0][:1]], ["a", "b"])


class Counted:
    """A system whose cost is known: a pixel takes a step for each candidate and window pixel."""

    def growths(
        self, exemplar: NDArray[np.uint8], size: tuple[int, int], seeds: list[int], *, window: int
    ) -> list[Any]:
        candidates = (exemplar.shape[0] - window + 1) ** 2
        return (
            [SampleSet(info={})]
            if not seeds
            else [type("Grown", (), {"operations": float(candidates * window**2 * size[0] ** 2)})()]
        )


def test_growth_is_counted_along_each_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.cumsum([0.0] + [7.0] * 99))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    plan = Growths(base=(8, 20, 5), outputs=(8, 16), samples=(10, 20), windows=(5, 9), repeats=2)
    found = growth_costs(Counted(), photograph()[:, :40, 0], plan, 0)
    assert found["operations"] == {
        "output": [[8, 100 * 25.0], [16, 100 * 25.0]],
        "sample": [[10, 100 * 25.0], [20, 400 * 25.0]],
        "window": [[5, 400 * 25.0], [9, 400 * 81.0]],
    }
    exponents = {row["variant"]: row["value"] for row in found["cost"] if row["metric"] == "growth_exponent"}
    assert exponents == pytest.approx({"axis=output": 0.0, "axis=sample": 0.0, "axis=window": 0.0}), (
        "this clock never speeds up"
    )
    pixels = {row["variant"]: row["value"] for row in found["cost"] if row["metric"] == "seconds_per_pixel"}
    assert pixels["output=16,sample=14,window=5"] == pytest.approx(7 / 256)


def test_growth_too_large_is_named() -> None:
    with pytest.raises(BenchError, match="a sample of 204x204 does not fit grass of 40x80"):
        growth_costs(Counted(), photograph()[:, :, 0], Growths(samples=(200,), windows=(5,), base=(8, 50, 5)), 0)
