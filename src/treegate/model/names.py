"""What names must obey, and how a name is shown so that it cannot do anything.

Names are `str` with surrogateescape: a byte that is not UTF-8 is a lone surrogate, U+DC80 to U+DCFF (PEP 383).
The rules are tables, one for each kind of place that files come to lie in; they hold for names that a plan makes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from treegate.model.capabilities import Capabilities


class Rules(NamedTuple):
    """What one kind of place asks of names; lengths of whole paths are counted from its own root."""

    place: str  # as people call it
    forbidden: str = ""  # characters, as the inside of a regular expression's class
    discouraged: str = ""
    last: str = ""  # characters that a name may not end in
    reserved: frozenset[str] = frozenset()  # stems that no name may have, in lower case
    prefixes: tuple[str, ...] = ()  # that no path may begin with
    utf8: bool = False  # whether names must be valid Unicode
    path_bytes: int = 0  # 0: the mount's own
    path_characters: int = 0
    path_parts: int = 0
    folds_case: bool = False


_DEVICES = frozenset({"con", "prn", "aux", "nul"}) | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}

# posix: limits.h, path_resolution(7). gcs: cloud.google.com/storage/docs/objects#naming. s3, azure, windows: the
# vendors' pages on object keys, on naming blobs, and on naming files.
RULES: dict[str, Rules] = {
    "posix": Rules("this filesystem", forbidden=r"\0/"),
    "gcs": Rules(
        "Google Cloud Storage",
        forbidden=r"\r\n",
        discouraged=r"\x7f-\x84\x86-\x9f#\[\]*?:\"<>|",
        prefixes=(".well-known/acme-challenge/",),
        utf8=True,
        path_bytes=1024,
    ),
    "s3": Rules("Amazon S3", utf8=True, path_bytes=1024),
    "azure": Rules("Azure Blob Storage", forbidden=r"\\", last=".", utf8=True, path_characters=1024, path_parts=254),
    "windows": Rules(
        "Windows",
        forbidden=r"\0-\x1f<>:\"/\\|?*",
        last=". ",
        reserved=_DEVICES,
        utf8=True,
        folds_case=True,
    ),
}

Severity = Literal["error", "warning"]


class Finding(NamedTuple):
    """One thing about a name: a code, how bad it is, a sentence, and a better name if there is one."""

    code: str
    severity: Severity
    sentence: str
    suggestion: str | None


# What shows as nothing, reorders the text around it, or breaks a line, though it is no control character.
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSEEN = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2028\u2029\u2060-\u2065\u206a-\u206f"
_UNSEEN += "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U000e0000-\U000e0fff"

_DECEPTIVE = re.compile(f"[{_BIDI}{_UNSEEN}]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")

# What stands in for a character that a name had better not hold; an underscore for all others.
_STAND_IN = {
    ":": "-",
    "|": "-",
    "/": "-",
    "\\": "-",
    '"': "'",
    "<": "(",
    ">": ")",
    "[": "(",
    "]": ")",
    "?": "",
    "*": "",
}
_EDGES = " ."


class NameCheck:
    """The rules of one place, made ready for many names.

    `rules` are names from RULES, lengths and folding come from the mount's capabilities, and `root_bytes` is the
    length of what stands before the paths given to `path`, up to the root of the filesystem tree.
    """

    def __init__(self, rules: Sequence[str], mount: Capabilities | None = None, root_bytes: int = 0) -> None:
        mount = mount or Capabilities()
        self.rules = tuple(RULES[rule] for rule in dict.fromkeys(("posix", *rules)))
        self._name_max, self._path_max, self._root_bytes = mount.name_max, mount.path_max, root_bytes
        self._folds = (mount.folds_case or any(rule.folds_case for rule in self.rules), mount.folds_unicode)
        self._reserved = frozenset[str]().union(*(rule.reserved for rule in self.rules))
        asked = "".join(rule.forbidden + rule.discouraged for rule in self.rules)
        self._asked = re.compile(f"[{asked}]")
        needs_look = any(self._asked.match(chr(code)) for code in range(32, 127) if chr(code) != "/")
        self._look = self._asked.search if needs_look else None
        self.plain_path = self._sure_length(root_bytes)

    def name(self, name: str) -> tuple[Finding, ...]:
        """What is wrong with a name, errors first; () for nearly all. A suggestion mends everything at once."""
        if (
            name.isascii()
            and name.isprintable()
            and len(name) <= self._name_max
            and name[:1] not in _EDGES
            and name[-1] not in _EDGES
            and not (self._look and self._look(name))
            and not (self._reserved and _device(name) in self._reserved)
        ):
            return ()
        found = list(self._wrong_here(name))
        known = {finding.code for finding in found}
        found += [finding for finding in _odd_for_people(name) if finding.code not in known]
        better = self._mended(name) if found else ""
        return tuple(
            finding if better in ("", name) else finding._replace(suggestion=better)
            for finding in sorted(found, key=lambda finding: finding.severity)
        )

    def path(self, path: str) -> tuple[Finding, ...]:
        """What is wrong with a path as a whole: its length, its depth, how it begins."""
        if len(path) <= self.plain_path:
            return ()
        return tuple(finding for rule in self.rules for finding in _path_findings(rule, path)) + self._path_length(
            path
        )

    def key(self, name: str) -> str:
        """What two names have in common where this place takes them for one."""
        return fold_key(name, *self._folds)

    def _sure_length(self, root_bytes: int) -> int:
        """The number of characters up to which no path can be wrong as a whole; -1 if there is none."""
        if any(rule.prefixes for rule in self.rules):
            return -1
        most = [rule.path_bytes for rule in self.rules] + [rule.path_characters for rule in self.rules]
        parts = [rule.path_parts for rule in self.rules]
        sure = min(each for each in (self._path_max - root_bytes - 1, *most) if each) // 4  # UTF-8: 4 bytes at most
        return min(sure, *(each for each in parts if each), sure)

    def _path_length(self, path: str) -> tuple[Finding, ...]:
        size = self._root_bytes + byte_length(path)
        return (_too_long(f"{size} bytes", self._path_max - 1, "this filesystem"),) if size >= self._path_max else ()

    def _wrong_here(self, name: str) -> Iterator[Finding]:
        if byte_length(name) > self._name_max:
            sentence = f"the name has {byte_length(name)} bytes, and at most {self._name_max} are possible here"
            yield Finding("name-too-long", "error", sentence, None)
        for rule in self.rules:
            yield from _place_findings(rule, name)

    def _mended(self, name: str) -> str:
        """The nearest name that breaks no rule, or "" if nothing is left of it."""
        text = _DECEPTIVE.sub("", _CONTROL.sub(" ", name))
        if any(rule.utf8 for rule in self.rules):
            text = _NOT_UTF8.sub("_", text)
        text = self._asked.sub(lambda held: _STAND_IN.get(held[0], "_"), text)
        text = _shortened(text.rstrip(_EDGES).lstrip(" "), self._name_max)
        if self._reserved and _device(text) in self._reserved:
            text = re.sub(r"^([^.]*)", r"\1_", text, count=1)
        return text


def _place_findings(rule: Rules, name: str) -> Iterator[Finding]:
    """What one place finds wrong with a name."""
    if held := _first(rule.forbidden, name):
        yield Finding("name-forbidden", "error", f"{rule.place} takes no {called(held)} in a name", None)
    if held := _first(rule.discouraged, name):
        yield Finding("name-discouraged", "warning", f"{rule.place} advises against {called(held)} in a name", None)
    if rule.last and name.endswith(tuple(rule.last)):
        yield Finding(
            "name-forbidden", "error", f"{rule.place} takes no {called(name[-1])} at the end of a name", None
        )
    if _device(name) in rule.reserved:
        yield Finding("name-reserved", "error", f"'{_device(name)}' is the name of a device on {rule.place}", None)
    if rule.utf8 and _NOT_UTF8.search(name):
        yield Finding("name-not-utf8", "error", f"the name is not UTF-8, and {rule.place} takes no other", None)


def _odd_for_people(name: str) -> Iterator[Finding]:
    """What is possible everywhere and yet misleads people or programs."""
    if held := _CONTROL.search(name):
        yield Finding("name-control", "warning", f"the name holds {called(held[0])}", None)
    if held := _DECEPTIVE.search(name):
        yield Finding("name-unseen", "warning", f"the name holds {called(held[0])}, which does not show", None)
    if _NOT_UTF8.search(name):
        yield Finding("name-not-utf8", "warning", "the name is not UTF-8", None)
    if name.startswith(" ") or name.endswith((" ", ".")):
        yield Finding("name-edge", "warning", "the name begins or ends in a space, or ends in a dot", None)
    if name.startswith("."):
        yield Finding("name-hidden", "warning", "the name begins with a dot: most listings will hide it", None)


def _path_findings(rule: Rules, path: str) -> Iterator[Finding]:
    """What one place finds wrong with a whole path."""
    for prefix in rule.prefixes:
        if path.startswith(prefix):
            yield Finding("path-reserved", "error", f"{rule.place} takes no path that begins '{prefix}'", None)
    if rule.path_bytes and byte_length(path) > rule.path_bytes:
        yield _too_long(f"{byte_length(path)} bytes", rule.path_bytes, rule.place)
    if rule.path_characters and len(path) > rule.path_characters:
        yield _too_long(f"{len(path)} characters", rule.path_characters, rule.place)
    if rule.path_parts and path.count("/") >= rule.path_parts:
        yield _too_long(f"{path.count('/') + 1} components", rule.path_parts, rule.place)


def _too_long(what: str, most: int, place: str) -> Finding:
    return Finding("path-too-long", "error", f"the path has {what}, and {place} takes at most {most}", None)


def _first(characters: str, name: str) -> str:
    held = re.search(f"[{characters}]", name) if characters else None
    return held[0] if held else ""


def _device(name: str) -> str:
    """The part of a name that Windows compares with its devices: to the first dot, without trailing spaces."""
    return name.partition(".")[0].rstrip(" ").lower()


def _shortened(name: str, most: int) -> str:
    """The name cut to `most` bytes between two characters, its extension kept if that is a short one."""
    if byte_length(name) <= most:
        return name
    dot = name.rfind(".")
    ext = name[dot:] if dot > 0 and byte_length(name[dot:]) <= 16 else ""
    raw = name[: len(name) - len(ext)].encode("utf-8", "surrogateescape")[: most - byte_length(ext)]
    return raw.decode("utf-8", "ignore").rstrip(_EDGES) + ext


def byte_length(name: str) -> int:
    """How many bytes a name or path has on disk."""
    return len(name) if name.isascii() else len(name.encode("utf-8", "surrogateescape"))


def called(character: str) -> str:
    """A character as people can read it in a sentence: itself in quotes, or its number."""
    if character == " ":
        return "space"
    return f"'{character}'" if visible(character) == character else f"U+{ord(character):04X}"


def fold_key(name: str, case: bool, unicode: bool) -> str:
    """The key that two names share where the mount ignores case, Unicode form, or both.

    Case is folded fully ("ß" as "ss"), as ext4 does (Linux, fs/unicode): rather one collision too many than none.
    """
    if name.isascii():
        return name.lower() if case else name
    if unicode:
        name = unicodedata.normalize("NFD", name)
    if case:
        name = name.casefold()
    return unicodedata.normalize("NFC", name) if unicode else name


# --- names that are shown --------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Text from outside made inert for people to read; markup is left to the renderer.

    Control characters become `\\x1b`, bytes that are not UTF-8 `\\xe9`, and what reorders or hides text, breaks
    lines or has no shape `\\u202e` or `\\U000e0041`. A backslash is doubled only where one could take what follows
    it for such an escape, so the result tells any two texts apart, and `C:\\temp` stays as it is.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    shown = [_shown(character) for character in text]
    for i in range(len(text) - 1):
        if text[i] == "\\" and shown[i + 1][0] in "\\xuU":
            shown[i] = "\\\\"
    return "".join(shown)


def restated(text: str) -> str:
    """A sentence of ours made inert: the names in it are quoted already, so no backslash is doubled."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\u3000" or (character.isprintable() and not _DECEPTIVE.match(character)):
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
