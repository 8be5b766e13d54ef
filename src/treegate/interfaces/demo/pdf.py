"""Papers of the sample office as PDF, through fpdf2, in the fonts every reader has (Windows-1252 text)."""

from __future__ import annotations

import zlib
from datetime import datetime
from functools import singledispatch
from typing import TYPE_CHECKING

from treegate.interfaces.demo.items import Bill, Deed, Form, Letter, Paper, Pleading, needed

if TYPE_CHECKING:
    from fpdf import FPDF

LEFT, RIGHT, TOP, WIDE, HIGH = 28.0, 20.0, 22.0, 215.9, 279.4  # mm, the last two a Letter page
LINE = 8.4  # mm, from one numbered line of a pleading to the next


def pdf(paper: Paper, when: datetime) -> bytes:
    """The paper as a PDF file, the same bytes every time; UsageError if fpdf2 is missing."""
    with needed("fpdf2"):
        from fpdf import FPDF
    sheet = FPDF(format="Letter")
    sheet.core_fonts_encoding = "cp1252"
    sheet.set_creation_date(when)
    sheet.set_margins(LEFT, TOP, RIGHT)
    sheet.set_auto_page_break(not paper.scan, 24)  # a crooked page cannot run over
    sheet.add_page()
    if paper.scan:
        _photocopy(sheet, paper)
    else:
        draw(paper, sheet)
    if paper.exhibit:
        _sticker(sheet, paper.exhibit)
    return bytes(sheet.output())


@singledispatch
def draw(paper: Paper, sheet: FPDF) -> None:
    """Set one paper on its first page; one function a class of paper is registered below."""
    raise TypeError(f"no drawing for {type(paper).__name__}")


@draw.register(Pleading)
def _pleading(paper: Pleading, sheet: FPDF) -> None:
    _numbered_lines(sheet)
    sheet.set_y(34)
    _text(sheet, paper.court.upper(), "B", 12, align="C")
    sheet.ln(9)
    _caption(sheet, paper)
    sheet.ln(8)
    _text(sheet, paper.title.upper(), "B", 12, align="C")
    _to_line(sheet)
    for paragraph in paper.body:
        _text(sheet, "        " + paragraph, height=LINE)
    _signature(sheet, paper.signed)


def _to_line(sheet: FPDF) -> None:
    """Go down to where the next numbered line begins."""
    past = (sheet.get_y() - 27 + LINE / 2) % LINE
    sheet.ln(LINE - past - 1.4)  # half a line less the height from middle to baseline


def _numbered_lines(sheet: FPDF) -> None:
    """The numbers 1 to 28 and the double rule of American pleading paper."""
    sheet.set_draw_color(120)
    for x in (22.5, 23.5):
        sheet.line(x, 8, x, HIGH - 8)
    sheet.set_font("Times", "", 10)
    for number in range(1, 29):
        sheet.text(17.5 - sheet.get_string_width(str(number)) / 2, 27 + number * LINE, str(number))
    sheet.set_draw_color(0)


def _caption(sheet: FPDF, paper: Pleading) -> None:
    first, second = paper.parties
    top = sheet.get_y()
    versus = f"{first},\n\n                    {'v.' if second else ''}\n\n{second}" if second else first
    sheet.set_font("Times", "", 11.5)
    sheet.multi_cell(82, 5.6, versus, align="L")
    bottom = max(sheet.get_y(), top + 22) + 3
    sheet.line(LEFT, bottom, LEFT + 84, bottom)
    sheet.line(LEFT + 84, top - 2, LEFT + 84, bottom)
    sheet.set_xy(LEFT + 90, top + 6)
    sheet.multi_cell(70, 5.6, f"Case No. {paper.number}", align="L")
    sheet.set_y(bottom)


@draw.register(Letter)
def _letter(paper: Letter, sheet: FPDF) -> None:
    _letterhead(sheet, paper.head)
    _text(sheet, paper.date)
    sheet.ln(6)
    _text(sheet, "\n".join(paper.to))
    sheet.ln(6)
    _text(sheet, paper.about, "B")
    sheet.ln(3)
    for paragraph in paper.body:
        _text(sheet, paragraph)
        sheet.ln(3)
    _signature(sheet, paper.signed)


@draw.register(Bill)
def _bill(paper: Bill, sheet: FPDF) -> None:
    _letterhead(sheet, paper.head)
    _text(sheet, f"INVOICE {paper.number}", "B", 16)
    _text(sheet, f"Date: {paper.date}\nTo: {paper.to}")
    sheet.ln(8)
    _row(sheet, "Description", "Amount", "B", "B")
    for what, amount in paper.lines:
        _row(sheet, what, f"{amount:,.2f}", "")
    _row(sheet, "Total due", f"$ {sum(amount for _, amount in paper.lines):,.2f}", "B", "T")
    sheet.ln(8)
    if paper.remark:
        _text(sheet, paper.remark, "I", 10.5)


def _row(sheet: FPDF, left: str, right: str, style: str, border: str = "") -> None:
    sheet.set_font("Times", style, 11.5)
    sheet.cell(132, 8, left, border=border or 0)
    sheet.cell(35.9, 8, right, border=border or 0, align="R", new_x="LMARGIN", new_y="NEXT")


@draw.register(Deed)
def _deed(paper: Deed, sheet: FPDF) -> None:
    sheet.ln(8)
    _text(sheet, paper.title.upper(), "B", 15, align="C", height=8)
    sheet.ln(6)
    _text(sheet, paper.preamble, align="J")
    sheet.ln(4)
    for number, (title, clause) in enumerate(paper.clauses, 1):
        _text(sheet, f"{number}.  {title}", "B")
        _text(sheet, clause, align="J")
        sheet.ln(3)
    for signer in paper.signers:
        _signature(sheet, signer)
    _footer(sheet, paper.footer)


@draw.register(Form)
def _form(paper: Form, sheet: FPDF) -> None:
    _letterhead(sheet, paper.head)
    _text(sheet, paper.title, "B", 15)
    sheet.ln(4)
    for label, value in paper.fields:
        sheet.set_fill_color(238)
        sheet.set_font("Helvetica", "", 9)
        sheet.cell(48, 8.5, label, border=1, fill=True)
        sheet.set_font("Times", "", 11.5)
        sheet.cell(0, 8.5, value, border=1, new_x="LMARGIN", new_y="NEXT")
    sheet.ln(6)
    _text(sheet, paper.remarks)


def _letterhead(sheet: FPDF, head: tuple[str, ...]) -> None:
    _text(sheet, head[0], "B", 17, height=8)
    sheet.set_text_color(90)
    _text(sheet, "  ·  ".join(head[1:]), "", 9.5)
    sheet.set_text_color(0)
    y = sheet.get_y() + 2
    sheet.set_line_width(0.5)
    sheet.line(LEFT, y, WIDE - RIGHT, y)
    sheet.set_line_width(0.2)
    sheet.set_y(y + 10)


def _signature(sheet: FPDF, signer: str) -> None:
    """A line to sign on, and who signs; kept together on one page."""
    if sheet.auto_page_break and sheet.get_y() > HIGH - 62:
        sheet.add_page()
    sheet.ln(12)
    y = sheet.get_y()
    sheet.line(LEFT, y, LEFT + 70, y)
    _scrawl(sheet, signer, y)
    sheet.set_y(y + 1)
    _text(sheet, signer, "", 11)


def _scrawl(sheet: FPDF, signer: str, y: float) -> None:
    """Something like handwriting, different for each name."""
    strokes = zlib.crc32(signer.encode())
    sheet.set_draw_color(40, 50, 120)
    sheet.set_line_width(0.35)
    x, last = LEFT + 4.0, y - 2.0
    for turn in range(15):
        high = ((strokes >> (2 * turn)) & 3) * (1.9 if turn % 5 == 0 else 0.9)
        step = 1.6 + ((strokes >> turn) & 1) * 1.1
        up = y - 1.6 - high
        sheet.bezier([(x, last), (x + step / 3, up), (x + step, up), (x + step, y - 1.8)])
        x, last = x + step * 0.86, y - 1.8
    sheet.set_draw_color(0)
    sheet.set_line_width(0.2)


def _footer(sheet: FPDF, footer: str) -> None:
    sheet.set_font("Helvetica", "", 8)
    sheet.text(LEFT, HIGH - 12, footer)


def _photocopy(sheet: FPDF, paper: Paper) -> None:
    """Draw the paper as it lay on the glass: greyish, a touch crooked, with holes, a shadow and a page stamp."""
    sheet.set_fill_color(247, 246, 242)
    sheet.rect(0, 0, WIDE, HIGH, "F")
    for step in range(12):
        sheet.set_fill_color(196 + 4 * step, 196 + 4 * step, 194 + 4 * step)
        sheet.rect(step * 0.5, 0, 0.5, HIGH, "F")
    crooked = (zlib.crc32(paper.scan.encode()) % 13 - 6) / 10
    with sheet.rotation(crooked, WIDE / 2, HIGH / 2):
        sheet.set_fill_color(150)
        for y in (0.3, 0.7):
            sheet.ellipse(9, HIGH * y, 6, 6, "F")
        draw(paper, sheet)
    sheet.set_font("Helvetica", "B", 9)
    sheet.text(WIDE - 12 - sheet.get_string_width(paper.scan), HIGH - 8, paper.scan)


def _sticker(sheet: FPDF, letter: str) -> None:
    sheet.set_fill_color(250, 222, 90)
    x, y = WIDE - 58, HIGH - 46
    sheet.rect(x, y, 40, 24, "DF", round_corners=True, corner_radius=2)
    sheet.set_font("Helvetica", "", 8)
    sheet.text(x + 20 - sheet.get_string_width("PLAINTIFF'S EXHIBIT") / 2, y + 7, "PLAINTIFF'S EXHIBIT")
    sheet.set_font("Helvetica", "B", 26)
    sheet.text(x + 20 - sheet.get_string_width(letter) / 2, y + 19, letter)


def _text(
    sheet: FPDF, text: str, style: str = "", size: float = 11.5, *, align: str = "L", height: float = 5.6
) -> None:
    sheet.set_font("Times", style, size)
    sheet.multi_cell(0, height, text, align=align, new_x="LMARGIN", new_y="NEXT")
