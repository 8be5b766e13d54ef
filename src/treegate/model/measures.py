"""Sizes and durations as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from treegate.model.names import visible

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000  # milliseconds
MOST = 2**53 - 1  # the largest whole number of a sealed document
_SIZES = {
    "TiB": 1 << 40,
    "GiB": GIB,
    "MiB": MIB,
    "KiB": KIB,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 1000,
    "B": 1,
}
_DURATIONS = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}


def parse_size(text: str) -> int:
    """Bytes from "5 GiB", "500 MB" or "0 B"; raises ValueError with a sentence."""
    return _amount(text, _SIZES, "a size", "5 GiB")


def write_size(size: int) -> str:
    """The reverse of `parse_size`, exactly, in the largest unit that divides it."""
    unit = next(unit for unit, factor in _SIZES.items() if size % factor == 0 and (size or factor == 1))
    return f"{size // _SIZES[unit]} {unit}"


def parse_duration(text: str) -> int:
    """Milliseconds from "72h", "10s", "90d" or "250ms"; raises ValueError with a sentence."""
    return _amount(text, _DURATIONS, "a duration", "72h")


def write_duration(milliseconds: int) -> str:
    """The reverse of `parse_duration`, exactly; in hours below a week, as people say 72h."""
    units = [unit for unit in _DURATIONS if unit != "w" and (unit != "d" or milliseconds >= 7 * DAY)]
    unit = next(unit for unit in units if milliseconds % _DURATIONS[unit] == 0 and (milliseconds or unit == "s"))
    return f"{milliseconds // _DURATIONS[unit]}{unit}"


def _amount(text: str, units: Mapping[str, int], what: str, example: str) -> int:
    """A whole number and a unit; RFC 8259 documents carry the result, so it stays below 2^53."""
    read = re.fullmatch(r"([0-9]{1,16}) ?([A-Za-z]*)", text.strip())
    if not read:
        raise ValueError(f"'{visible(text)}' is not {what}; write a whole number and a unit, such as '{example}'")
    number, unit = int(read[1]), read[2]
    if unit not in units:
        had = f"'{unit}' is not a unit" if unit else f"'{read[1]}' has no unit"
        raise ValueError(f"{had} of {what}; the units are {', '.join(units)}")
    if number * units[unit] > MOST:
        raise ValueError(f"'{visible(text)}' is too large for {what}")
    return number * units[unit]


def size_for_people(size: int) -> str:
    """A size as a sentence tells it: in a handy unit, and exactly."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit} ({size:,} bytes)"
    return f"{size:,} bytes"
