"""Kinds of values in treegate.toml: how each is described, read strictly, and written."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from treegate.model.globs import PathRule
from treegate.model.likeness import nearest
from treegate.model.measures import MOST
from treegate.model.names import visible


class Kind(NamedTuple):
    """A kind of value: how it is described, read from TOML, read from a variable's text, and written as TOML."""

    described: str
    read: Callable[[object], object]  # raises ValueError with a sentence
    write: Callable[[object], str]
    from_text: Callable[[str], object] = str  # what a variable's text stands for in TOML


T = TypeVar("T")


def of_type(kind: type[T], value: object, described: str) -> T:
    """The value if it is of that very type: true is no number here."""
    if type(value) is not kind:
        raise ValueError(f"must be {described}, not {type_of(value)}")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("is not UTF-8")
    return value


def type_of(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a whole number", float: "a fraction", list: "a list"}
    return names.get(type(value), "a section" if isinstance(value, dict) else "a date or time")


def quoted(value: object) -> str:
    """Text as a TOML string; a TOML basic string takes what a JSON one takes."""
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def as_toml(text: str) -> object:
    """A variable's text as the number or truth value it stands for, or as the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except (ValueError, RecursionError):  # no TOML, or a number of more digits than can be read
        return text


def count(least: int) -> Kind:
    """A whole number."""
    described = f"a whole number, {least} or more"

    def read(value: object) -> int:
        number = of_type(int, value, described)
        if not least <= number <= MOST:
            raise ValueError(f"must be {described}, not {number}")
        return number

    return Kind(described, read, lambda value: f"{value:_}", as_toml)


def share() -> Kind:
    """A part of a whole."""
    described = "a number from 0 to 1"

    def read(value: object) -> float:
        number = value if type(value) is int else of_type(float, value, described)
        if not 0 <= number <= 1:
            raise ValueError(f"must be {described}, not {number}")
        return float(number)

    return Kind(described, read, repr, as_toml)


def number() -> Kind:
    """An amount of which there may be parts."""
    described = "a number above 0"

    def read(value: object) -> float:
        amount = value if type(value) is int else of_type(float, value, described)
        if not 0 < amount <= MOST:
            raise ValueError(f"must be {described}, not {amount}")
        return float(amount)

    return Kind(described, read, repr, as_toml)


def flag() -> Kind:
    """Yes or no."""
    described = "true or false"
    return Kind(described, lambda value: of_type(bool, value, described), lambda value: str(value).lower(), as_toml)


def measure(what: str, parse: Callable[[str], int], write: Callable[[int], str], endless: str = "") -> Kind:
    """A size or a duration; `endless` is the word, if there is one, for having none."""
    described = f'{what}, or "{endless}"' if endless else what

    def read(value: object) -> int | None:
        text = of_type(str, value, described)
        if endless and text == endless:
            return None
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f'{error}, or "{endless}"' if endless else str(error)) from None

    def written(value: object) -> str:
        return quoted(write(value) if isinstance(value, int) else endless)

    return Kind(described, read, written)


def choice(*words: str) -> Kind:
    """One of some words."""
    described = "one of " + ", ".join(f'"{word}"' for word in words) if len(words) > 1 else f'"{words[0]}"'

    def read(value: object) -> str:
        if of_type(str, value, described) not in words:
            raise ValueError(f"must be {described}, not '{visible(str(value))}'")
        return str(value)

    return Kind(described, read, quoted)


def list_of(described: str, check: Callable[[str], object], alone: str = "") -> Kind:
    """A list of texts, each of which `check` accepts; `alone` is a word that may stand instead of a list."""
    whole = f'{described}, or "{alone}"' if alone else described

    def read(value: object) -> object:
        if alone and value == alone:
            return alone
        items = [of_type(str, item, f"{whole}, each in quotes") for item in of_type(list, value, whole)]
        for item in items:
            check(item)
        return tuple(dict.fromkeys(items))

    def from_text(text: str) -> object:
        listed = as_toml(text)
        if isinstance(listed, list) or (alone and text == alone):
            return listed if isinstance(listed, list) else text
        return [item.strip() for item in text.split(",") if item.strip()]

    return Kind(whole, read, quoted, from_text)


def among(words: tuple[str, ...]) -> Callable[[str], object]:
    """A check for `list_of`: each item is one of some words."""

    def check(item: str) -> None:
        if item not in words:
            near = nearest(item, words)
            meant = f"; did you mean '{near}'?" if near else ""
            raise ValueError(f"holds '{visible(item)}', but knows only {', '.join(words)}{meant}")

    return check


def pattern(item: str) -> None:
    """A check for `list_of`: each item is a pattern of a policy."""
    try:
        PathRule.parse(item, itself=True)
    except ValueError as error:
        raise ValueError(f"holds the pattern '{visible(item)}': {error}") from None


def folder(alone: str = "") -> Kind:
    """A folder of the workspace; `alone` is a word that may stand for one."""
    described = "a folder's path relative to the workspace" + (f', or "{alone}"' if alone else "")

    def read(value: object) -> str:
        path = of_type(str, value, described)
        bad = not path or path.startswith("/") or "\0" in path or {"", ".", "..", ".treegate"} & set(path.split("/"))
        if bad and not (alone and path == alone):
            raise ValueError(f"must be {described}, not '{visible(path)}'")
        return path

    return Kind(described, read, quoted)


def login() -> Kind:
    """A user of the operating system, by name; "" is nobody."""
    described = "the name of an OS user"

    def read(value: object) -> str:
        name = of_type(str, value, described)
        if any(character in ":/" or character.isspace() or not character.isprintable() for character in name):
            raise ValueError(f"must be {described}, not '{visible(name)}'")
        return name

    return Kind(described, read, quoted)
