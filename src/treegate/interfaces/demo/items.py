"""What the sample office holds, as values: each item has a place, a day and something inside.

The libraries that turn contents into bytes each live in a module of their own
(pdf, scans, letters, sheets, mail); nothing here needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from treegate.errors import UsageError

Row = tuple[str | int | float, ...]


@dataclass(frozen=True)
class Text:
    """A plain file: notes, lists, scripts."""

    text: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Same:
    """The very bytes of another item, as people make them with *Save as*."""

    path: str


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What becomes a PDF: `scan` is the number stamped on a crooked photocopy, `exhibit` the sticker's letter."""

    scan: str = ""
    exhibit: str = ""


@dataclass(frozen=True)
class Pleading(Paper):
    """A paper for the court, on numbered lines."""

    court: str
    parties: tuple[str, str]
    number: str
    title: str
    body: tuple[str, ...]
    signed: str


@dataclass(frozen=True)
class Letter(Paper):
    """A letter with a letterhead; as .pdf or .docx, by its item's extension."""

    head: tuple[str, ...]
    date: str
    to: tuple[str, ...]
    about: str
    body: tuple[str, ...]
    signed: str


@dataclass(frozen=True)
class Bill(Paper):
    """An invoice: who asks for money, and for what; amounts in dollars."""

    head: tuple[str, ...]
    number: str
    date: str
    to: str
    lines: tuple[tuple[str, float], ...]
    remark: str = ""


@dataclass(frozen=True)
class Deed(Paper):
    """A contract, a will, minutes: a title, numbered clauses, places to sign."""

    title: str
    preamble: str
    clauses: tuple[tuple[str, str], ...]
    signers: tuple[str, ...] = ()
    footer: str = ""


@dataclass(frozen=True)
class Form(Paper):
    """A filled-in form: labels and values, then remarks."""

    head: tuple[str, ...]
    title: str
    fields: tuple[tuple[str, str], ...]
    remarks: str


@dataclass(frozen=True)
class Scan:
    """A page as an image: ruled paper with a heading and lines of writing."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Sheet:
    """A table, as .xlsx or .csv by its item's extension; `total` names a column to add up."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    total: str = ""


@dataclass(frozen=True)
class Mail:
    """A message; `attached` is the path of another item that it carries."""

    sender: str
    to: str
    about: str
    body: str
    attached: str = ""


Contents = Text | Same | Link | Paper | Scan | Sheet | Mail


@dataclass(frozen=True)
class Item:
    """One file or link: where it lies (relative to its folder), the day it was last touched, what is inside."""

    path: str
    day: str  # YYYY-MM-DD
    inside: Contents
    mode: int = 0o644


@contextmanager
def needed(package: str) -> Iterator[None]:
    """Turn the failed import of a demo library into advice on how to install it.

    Raises UsageError `demo-extra-missing`.
    """
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"The sample office needs the library {package}, which is not installed.",
            code="demo-extra-missing",
            hint="pip install 'treegate[demo]'",
        ) from error
