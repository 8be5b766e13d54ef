"""Tables of the sample office: .xlsx through XlsxWriter, .csv through the standard library."""

from __future__ import annotations

import csv
import importlib
import io
from datetime import datetime
from typing import Any

from treegate.interfaces.demo.items import Sheet, needed


def xlsx(sheet: Sheet, when: datetime) -> bytes:
    """The table as a workbook with one sheet; UsageError if XlsxWriter is missing."""
    with needed("XlsxWriter"):
        library: Any = importlib.import_module("xlsxwriter")  # by name, for it carries no types
    out = io.BytesIO()
    book = library.Workbook(out, {"in_memory": True})
    book.set_properties({"title": sheet.title, "author": "Aldous & Pennick", "created": when.replace(tzinfo=None)})
    _fill(book, book.add_worksheet(sheet.title[:31]), sheet)
    book.close()
    return out.getvalue()


def _fill(book: Any, page: Any, sheet: Sheet) -> None:
    bold, money = book.add_format({"bold": True, "bottom": 1}), book.add_format({"num_format": "#,##0.00"})
    for column, title in enumerate(sheet.columns):
        page.write(0, column, title, bold)
        page.set_column(column, column, _width(sheet, column))
    for number, row in enumerate(sheet.rows, 1):
        for column, value in enumerate(row):
            page.write(number, column, value, money if isinstance(value, float) else None)
    page.freeze_panes(1, 0)
    if sheet.total:
        _add_up(page, sheet, money)


def _width(sheet: Sheet, column: int) -> int:
    return min(60, 2 + max(len(str(row[column])) for row in (sheet.columns, *sheet.rows)))


def _add_up(page: Any, sheet: Sheet, money: Any) -> None:
    column, last = sheet.columns.index(sheet.total), len(sheet.rows)
    letter = chr(ord("A") + column)
    value = sum(float(row[column]) for row in sheet.rows)
    page.write(last + 1, 0, "Total")
    page.write_formula(last + 1, column, f"=SUM({letter}2:{letter}{last + 1})", money, value)


def as_csv(sheet: Sheet) -> bytes:
    """The table as UTF-8 with a header line and CRLF, as RFC 4180 has it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(sheet.columns)
    writer.writerows(sheet.rows)
    return out.getvalue().encode()
