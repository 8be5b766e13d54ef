"""Contents: files read and edited as deepagents wants them, texts by lines and all others in base64."""

from __future__ import annotations

import base64

from deepagents.backends.protocol import FileData, ReadResult
from deepagents.backends.utils import (
    _get_backend_read_file_type as type_of,  # what its middleware goes by, too; it has no public name
)
from deepagents.backends.utils import perform_string_replacement, slice_read_response

from treegate.errors import PlanError
from treegate.interfaces.deepagents.view import MOST_WHOLE, View

__all__ = ["MOST_BINARY", "MOST_WHOLE", "edited", "encoded", "read"]

MOST_BINARY = 1 << 24  # bytes of a picture or the like: it goes to the model as it is


def read(view: View, path: str, file_path: str, offset: int, limit: int, most_binary: int) -> ReadResult:
    """Some lines, or all bytes."""
    entry, data = view.whole(path)
    text = _text(data) if type_of(file_path) == "text" else None
    if text is not None and entry.size <= MOST_WHOLE:
        return slice_read_response(FileData(content=text, encoding="utf-8"), offset, limit)
    if entry.size > most_binary:
        what = "Text file exceeds maximum" if text is not None else "Binary file exceeds maximum preview"
        most = MOST_WHOLE if text is not None else most_binary
        return ReadResult(error=f"File '{file_path}': {what} size of {most} bytes")
    return ReadResult(file_data=FileData(content=base64.b64encode(data).decode("ascii"), encoding="base64"))


def edited(view: View, path: str, old: str, new: str, replace_all: bool) -> tuple[str, int] | str:
    """What a text would be, and how many replacements that is; or what is in the way."""
    entry, data = view.whole(path)
    text = _text(data)
    if text is None or entry.size > MOST_WHOLE:
        return "Error: Cannot edit binary files with text replacements."
    if old and old == new:
        return "Error: old_string and new_string are the same; there is nothing to change."
    if old not in text and "\r\n" in text:  # lines are read with \n alone, whatever they end with
        old, new = _crlf(old), _crlf(new)
    return perform_string_replacement(text, old, new, replace_all)


def encoded(text: str) -> bytes:
    """A text as a file holds it; raises PlanError."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        hint = "write the characters themselves, and no halves of surrogate pairs"
        raise PlanError(f"the text is not Unicode: {error.reason}", code="not-text", hint=hint) from None


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
