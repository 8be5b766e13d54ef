"""The program that draws one picture: a file comes in on stdin, a small WebP goes out on stdout.

A process of its own for each picture, started by `pictures.py` without environment or arguments. It is limited before
the libraries are loaded, and sealed before the first byte of the file is looked at: from there on it can open
nothing, start nothing and speak to nobody. Whatever goes wrong ends this process alone; its exit status says what.
"""

from __future__ import annotations

import importlib
import mmap
import os
import warnings
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn, cast

from treegate.engine import confine

if TYPE_CHECKING:
    from PIL.Image import Image

WIDE, HIGH = 400, 520  # pixels, the most that a picture has
MOST_PIXELS = 80_000_000  # of an image: A3 at 600 dots an inch
MEMORY = 768 << 20  # bytes of address space
PROCESSOR, SECONDS = 5, 10  # of processor time, and of time
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")
WHITE = (255, 255, 255)
_PASSWORD = 4  # FPDF_ERR_PASSWORD
_MAGIC, _WITHIN = b"%PDF-", 1024  # how a PDF begins, and how late it may


class No(IntEnum):
    """Why there is no picture, as an exit status; any other one means that the file is damaged."""

    KIND = 10
    ENCRYPTED = 11
    LARGE = 12


def main() -> NoReturn:
    """Draws what is on stdin."""
    confine.limit(memory=MEMORY, processor=PROCESSOR, seconds=SECONDS)
    _load()
    confine.seal()
    try:
        status = _drawn()
    except MemoryError:
        status = No.LARGE
    os._exit(status)


def _load() -> None:
    """The libraries, whole: later nothing can be loaded any more. Too many pixels are an error."""
    from PIL import Image

    for name in ("copy", "PIL.ImageCms", "PIL.ImageOps", "pypdfium2"):
        importlib.import_module(name)
    Image.init()
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def _drawn() -> int:
    size = os.fstat(0).st_size
    if not size:
        return No.KIND
    is_pdf = _MAGIC in os.pread(0, _WITHIN, 0)
    found = _page(size) if is_pdf else _image()
    if isinstance(found, No):
        return found
    with open(1, "wb", closefd=False) as out:
        found.save(out, "WEBP", quality=80)
    return 0


def _page(size: int) -> Image | No:
    """The first page of a PDF. No script in it runs: the library has no engine for it, and forms are not begun."""
    import pypdfium2

    mapped = mmap.mmap(0, size, access=mmap.ACCESS_COPY)
    try:
        page = pypdfium2.PdfDocument((pypdfium2.raw.c_char * size).from_buffer(mapped))[0]
    except pypdfium2.PdfiumError as error:
        if error.err_code == _PASSWORD:
            return No.ENCRYPTED
        raise
    wide, high = page.get_size()
    drawn: Image = page.render(scale=min(WIDE / wide, HIGH / high), may_draw_forms=False).to_pil()
    return drawn


def _image() -> Image | No:
    """An image, or the first of those in a file, upright, on white."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    file = os.fdopen(0, "rb")  # held to the end: an image reads it when it is asked to
    try:
        image = Image.open(file, formats=FORMATS)
        image.draft("RGB", (WIDE * 2, HIGH * 2))  # a JPEG is not read in more detail than needed
        image.load()
    except UnidentifiedImageError:
        return No.KIND
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return No.LARGE
    plain = _plain(image)
    plain.thumbnail((HIGH * 2, HIGH * 2))
    ImageOps.exif_transpose(plain, in_place=True)
    plain.thumbnail((WIDE, HIGH))
    return plain


def _plain(image: Image) -> Image:
    """In grey or colours, one byte each; what shows through is white."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        low, high = cast(tuple[float, float], image.convert("F").getextrema())
        scale = 255 / ((high - low) or 1)
        return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        under = Image.new("RGBA", shown.size, WHITE)
        return Image.alpha_composite(under, shown).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


if __name__ == "__main__":
    main()
