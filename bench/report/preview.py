"""The README's picture: the overview's cards with a row of samples each, drawn with Pillow and its own font alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

__all__ = ["preview_png"]

WIDTH, MARGIN, GAP, COLUMNS = 1280, 44, 20, 3
CARD_HEIGHT = 306
_PAPER, _CARD, _INK, _SOFT, _LINE, _LOW, _HIGH = (
    "#fbfaf6",
    "#ffffff",
    "#1d1f24",
    "#5a5f69",
    "#e3dfd5",
    (201, 196, 184),
    (0, 131, 95),
)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _fitted(draw: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """``text``, cut with dots if it is wider than ``width``."""
    if draw.textlength(text, font=_font(size)) <= width:
        return text
    while text and draw.textlength(text + "...", font=_font(size)) > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _sample_row(context: Mapping[str, Any], tile: Mapping[str, Any]) -> Image.Image | None:
    """The first two rows of the gallery of the card's generator."""
    from PIL import Image

    for family in context["families"]:
        for group in family["gallery"] if family["id"] == tile["family"] else ():
            if group["generator"] == tile["generator"]:
                picture = Image.open(io.BytesIO(group["first"]["main"]["png"])).convert("RGB")
                columns = group["first"]["columns"] or 10
                cell = (picture.width + 2) / columns
                return picture.crop((0, 0, picture.width, min(picture.height, 2 * round(cell) - 2)))
    return None


def _sample_text(context: Mapping[str, Any], tile: Mapping[str, Any]) -> str:
    """The first text of the card's generator, on one line."""
    for family in context["families"]:
        for group in family["texts"] if family["id"] == tile["family"] else ():
            if group["generator"] == tile["generator"]:
                items = group["items"]
                item = next((item for item in items if item.variant == tile["variant_id"]), items[0])
                return " ".join((item.prompt + item.text).split())
    return ""


def _wrapped(draw: ImageDraw.ImageDraw, text: str, size: int, width: float, lines: int) -> list[str]:
    found, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and draw.textlength(longer, font=_font(size)) > width:
            found.append(line)
            line = word
        else:
            line = longer
    return [*found, line][:lines]


def _bar(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, position: float) -> None:
    for x in range(width):
        share = x / width
        colour = tuple(round(a + share * (b - a)) for a, b in zip(_LOW, _HIGH, strict=True))
        draw.line((left + x, top, left + x, top + 6), fill=colour)
    at = left + round(width * position / 100)
    draw.ellipse((at - 8, top - 5, at + 8, top + 11), fill=_INK, outline=_CARD, width=3)


def _card(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    tile: Mapping[str, Any],
    context: Mapping[str, Any],
) -> None:
    from PIL import Image

    draw.rounded_rectangle(box, 12, fill=_CARD, outline=_LINE)
    left, top, width = box[0] + 20, box[1] + 16, box[2] - box[0] - 40
    draw.text((left, top), tile["title"], font=_font(17), fill=_INK)
    draw.text((left + width, top + 2), tile["dataset"], font=_font(14), fill=_SOFT, anchor="ra")
    draw.text((left, top + 26), tile["value"], font=_font(42), fill=_INK)
    better = {"↑": "higher is better", "↓": "lower is better"}.get(tile["arrow"], "")
    metric = (
        tile["metric"] + (f", {better}" if better else "") + (f"   [{tile['interval']}]" if tile["interval"] else "")
    )
    draw.text((left, top + 80), _fitted(draw, metric.replace("–", "-"), 14, width), font=_font(14), fill=_SOFT)
    name = f"{tile['generator']}  {tile['variant']}".replace("·", ",").replace(" ,", ",")
    draw.text((left, top + 102), _fitted(draw, name, 16, width), font=_font(16), fill=_INK)
    if tile["position"] is not None:
        _bar(draw, left, top + 138, width, tile["position"])
    for end, anchor, x in (("low", "la", left), ("high", "ra", left + width)):
        if tile[end]:
            draw.text((x, top + 154), " ".join(tile[end]), font=_font(13), fill=_SOFT, anchor=anchor)
    samples = _sample_row(context, tile)
    if samples is not None:
        height = round(samples.height * width / samples.width)
        if height > 104:  # few wide pictures: keep as many as fit
            samples = samples.crop((0, 0, round(samples.width), round(samples.height * 104 / height)))
            height = 104
        image.paste(samples.resize((width, height), Image.Resampling.NEAREST), (left, top + 186))
    else:
        for i, line in enumerate(_wrapped(draw, _sample_text(context, tile), 15, width, 4)):
            draw.text((left, top + 184 + 22 * i), line, font=_font(15), fill=_SOFT)


_SQUARES = {"fails": ("#fbe8dd", "#a83a00"), "unclear": ("#ecebe6", "#5a5f69"), "holds": ("#e2f3ec", "#00694d")}


def _claims_card(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], context: Mapping[str, Any]) -> None:
    """Every claim as a square: what is left of the last row of cards."""
    draw.rounded_rectangle(box, 12, fill=_CARD, outline=_LINE)
    left, top, width = box[0] + 20, box[1] + 16, box[2] - box[0] - 40
    draw.text((left, top), f"{len(context['claims'])} claims from the literature", font=_font(17), fill=_INK)
    height = box[3] - 52 - (top + 36)
    side = next(side for side in range(48, 7, -1) if -(-len(context["claims"]) // (width // side)) * side <= height)
    for i, item in enumerate(context["claims"]):
        x, y = left + side * (i % (width // side)), top + 36 + side * (i // (width // side))
        paper, ink = _SQUARES[item["badge"]]
        draw.rounded_rectangle((x, y, x + side - 5, y + side - 5), 5, fill=paper)
        draw.ellipse((x + side // 3, y + side // 3, x + side - 5 - side // 3, y + side - 5 - side // 3), fill=ink)
    for i, (_, (badge, _, word), count) in enumerate(context["verdicts"]):
        at = left + i * (width // 3)
        draw.text((at, box[3] - 36), f"{count} {word}", font=_font(17), fill=_SQUARES[badge][1])


def preview_png(context: Mapping[str, Any]) -> bytes:
    """PNG of the overview, from the report's context; equal contexts give equal bytes."""
    from PIL import Image, ImageDraw

    tiles = [answer for answer in context["answers"] if answer["value"]]
    rows = -(-len(tiles) // COLUMNS)
    image = Image.new("RGB", (WIDTH, 176 + rows * (CARD_HEIGHT + GAP) + MARGIN - GAP), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, 36), context["schema"].title, font=_font(54), fill=_INK)
    draw.text(
        (MARGIN, 106), _fitted(draw, context["schema"].subtitle, 19, WIDTH - 2 * MARGIN), font=_font(19), fill=_SOFT
    )
    verdicts = ", ".join(f"{count} {word}" for _, (_, _, word), count in context["verdicts"])
    claims = f"{len(context['claims'])} claims from the literature tested: {verdicts}"
    facts = f"{context['generators']} generators, {context['rows']} measured numbers; {claims}"
    draw.text((MARGIN, 136), facts, font=_font(15), fill=_SOFT)
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    for i, tile in enumerate(tiles):
        left, top = MARGIN + (i % COLUMNS) * (width + GAP), 176 + (i // COLUMNS) * (CARD_HEIGHT + GAP)
        _card(image, draw, (left, top, left + width, top + CARD_HEIGHT), tile, context)
    if (used := len(tiles) % COLUMNS) and context["claims"]:
        left, top = MARGIN + used * (width + GAP), 176 + (rows - 1) * (CARD_HEIGHT + GAP)
        _claims_card(draw, (left, top, WIDTH - MARGIN, top + CARD_HEIGHT), context)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=False)
    return buffer.getvalue()
