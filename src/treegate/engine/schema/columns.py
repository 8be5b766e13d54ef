"""How paths and prose stand in columns of the database."""

from __future__ import annotations

from sqlalchemy import LargeBinary, Text, TypeDecorator


class Name(TypeDecorator[str]):
    """A file name or path: its bytes, with those that are not UTF-8 as lone surrogates in Python (PEP 383)."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> bytes | None:
        return None if value is None else value.encode("utf-8", "surrogateescape")

    def process_result_value(self, value: bytes | None, dialect: object) -> str | None:
        return None if value is None else value.decode("utf-8", "surrogateescape")


class Names(TypeDecorator[tuple[str, ...]]):
    """Several file names in one column, parted by NUL, which no name can hold."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: object) -> bytes | None:
        return None if value is None else "\0".join(value).encode("utf-8", "surrogateescape")

    def process_result_value(self, value: bytes | None, dialect: object) -> tuple[str, ...] | None:
        if value is None:
            return None
        return tuple(value.decode("utf-8", "surrogateescape").split("\0")) if value else ()


class Prose(TypeDecorator[str]):
    """Text that people wrote: bytes of it that are not UTF-8 (they come in through a shell) are replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: object) -> str | None:
        if value is None or value.isascii():
            return value
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
