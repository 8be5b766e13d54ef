"""Letters of the sample office as .docx, through python-docx."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime

from treegate.interfaces.demo.items import Letter, needed


def docx(letter: Letter, when: datetime) -> bytes:
    """The letter as a Word document, the same bytes every time; UsageError if python-docx is missing."""
    with needed("python-docx"):
        from docx import Document
    document = Document()
    facts = document.core_properties
    facts.author, facts.title, facts.comments = letter.signed, letter.about, ""
    facts.created = facts.modified = when.replace(tzinfo=None)
    document.add_heading(letter.head[0], level=1)
    for line in letter.head[1:]:
        document.add_paragraph(line).paragraph_format.space_after = 0
    document.add_paragraph(f"\n{letter.date}")
    document.add_paragraph("\n".join(letter.to))
    document.add_paragraph().add_run(letter.about).bold = True
    for paragraph in letter.body:
        document.add_paragraph(paragraph)
    document.add_paragraph(f"\n{letter.signed}")
    out = io.BytesIO()
    document.save(out)
    return _undated(out)


def _undated(archive: io.BytesIO) -> bytes:
    """The archive with the format's earliest date on every member, since the library writes the current time."""
    out = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            plain = zipfile.ZipInfo(member.filename, (1980, 1, 1, 0, 0, 0))
            new.writestr(plain, old.read(member), zipfile.ZIP_DEFLATED)
    return out.getvalue()
