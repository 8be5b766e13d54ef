"""Messages of the sample office as .eml files (RFC 5322), through the standard library."""

from __future__ import annotations

import mimetypes
import zlib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP

from treegate.interfaces.demo.items import Mail


def eml(mail: Mail, when: datetime, attachment: bytes | None = None) -> bytes:
    """The message with its headers and, if it carries one, its attachment; the same bytes every time."""
    mark = f"{zlib.crc32((mail.about + mail.body).encode()):08x}"
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = mail.sender, mail.to, mail.about
    message["Date"] = when.strftime("%a, %d %b %Y %H:%M:%S +0000")
    message["Message-ID"] = f"<{when:%Y%m%d%H%M%S}.{mark}@mail.example>"
    message.set_content(mail.body)
    if attachment is not None:
        _attach(message, mail.attached, attachment)
        message.set_boundary(f"=_{mark}")
    return message.as_bytes()


def _attach(message: EmailMessage, path: str, content: bytes) -> None:
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    main, _, sub = kind.partition("/")
    message.add_attachment(content, maintype=main, subtype=sub, filename=path.rpartition("/")[2])
