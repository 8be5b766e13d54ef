"""Kinds of values in the `[service]` part of treegate.toml: where it listens, whom it believes, who people are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from treegate.engine.rules import all_of, inline
from treegate.engine.values import Kind, as_toml, choice, of_type, quoted
from treegate.model.actors import Role
from treegate.model.names import visible

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


def port() -> Kind:
    """A port of TCP."""
    described = "a port, 0 to 65535; 0 is any free one"

    def read(value: object) -> int:
        number = of_type(int, value, described)
        if not 0 <= number <= 65535:
            raise ValueError(f"must be {described}, not {number}")
        return number

    return Kind(described, read, str, as_toml)


def host() -> Kind:
    """A name or an address to listen at."""
    described = "a name or an address"

    def read(value: object) -> str:
        text = of_type(str, value, described)
        a_host(text)
        return text

    return Kind(described, read, quoted)


def a_host(text: str) -> None:
    """A check: a name of the DNS, or an address."""
    if not (_NAME.fullmatch(text) or _is_address(text.strip("[]"))):
        raise ValueError(f"holds '{visible(text)}', which is neither the name of a machine nor an address")


def an_address(text: str) -> None:
    """A check: an address, or a range of them."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"holds '{visible(text)}'; write an address, or a range such as 10.0.0.0/8") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def url(*, path: bool) -> Kind:
    """An address of the web, with a path or without; "" is none."""
    described = 'an address such as "https://treegate.example"' + ("" if path else ", without a path")

    def read(value: object) -> str:
        text = of_type(str, value, described)
        if text and not _is_url(text, path):
            raise ValueError(f"must be {described}, not '{visible(text)}'")
        return text.rstrip("/")

    return Kind(described, read, quoted)


def _is_url(text: str, path: bool) -> bool:
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text and not {"?", "#", "@", "\\"} & set(text)
    return bool(known and plain and (path or parts.path in {"", "/"}))


def text() -> Kind:
    """Some words, or "" for none."""

    def read(value: object) -> str:
        found = of_type(str, value, "text")
        if not found.isprintable():
            raise ValueError(f"must be text on one line, not '{visible(found)}'")
        return found

    return Kind("text", read, quoted)


def file() -> Kind:
    """The absolute path of a file; "" is none."""
    described = "the absolute path of a file"

    def read(value: object) -> str:
        found = of_type(str, value, described)
        if found and (not found.startswith("/") or "\0" in found):
            raise ValueError(f"must be {described}, not '{visible(found)}'")
        return found

    return Kind(described, read, quoted)


def roles() -> Kind:
    """Roles by a name that is free: of a person, or of a group."""
    described = 'a role for each name: "rita@example.org" = "reviewer"'
    one = choice(*Role)

    def read(value: object) -> dict[str, str]:
        table = of_type(dict, value, described)
        return all_of({name: partial(one.read, role) for name, role in table.items()})

    def write(value: object) -> str:
        named = value if isinstance(value, Mapping) else {}
        return inline({name: quoted(role) for name, role in named.items()}) or "{}"

    return Kind(described, read, write, as_toml)
