"""Damage: what becomes of a valid file by chance or malice, from a seeded source of chance."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Change = Callable[[Random, bytes, Sequence[bytes]], bytes]

_NUMBER = re.compile(rb"\d+")
_TEXT = re.compile(rb'"[^"\\]*"')
_NUMBERS = (b"-1", b"0", b"1e400", b"NaN", b"9" * 19, b"9" * 5000, b"18446744073709551616", b"1.5", b"-0", b"0x1")
_WORDS = (b"null", b"true", b"{}", b"[]", b'""', b"\\", b"/", b"..", b"../..", b"\n", b"\r", b"\t", b":", b"=", b"#")
_NOT_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"\\ud800", b"\xef\xbb\xbf")
_DEEP = (b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"(", b"[[", b"a.", b"**/", b'"""')


def _flip(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Some bits turned over."""
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The end lost."""
    return data[: rng.randint(0, len(data))]


def _lose(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A part lost from the middle."""
    low, high = _part(rng, data)
    return data[:low] + data[high:]


def _splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A part of another file, or of this one, in the middle."""
    other = rng.choice(others)
    low, high = _part(rng, other)
    return _with(rng, data, other[low:high])


def _repeat(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A part written many times."""
    low, high = _part(rng, data)
    times = min(rng.choice((2, 10, 1000)), 1 + 2_000_000 // max(1, high - low))
    return data[:high] + data[low:high] * times + data[high:]


def _zero(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A block of zeros, as a power cut leaves it."""
    low = rng.randint(0, len(data))
    size = rng.choice((1, 16, 512, 4096))
    return data[:low] + bytes(size) + data[low + size * rng.randint(0, 1) :]


def _number(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Another number where one stands."""
    return _in_place(rng, data, _NUMBER, rng.choice(_NUMBERS))


def _text(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Something else where a text stands."""
    return _in_place(rng, data, _TEXT, rng.choice((*_WORDS, b'"' + rng.choice(_NOT_UTF8) + b'"', b'"\0"')))


def _word(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A word or byte that means something, anywhere."""
    return _with(rng, data, rng.choice((*_WORDS, *_NOT_UTF8, b"\0")))


def _deep(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Something nested without end."""
    return _with(rng, data, rng.choice(_DEEP) * rng.choice((200, 100_000)))


def _long(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A megabyte of one byte."""
    return _with(rng, data, rng.choice((b"A", b" ", b"\n", b"0", b"\xff")) * 1_000_000)


CHANGES: tuple[Change, ...] = (_flip, _cut, _lose, _splice, _zero, _number, _text, _word, _repeat)
RARE: tuple[Change, ...] = (_deep, _long)


def mutated(rng: Random, samples: Sequence[bytes]) -> bytes:
    """One of the samples with one to four changes."""
    data = rng.choice(samples)
    for _ in range(rng.choice((1, 1, 2, 4))):
        change = rng.choice(RARE if rng.random() < 0.03 else CHANGES)
        data = change(rng, data, samples)
    return data


def _part(rng: Random, data: bytes) -> tuple[int, int]:
    low = rng.randint(0, len(data))
    return low, min(len(data), low + rng.choice((1, 4, 30, 1000)))


def _with(rng: Random, data: bytes, more: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + more + data[at:]


def _in_place(rng: Random, data: bytes, wanted: re.Pattern[bytes], new: bytes) -> bytes:
    places = [found.span() for _, found in zip(range(500), wanted.finditer(data), strict=False)]
    if not places:
        return data + new
    low, high = rng.choice(places)
    return data[:low] + new + data[high:]
