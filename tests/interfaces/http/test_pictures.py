"""Pictures: what files of every kind, honest and hostile, come to; the service stays as it was."""

from __future__ import annotations

import asyncio
import io
import os
import re
import struct
import subprocess
import sys
import time
import zlib
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw
from test_plans_over_http import plan, submitted

from treegate.gate.looking import Content
from treegate.interfaces.demo import pdf, scans
from treegate.interfaces.demo.items import Bill, Letter, Scan
from treegate.interfaces.http import pictures, picturing
from treegate.interfaces.http.pictures import MOST_BYTES, NoPicture, Pictures

Headers = dict[str, str]


# -- files


def sheet(mode: str = "RGB") -> Image.Image:
    """White paper, a broad red bar above, a blue one below."""
    made = Image.new("RGB", (1700, 2200), "white")
    pen = ImageDraw.Draw(made)
    pen.rectangle((100, 100, 1600, 600), fill=(200, 30, 30))
    pen.rectangle((100, 1200, 1600, 1600), fill=(30, 30, 200))
    if mode == "I;16":
        return made.convert("L").convert("I").point(lambda value: value * 256).convert("I;16")
    return made.convert(mode)


def saved(kind: str, mode: str = "RGB", **named: object) -> bytes:
    out = io.BytesIO()
    sheet(mode).save(out, kind, **named)
    return out.getvalue()


def png(wide: int, high: int, data: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of one bit a pixel, whatever its data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 1, 0, 0, 0, 0))
    others = b"".join(chunk(*one) for one in more)
    return b"\x89PNG\r\n\x1a\n" + head + others + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """Very many zeros, packed."""
    packer = zlib.compressobj(9)
    whole, rest = divmod(size, 1 << 20)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(whole)] + [packer.compress(bytes(rest))]) + (
        packer.flush()
    )


def tiff(wide: int, high: int, strip: bytes) -> bytes:
    """A TIFF whose one strip is packed by deflate."""
    tags = {256: wide, 257: high, 258: 1, 259: 8, 262: 1, 273: 8, 277: 1, 278: high, 279: len(strip)}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + struct.pack("<H", len(tags)) + rows + bytes(4)


def document(*objects: str) -> bytes:
    """A PDF of objects, numbered from 1, the first its catalog."""
    out, places = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{one}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    count = len(objects) + 1
    end = (
        f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer <</Size {count} /Root 1 0 R>>\nstartxref\n{len(out)}\n"
    )
    return out + end.encode() + b"%%EOF\n"


def stream(text: str, more: str = "") -> str:
    return f"<</Length {len(text)} {more}>>\nstream\n{text}\nendstream"


PAGES = "<</Type /Pages /Kids [3 0 R] /Count 1>>"
RED = "1 0 0 rg 0 0 600 800 re f"


def page(content: str, *more: str, resources: str = "", catalog: str = "") -> bytes:
    """A PDF of one page; `more` are objects from the fifth on."""
    first = f"<</Type /Catalog /Pages 2 0 R {catalog}>>"
    third = f"<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources <<{resources}>>>>"
    return document(first, PAGES, third, stream(content), *more)


def laughs(depth: int) -> bytes:
    """A page whose form is drawn by forms that draw forms: 10 to the power of `depth`."""
    shape = "/Type /XObject /Subtype /Form /BBox [0 0 600 800]"
    forms = [stream("/F Do " * 10, f"{shape} /Resources <</XObject <</F {6 + n} 0 R>>>>") for n in range(depth)] + [
        stream("0 0 600 800 re 10 10 500 500 re f* ", shape)
    ]
    return page("/F Do", *forms, resources="/XObject <</F 5 0 R>>")


SCRIPT = "/OpenAction <</S /JavaScript /JS (while \\(true\\) {} app.alert\\(1\\))>>"
LETTER = Letter(
    head=("Okafor & Lindqvist", "12 Mill Lane"), date="3 May 2024", to=("Ms Smith",), about="The piano",
    body=("It fell.",), signed="T. Okafor",
)  # fmt: skip
BILL = Bill(head=("A", "B"), number="1", date="3 May", to="Smith", lines=(("One", 2.0),), remark="")
SCAN = Scan(heading="Inventory", lines=("one piano", "one stair"))


# -- drawing, without a service


def drawn(data: bytes, where: Path, by: Pictures | None = None) -> Image.Image:
    """The picture of a file that holds these bytes; raises NoPicture."""
    path = where / "file"
    path.write_bytes(data)
    mark = str(zlib.crc32(data))
    with path.open("rb", buffering=0) as file:
        made = asyncio.run((by or Pictures()).of(Content(file, len(data), mark)))
    return Image.open(io.BytesIO(made))


def why(data: bytes, where: Path) -> str:
    with pytest.raises(NoPicture) as caught:
        drawn(data, where)
    return caught.value.message


def holds_memory() -> int:
    """Bytes that this process has in memory."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10


KINDS = {
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg, four inks": ("JPEG", "CMYK", {}),
    "png": ("PNG", "RGB", {}),
    "png, see-through": ("PNG", "RGBA", {}),
    "png, palette": ("PNG", "P", {}),
    "gif": ("GIF", "P", {}),
    "webp": ("WEBP", "RGB", {}),
    "bmp": ("BMP", "RGB", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff, lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff, deflate": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "tiff, jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff, lab": ("TIFF", "LAB", {}),
    "several images": ("MPO", "RGB", {"save_all": True}),
    "a pdf": ("PDF", "RGB", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_gives_a_small_picture_of_what_it_shows(name: str, tmp_path: Path):
    """Within 400 x 520, its proportions kept, red above and blue below, the rest white."""
    kind, mode, named = KINDS[name]
    made = drawn(saved(kind, mode, **named), tmp_path)
    assert made.format == "WEBP"
    assert made.size in {(400, 517), (400, 518)}
    colours = [made.convert("RGB").getpixel(at) for at in ((200, 80), (200, 330), (200, 230))]
    for found, hoped in zip(colours, ((200, 30, 30), (30, 30, 200), (255, 255, 255)), strict=True):
        assert all(abs(one - other) < 50 for one, other in zip(found, hoped, strict=True)), colours


@pytest.mark.parametrize(
    ("kind", "mode", "named"),
    [("TIFF", "1", {"compression": "group4"}), ("TIFF", "1", {"compression": "group3"}), ("PNG", "1", {}),
     ("PNG", "I;16", {}), ("TIFF", "F", {}), ("PNG", "LA", {})],
)  # fmt: skip
def test_images_without_colours_are_drawn_too(kind: str, mode: str, named: dict[str, str], tmp_path: Path):
    """Faxes, sixteen bits, floating point: dark where they are dark."""
    made = drawn(saved(kind, mode, **named), tmp_path).convert("L")
    assert made.getpixel((200, 330)) < 110
    assert made.getpixel((200, 230)) > 240


def test_a_photograph_stands_upright(tmp_path: Path):
    """The orientation that a camera noted is followed."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert drawn(saved("JPEG", exif=exif), tmp_path).size == (400, 309)


@pytest.mark.parametrize("paper", [LETTER, BILL])
def test_a_paper_of_the_sample_office_is_drawn(paper: Letter | Bill, tmp_path: Path):
    """Ink on white, in the fonts that a PDF need not bring."""
    made = drawn(pdf.pdf(paper, datetime(2024, 5, 3)), tmp_path).convert("L")
    dark = sum(made.histogram()[:128])
    assert made.size == (400, 518)
    assert 200 < dark < 400 * 518 / 10


@pytest.mark.parametrize("extension", [".jpg", ".png"])
def test_a_scan_of_the_sample_office_is_drawn(extension: str, tmp_path: Path):
    """Grey paper with a shadow on its left."""
    made = drawn(scans.image(SCAN, extension), tmp_path).convert("L")
    assert made.size == (400, 517)
    assert made.getpixel((2, 260)) < made.getpixel((300, 500)) - 40


HOSTILE = {
    "a bomb: a PNG of 50,000 x 50,000": (png(50_000, 50_000, zeros(50_000 * 6251)), "too large"),
    "a TIFF of 60,000 x 60,000": (tiff(60_000, 60_000, zeros(8 << 20)), "too large"),
    "a TIFF whose strip says less than it holds": (tiff(1000, 1000, zeros(512 << 20)), ""),
    "a PNG with a text of half a gigabyte": (
        png(8, 8, zeros(16), (b"zTXt", b"Comment\0\0" + zeros(512 << 20))), "damaged",
    ),
    "an image that stops": (saved("JPEG")[:3000], "damaged"),
    "a PDF that stops": (saved("PDF")[:400], "damaged"),
    "a PDF of chance": (b"%PDF-1.7\n" + bytes(range(256)) * 80, "damaged"),
    "a PDF whose pages are their own": (
        document("<</Type /Catalog /Pages 2 0 R>>", "<</Type /Pages /Kids [2 0 R 2 0 R] /Count 2>>"), "damaged",
    ),
    "a PDF of ten billion forms": (laughs(10), "asks for too much"),
    "a PDF that draws for long": (laughs(5), "too long"),
    "a PDF with an image of 60,000 x 60,000": (
        page("600 0 0 800 0 0 cm /I Do", stream("x", "/Type /XObject /Subtype /Image /Width 60000 /Height 60000 "
             "/BitsPerComponent 8 /ColorSpace /DeviceRGB"), resources="/XObject <</I 5 0 R>>"), "",
    ),
    "nothing": (b"", "of PDFs and images only"),
    "text": (b"Dear Ms Smith", "of PDFs and images only"),
    "a drawing with a script": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "images only"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "images only"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_or_damaged_gives_no_picture_and_does_no_harm(name: str, tmp_path: Path):
    """An answer in time, with a reason; this process has not grown, and the next picture comes."""
    data, hoped = HOSTILE[name]
    began, before = time.monotonic(), holds_memory()
    try:
        drawn(data, tmp_path)
        found = ""
    except NoPicture as error:
        found = error.message
    assert hoped in found
    assert time.monotonic() - began < picturing.SECONDS + 5
    assert holds_memory() - before < len(data) + (16 << 20)
    assert drawn(saved("PNG"), tmp_path).size == (400, 517)


def test_a_pdf_with_a_script_is_drawn_and_the_script_is_not_run(tmp_path: Path):
    """It would never end."""
    made = drawn(page(RED, catalog=SCRIPT), tmp_path)
    assert made.convert("RGB").getpixel((200, 200))[1] < 40


def test_an_encrypted_pdf_says_so(tmp_path: Path):
    """There is nothing to see without its password."""
    from fpdf import FPDF

    made = FPDF()
    made.add_page()
    made.set_encryption(owner_password="o", user_password="u")
    assert why(bytes(made.output()), tmp_path) == "it is encrypted"


def test_a_file_that_is_too_large_is_not_looked_at(tmp_path: Path):
    """No process is started."""
    with (tmp_path / "file").open("wb+", buffering=0) as file, pytest.raises(NoPicture, match="too large"):
        asyncio.run(Pictures().of(Content(file, MOST_BYTES + 1, "x")))


def test_what_was_drawn_is_kept_and_so_is_why_not(tmp_path: Path):
    """The second time no process is started: the file may be gone."""
    kept, empty = Pictures(), (tmp_path / "empty").open("wb+", buffering=0)
    data = saved("PNG")
    first = drawn(data, tmp_path, kept)
    again = asyncio.run(kept.of(Content(empty, len(data), str(zlib.crc32(data)))))
    assert Image.open(io.BytesIO(again)).tobytes() == first.tobytes()
    for _ in range(2):
        with pytest.raises(NoPicture, match="images only"):
            asyncio.run(kept.of(Content(empty, 0, "empty")))
    empty.close()


def test_who_does_not_end_is_ended_and_asked_anew_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mount that hangs, say: an answer all the same, nothing is left running, nothing is held against the file."""
    kept, pid = Pictures(), tmp_path / "pid"
    with monkeypatch.context() as hanging:
        hanging.setattr(pictures, "SECONDS", -3)  # two are left
        hanging.setattr(pictures, "_PROGRAM", ("/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60"))
        with pytest.raises(NoPicture, match="takes too long"):
            drawn(saved("PNG"), tmp_path, kept)
    assert not Path(f"/proc/{int(pid.read_text())}").exists()
    assert drawn(saved("PNG"), tmp_path, kept).size == (400, 517)


@pytest.mark.parametrize("sends", ["exec yes", "echo '<svg><script>1</script></svg>'", "printf RIFF1234JUNK; exit 1"])
def test_of_a_process_that_was_taken_over_nothing_is_believed(
    sends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither without end, nor anything but a WebP."""
    monkeypatch.setattr(pictures, "_PROGRAM", ("/bin/sh", "-c", sends))
    before = holds_memory()
    assert why(saved("PNG"), tmp_path)
    assert holds_memory() - before < 16 << 20


def test_the_service_itself_can_read_neither_images_nor_pdfs():
    """It does not even load what could."""
    code = (
        "import sys, treegate.interfaces.http.app\nprint([one for one in sys.modules if one[:4] in ('PIL', 'pypd')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_who_draws_is_sealed_and_limited_before_it_looks_at_the_file():
    """What a hostile file could make of the process: it opens nothing, and has no memory without end."""
    code = """
import os
from treegate.interfaces.http import picturing
asked = {}
limit = picturing.confine.limit
def limited(**bounds):
    limit(**bounds)
    asked.update(bounds)
def taken_over():
    try:
        os.open("/etc/hostname", os.O_RDONLY)
    except PermissionError:
        return 50 if asked["memory"] <= 1 << 30 and asked["processor"] <= 9 else 51
picturing.confine.limit, picturing._drawn = limited, taken_over
picturing.main()
"""
    assert subprocess.run([sys.executable, "-I", "-c", code], capture_output=True).returncode == 50


# -- over HTTP


@pytest.fixture
def reading(service: TestClient, token: Callable[..., str]) -> TestClient:
    """The service, with a reviewer logged in."""
    service.post("/ui/login", data={"token": token("rex", "reviewer")})
    return service


def at(made: dict[str, str], effect: str = "e1") -> str:
    return f"/ui/plans/{made['id']}/effects/{effect}/picture"


def test_a_page_shows_the_file_that_is_moved_before_and_after(
    reading: TestClient, author: Headers, reviewer: Headers, office: Path
):
    """Also once the run moved it; kept by the browser, and asked for again."""
    (office / "projects/Smith/scan0.png").write_bytes(saved("PNG"))
    made = submitted(reading, author, plan({"op": "move", "from": "scan0.png", "to": "Box.png"}))
    answer = reading.get(at(made))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp"), answer.text
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert reading.get(at(made), headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    reading.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = reading.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert '"applied"' in reading.get(f"/runs/{run}/events", headers=author).text
    assert reading.get(at(made)).content == answer.content


def test_what_is_replaced_is_shown_as_it_was_and_as_it_will_be(
    reading: TestClient, author: Headers, reviewer: Headers, office: Path
):
    """`old=1` is the file that goes away, in the vault afterwards; without it, what comes."""
    (office / "projects/Smith/scan0.png").write_bytes(saved("PNG"))
    new = b64encode(scans.image(SCAN, ".png")).decode()
    made = submitted(reading, author, plan({"op": "replace", "path": "scan0.png", "content_base64": new}))
    old, now = reading.get(f"{at(made)}?old=1"), reading.get(at(made))
    red, grey = (Image.open(io.BytesIO(one.content)).convert("RGB").getpixel((200, 80)) for one in (old, now))
    assert red[0] - red[1] > 100
    assert grey[0] == grey[1]
    reading.post(f"/plans/{made['id']}/approve", json={"digest": made["digest"]}, headers=reviewer)
    run = reading.post(f"/plans/{made['id']}/apply", headers=reviewer).json()["run"]
    assert '"applied"' in reading.get(f"/runs/{run}/events", headers=author).text
    assert [reading.get(f"{at(made)}{query}").content for query in ("?old=1", "")] == [old.content, now.content]


def swapped_for_a_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def swapped_for_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("swap", [swapped_for_a_link, swapped_for_a_fifo, Path.unlink])
def test_what_was_put_in_a_files_place_is_not_followed_nor_waited_for(
    swap: Callable[[Path], None], reading: TestClient, author: Headers, office: Path
):
    """404, at once, with what was found."""
    made = submitted(reading, author, plan({"op": "delete", "path": "scan0.pdf"}))
    swap(office / "projects/Smith/scan0.pdf")
    answer = reading.get(at(made))
    assert answer.status_code == 404
    assert "cannot be read now" in answer.text


def test_a_folder_through_a_link_is_not_entered(reading: TestClient, author: Headers, office: Path):
    """The folder of the file was swapped for a link to another case's."""
    (office / "projects/Smith/Box").mkdir()
    (office / "projects/Smith/Box/scan1.pdf").write_text("x")
    made = submitted(reading, author, plan({"op": "delete", "path": "Box/scan1.pdf"}))
    (office / "projects/Smith/Box/scan1.pdf").unlink()
    (office / "projects/Smith/Box").rmdir()
    (office / "projects/Smith/Box").symlink_to("../Jones")
    assert "cannot be read now" in reading.get(at(made)).text


def test_no_picture_is_a_quiet_answer(reading: TestClient, author: Headers, office: Path):
    """404 for text, for a folder, for the old one of what replaces none, for no effect at all; never 5xx."""
    (office / "projects/Smith/scan1.pdf").write_bytes(b"%PDF-1.7 nothing")
    made = submitted(reading, author)
    for address, hoped in (
        (at(made, "e3"), "it is damaged"), (at(made, "e2"), "images only"), (at(made, "e1"), "no file"),
        (f"{at(made, 'e2')}?old=1", "replaces no file"), (at(made, "e99"), "has no effect"),
    ):  # fmt: skip
        answer = reading.get(address)
        assert (answer.status_code, hoped in answer.text) == (404, True), (address, answer.text)


def test_pictures_are_for_who_may_see_the_case(service: TestClient, author: Headers, token: Callable[..., str]):
    """403 for a reviewer of another case; whoever is not logged in is sent to the form."""
    made = submitted(service, author)
    assert service.get(at(made), follow_redirects=False).status_code == 303
    service.post("/ui/login", data={"token": token("jo", "reviewer", ["Jones"])})
    assert service.get(at(made, "e2")).status_code in {403, 404}
    assert service.get(at(made, "e2")).headers["content-type"] != "image/webp"
