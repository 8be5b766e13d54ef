"""One JSON document of any value of ours, for `--json`: canonical, and never refused for a name that is not UTF-8."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from treegate.model.document import inert
from treegate.model.effects import tagged
from treegate.model.names import visible

_encode = msgspec.json.Encoder(order="sorted").encode
_LONG = re.compile(rb"[:,\[]-?\d{16,}")
_SAFE = 2**53 - 1  # RFC 7493 section 2.2: beyond it, readers disagree
_PATHS = frozenset({"path", "paths", "from", "to", "source", "target", "name", "names", "file", "files", "folder"})


def dumps(value: Any) -> str:
    """The value on one line, keys sorted; integers beyond 2^53 are decimal strings.

    A path that is not UTF-8 becomes its tagged form, `{"raw": "..."}`; such bytes elsewhere are shown as `\\xe9`.
    """
    try:
        made = _encode(value)
    except UnicodeEncodeError:
        made = b""
    if not made or _LONG.search(made):
        made = _encode(_plain(msgspec.to_builtins(value, str_keys=True), path=False))
    return inert(made).decode()


def _plain(value: Any, *, path: bool) -> Any:
    """The same, of what JSON can hold."""
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, dict):
        return {_key(key): _plain(held, path=key in _PATHS) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held, path=path) for held in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return str(value)
    return value


def _key(key: str) -> str:
    return key if _is_unicode(key) else visible(key)


def _text(text: str, path: bool) -> Any:
    if _is_unicode(text):
        return text
    try:
        return tagged(text) if path else visible(text)
    except UnicodeEncodeError:
        return visible(text)  # surrogates that stand for no byte: not a name of this machine


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
