"""Pages of the sample office as images, through Pillow: ruled paper, a little crooked, a little grey."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

from treegate.interfaces.demo.items import Scan, needed

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

WIDTH, HEIGHT = 850, 1100  # Letter at 100 dots an inch
PAPER, RULE, INK = 246, 205, 48  # grey, 0 is black


def image(scan: Scan, extension: str) -> bytes:
    """The page as .jpg or .png; UsageError if Pillow is missing."""
    with needed("Pillow"):
        from PIL import Image, ImageDraw
    chance = random.Random(scan.heading + scan.lines[0])
    page = Image.new("L", (WIDTH, HEIGHT), PAPER)
    _write(ImageDraw.Draw(page), scan, chance)
    page = page.rotate(chance.uniform(-1.1, 1.1), Image.Resampling.BICUBIC, fillcolor=PAPER)
    _wear(page, ImageDraw.Draw(page), chance)
    out = io.BytesIO()
    if extension == ".jpg":
        page.save(out, "JPEG", quality=72, dpi=(100, 100))
    else:
        page.save(out, "PNG", dpi=(100, 100), compress_level=4)
    return out.getvalue()


def _write(pen: ImageDraw, scan: Scan, chance: random.Random) -> None:
    """The heading, the rules and, on them, the lines, each begun where the hand happened to be."""
    from PIL import ImageFont

    large, small = ImageFont.load_default(30), ImageFont.load_default(22)
    pen.text((110, 78), scan.heading, INK - 20, font=large)
    pen.line((105, 122, WIDTH - 70, 122), 90, 3)
    for y in range(176, HEIGHT - 60, 40):
        pen.line((70, y, WIDTH - 60, y), RULE, 1)
    pen.line((96, 60, 96, HEIGHT - 50), 185, 1)
    for number, line in enumerate(scan.lines):
        x, y = 112 + chance.randint(-5, 6), 146 + 40 * number + chance.randint(-2, 2)
        pen.text((x, y), line, INK + chance.randint(-12, 26), font=small)


def _wear(page: Image, pen: ImageDraw, chance: random.Random) -> None:
    """What a glass plate adds: the shadow of the spine, punch holes, dust."""
    for x in range(34):
        pen.line((x, 0, x, HEIGHT), 150 + 96 * x // 34)
    for y in (HEIGHT * 3 // 10, HEIGHT * 7 // 10):
        pen.ellipse((44, y, 70, y + 26), 120, 165)
    for _ in range(140):
        x, y = chance.randrange(WIDTH), chance.randrange(HEIGHT)
        page.putpixel((x, y), chance.randint(90, 190))
