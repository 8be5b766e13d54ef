"""Writing down what a command did: contents into the blob store, operations into the document of a plan.

In passing: of what was made nothing is held but what has to come before it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from treegate.engine import mounts
from treegate.engine.blobs import Blobs
from treegate.engine.sandbox import ancestry
from treegate.engine.sandbox.ancestry import Ancestry
from treegate.engine.sandbox.difference import Changed, Difference, Keeper
from treegate.engine.sandbox.keeping import Bounded
from treegate.engine.sandbox.leftout import LeftOut
from treegate.engine.sandbox.order import Captured, Case, Finding, Order
from treegate.errors import UsageError
from treegate.model import paths
from treegate.model.capture import Captured as Taken
from treegate.model.capture import Entry, Gone, Still, mkdir
from treegate.model.draft import within
from treegate.model.operations import Operation
from treegate.model.tree import Kind

_MOST_TOLD = 1000  # findings, and changed paths, that are listed
_MOST_BYTES = 1 << 29  # of operations: a million of them take half of that


def _refuse_too_deep(path: str) -> None:
    """Whoever nests folders without end would have us look for them without end, and no plan could name them."""
    if len(path) * 4 > paths.LONGEST and len(os.fsencode(path)) > paths.LONGEST:
        text = f"the command made a path of more than {paths.LONGEST:,} bytes: {path[:80]!r}…"
        raise UsageError(text, code="path-too-long", hint="nest folders less deeply, and give them shorter names")


def write_down(order: Order, differences: Callable[[Keeper], Iterable[Difference]], since: int) -> Captured:
    """Writes what was done to the cases of an order as the document of its plan; `since` is when that began."""
    began, blobs = time.monotonic(), Blobs(Path(order.blobs))
    writer = Writer(order.cases, order.scratch)
    writer.take(differences(Bounded(blobs, order.limits)))
    blobs.settle()
    local = all(mounts.is_local(case.folder) for case in order.cases)
    if local:
        writer.take(map(Changed, writer.ancestry.write(ancestry.beside(order.document))))
    captured = writer.write(order.document, order.title, order.reason)
    captured.seconds = time.monotonic() - began
    captured.since = since if local else 0  # elsewhere neither dates nor inodes can be relied on
    return captured


class Writer:
    """Takes differences of cases in, and writes the plan that makes them; `folder` is for its own scratch."""

    def __init__(self, cases: Sequence[Case], folder: str) -> None:
        case = cases[0].name if len(cases) == 1 else ""
        self._case = case if paths.is_utf8(case) else ""  # else no plan can name it
        self.ancestry = Ancestry(cases)
        self._left_out = LeftOut(cases)
        self._said: set[str] = set()  # of what is left out
        self._spool: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._taken = Taken()
        self._findings: list[Finding] = []
        self._changed: list[str] = []
        self._more = 0

    def take(self, differences: Iterable[Difference]) -> None:
        """Takes in what was found in one case."""
        for difference in differences:
            if isinstance(difference, Finding):
                self._find(difference)
            elif isinstance(difference, Changed):
                self._note(difference.path)
            elif finding := self._left_out.why(difference):
                self._leave_out(difference, finding)
            else:
                _refuse_too_deep(difference.path)
                self._do(difference)

    def _do(self, difference: Entry | Gone | Still) -> None:
        self._note_folders(difference)
        for operation in self._taken.take(difference):
            self._spool.write(self._encoded(operation))
        self._refuse_too_much()

    def _note_folders(self, difference: Entry | Gone | Still) -> None:
        """The folders above what it was of the cases, and above its place where that is in one of theirs."""
        note = self.ancestry.note
        if isinstance(difference, Gone):
            note(difference.path)
            return
        note(self._taken.home(difference.path))
        if isinstance(difference, Entry):
            note(difference.home)
            note(difference.copied)

    def _leave_out(self, difference: Entry | Gone | Still, finding: Finding) -> None:
        """Says so, once for each name; what was there before, under whatever name, is there no more."""
        if finding.path not in self._said:
            self._find(finding)
            if len(self._said) < _MOST_TOLD:
                self._said.add(finding.path)
        if isinstance(difference, Entry) and difference.home and not self._left_out.own(difference.home):
            self._do(Gone(difference.home, difference.kind is Kind.DIR, difference.kind is Kind.FILE))

    def _find(self, finding: Finding) -> None:
        if len(self._findings) < _MOST_TOLD:
            self._findings.append(finding)

    def _refuse_too_much(self) -> None:
        if self._spool.tell() > _MOST_BYTES:
            text = f"what the command did takes more than {_MOST_BYTES:,} bytes to be written down"
            hint = "touch fewer files at a time, or files with shorter paths"
            raise UsageError(text, code="sandbox-too-much", hint=hint)

    def _note(self, path: str) -> None:
        if len(self._changed) < _MOST_TOLD:
            self._changed.append(path)
        else:
            self._more += 1

    def _encoded(self, operation: Operation) -> bytes:
        return msgspec.json.encode(within(self._case, operation) if self._case else operation) + b"\n"

    def write(self, path: str, title: str, reason: str) -> Captured:
        """Writes the document, durably; what is told of it."""
        first, folders = self._taken.first()
        count = 0
        with open(path, "wb") as file:
            file.write(self._head(title, reason))
            for line in self._lines(first, folders):
                file.write(b",\n" if count else b"\n")
                file.write(line[:-1])
                count += 1
            file.write(b"\n]}\n")
            file.flush()
            if count:  # else it is nobody's plan
                os.fsync(file.fileno())
        self._spool.close()
        return Captured(
            operations=count, findings=tuple(self._findings), changed=tuple(self._changed), changed_more=self._more
        )

    def _head(self, title: str, reason: str) -> bytes:
        given = {"title": title, "reason": reason, "case": self._case}
        head = {"version": 1, **{key: value for key, value in given.items() if value}}
        return msgspec.json.encode(head)[:-1] + b',"operations":['

    def _lines(self, first: list[Operation], folders: set[str]) -> Iterator[bytes]:
        yield from map(self._encoded, first)
        made = {self._encoded(mkdir(path)) for path in folders}
        self._spool.seek(0)
        yield from (line for line in self._spool if line not in made)
