"""Sight: one case in the outcome of a plan, entry by entry, while the world that it is read from is open."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO, NamedTuple

from treegate.engine.blobs import Blobs
from treegate.engine.world import WorldTree
from treegate.errors import NotFound, TreegateError
from treegate.gate.files import checked, missing, told
from treegate.model import paths
from treegate.model.forest import Fault, Forest
from treegate.model.globs import Glob
from treegate.model.plan import Plan
from treegate.model.tree import Facts, Kind, Node

_MOST_SOUGHT = 1 << 24  # bytes of a file that is looked through
_LINE = 400  # bytes of a line that are told
_PROBE = 8192  # bytes in which a NUL says that a file is no text


class Looks(NamedTuple):
    """What an entry of the outcome looks like; None for what is settled only when it is made."""

    size: int
    mtime: int | None  # ns
    mode: int | None


class Sight:
    """One case; paths are within it.

    Without `blobs`, contents that a plan only names are not read: a hash alone is no right to what it stands for.
    """

    def __init__(
        self, case: str, forest: Forest, tree: WorldTree, blobs: Blobs | None, plan: Plan | None = None
    ) -> None:
        self._case, self._forest, self._tree, self._blobs, self._plan = case, forest, tree, blobs, plan
        self._brought: dict[str, bytes] | None = None

    # -- finding

    def folder(self, path: str) -> Node:
        """The folder at a path; "" for the case itself. Raises NotFound."""
        below = checked(path.removesuffix("/")) if path else ""
        with _told(path):
            return self._forest.folder(f"{self._case}/{below}" if below else self._case)

    def node(self, path: str) -> Node:
        """The entry at a path; raises NotFound."""
        above, name = paths.split(checked(path.removesuffix("/")))
        with _told(path):
            node = self._forest.child(self.folder(above), name)
        if node is None:
            raise missing(path)
        return node

    def children(self, folder: Node) -> list[Node]:
        """What a folder holds, in byte order."""
        with _told(self.path(folder)):
            return list(self._forest.children(folder))

    def matching(self, glob: Glob, after: tuple[bytes, ...] = ()) -> Iterator[Node]:
        """What a glob means, in the order of folders, behind a path given as its components."""
        yield from self._below(self.folder(""), "", glob, after)

    def _below(self, folder: Node, prefix: str, glob: Glob, after: tuple[bytes, ...]) -> Iterator[Node]:
        start = after[0] if after else b""
        try:
            children = list(self._forest.children(folder))
        except (Fault, OSError):
            return  # gone, or closed to us: that is told where it is asked for by name
        for node in children:
            name = paths.raw_bytes(node.name)
            if name < start:
                continue
            path, passed, is_dir = prefix + node.name, name == start, node.kind is Kind.DIR
            if not passed and glob.matches(path, is_dir):
                yield node
            if is_dir and glob.may_match_below(path):
                yield from self._below(node, path + "/", glob, after[1:] if passed else ())

    # -- telling

    def path(self, node: Node) -> str:
        """Where an entry is in the outcome."""
        return node.path().removeprefix(self._case + "/")

    def was(self, node: Node) -> str:
        """Where it, or what it is a copy of, is now; "" for what is nowhere in the cases yet."""
        standing = _standing(node)
        home = "" if standing is None else standing.home_path()
        if home.startswith("/"):  # in a vault
            return ""
        return home.removeprefix(self._case + "/") if home.startswith(self._case + "/") else home and f"../{home}"

    def looks(self, node: Node) -> Looks:
        """What it looks like."""
        made, standing = node.made, _standing(node)
        if standing is not None:
            facts = self._facts(standing)
            looks = Looks(facts.size, facts.mtime, facts.mode & 0o7777)
        else:
            looks = Looks(made.size if made is not None else 0, None, None)
        if made is not None:
            looks = _changed(looks, made.mode, made.mtime)
        return _changed(looks, *node.setting) if node.setting is not None else looks

    def _facts(self, node: Node) -> Facts:
        with _told(self.path(node)):
            return Facts(*self._forest.facts(node))

    def target(self, link: Node) -> str:
        """Where a link points."""
        standing = _standing(link)
        if standing is None:
            return link.made.target if link.made is not None else ""
        with _told(self.path(link)):
            return self._tree.target(standing.home_path())

    # -- reading

    def open(self, file: Node) -> BinaryIO:
        """What a file holds, wherever that is now; raises NotFound for what is no file."""
        path, standing = self.path(file), _standing(file)
        if file.kind is not Kind.FILE:
            raise NotFound(f"{path!r} is no regular file", code="file-not-readable", hint="only those are read")
        if standing is None:
            return self._content(file.made.blob if file.made is not None else "")
        with _told(path):
            return self._tree.open(standing.home_path())

    def sha256(self, file: Node) -> str:
        """The hex digest of what a file holds."""
        standing = _standing(file)
        if standing is None:
            return file.made.blob if file.made is not None else ""
        with _told(self.path(file)):
            return self._tree.sha256(standing.home_path())

    def _content(self, sha256: str) -> BinaryIO:
        """What the plan brings: in its own document, or among the blobs."""
        if self._brought is None:
            self._brought = {} if self._plan is None else dict(self._plan.contents())
        data = self._brought.get(sha256)
        if data is not None:
            return io.BytesIO(data)
        if self._blobs is None:
            text = "the plan names a content that was sent before, and by whom is not known here"
            raise NotFound(text, code="file-not-readable", hint="whoever sent it has it; its size is told")
        return self._blobs.open(sha256)

    def lines_with(self, file: Node, needle: bytes) -> Iterator[tuple[int, str]]:
        """The lines of a text file, counted from 1, that hold something; none of a file that cannot be read."""
        try:
            with closing(self.open(file)) as held:
                data = bytes_of(held, _MOST_SOUGHT)
        except (TreegateError, OSError):
            return
        if needle not in data or b"\0" in data[:_PROBE]:
            return
        for number, line in enumerate(data.split(b"\n"), 1):
            if needle in line:
                yield number, _around(line.rstrip(b"\r"), needle)


def _around(line: bytes, needle: bytes) -> str:
    """A line, or of a long one what stands around what was sought."""
    start = max(0, line.find(needle) - _LINE // 2) if len(line) > _LINE else 0
    return line[start : start + _LINE].decode("utf-8", "replace")


def bytes_of(file: BinaryIO, length: int) -> bytes:
    """So many bytes, or as many as there are."""
    parts: list[bytes] = []
    while length > 0 and (more := file.read(length)):
        parts.append(more)
        length -= len(more)
    return b"".join(parts)


def _standing(node: Node) -> Node | None:
    """The existing entry that it is, or is a copy of; None for what the plan brings itself."""
    return node if node.made is None else node.made.source


def _changed(looks: Looks, mode: int | None, mtime: int | None) -> Looks:
    return looks._replace(mode=looks.mode if mode is None else mode, mtime=looks.mtime if mtime is None else mtime)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What is in the way of a path, as an error of ours."""
    try:
        with told(path):
            yield
    except Fault as fault:
        raise NotFound(fault.message, code="file-not-found", hint="list the folder to see what is there") from None
