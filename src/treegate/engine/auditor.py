"""The auditor: one walk over a log, and what it proves, in plain words, of the log and of signed checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from treegate.engine import audit, checkpoints
from treegate.engine.audit import GENESIS, Anchor, AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.engine.probe import Finding
from treegate.errors import NotVerified
from treegate.model.document import UNREADABLE
from treegate.model.names import visible

MOST = 20  # faults that are told one by one

_EDITED = "the log was edited, or the database is damaged: compare it with a backup or an exported log"
_OTHER = "compare the log with a backup or an exported log, and find out who could write to the state directory"


class Walk:
    """What one walk over the rows finds: faults of the chain, and what other things can be held against."""

    def __init__(self, wanted: Collection[int] = (), after: Anchor | None = GENESIS) -> None:
        """`after` None: the rows are a piece of a log, whose first one is taken to follow what it names."""
        self._wanted = wanted
        self.after = after
        self.head = after or GENESIS
        self.events = 0
        self.faults: list[str] = []  # the first MOST of `faulty`
        self.faulty = 0
        self.hashes: dict[int, str] = {}  # of the wanted rows
        self.keys: dict[str, int] = {}  # public keys that the log names, and the row that does first
        self.replaced: dict[int, str] = {}  # rows that say that another key signs from there on
        self.noted: set[int] = set()  # rows that the log says a checkpoint was made of
        self.generation = 0  # the highest number of a run that began
        self.owner: dict[str, str] = {}  # workspace and state, as the first row has them
        self.set_back: list[int] = []  # the first row that is older than the one before, and how many there are
        self._at = 0

    def read(self, rows: Iterable[AuditRow]) -> Walk:
        """Walks over rows; to be called once."""
        rows = iter(rows)
        first = next(rows, None)
        if first is None:
            return self
        if self.after is None:
            self.after = GENESIS if first.seq == 1 else Anchor(first.seq - 1, first.prev)
        self.hashes[self.after.seq] = self.after.hash
        for row, said in audit.checked(_again(first, rows), self.after):
            self.events += 1
            if said:
                self._fault(said)
            else:
                self._look(row)
            if row.seq in self._wanted:
                self.hashes[row.seq] = row.hash
            self.head = Anchor(row.seq, row.hash)
        return self

    def _fault(self, said: str) -> None:
        self.faulty += 1
        if self.faulty <= MOST:
            self.faults.append(said)

    def _look(self, row: AuditRow) -> None:
        if row.at < self._at:
            self.set_back = [self.set_back[0], self.set_back[1] + 1] if self.set_back else [row.seq, 1]
        self._at = row.at
        if row.event in _TELLING:
            told = _data(row)
            self.generation = max(self.generation, told.generation)
            if row.event == "adopted":
                self.owner = {"workspace": told.workspace, "state": told.state}
            if row.event == checkpoints.EVENT:
                self.noted.add(told.seq)
            if key := checkpoints.named_key(row):
                self.keys.setdefault(key, row.seq)
                if row.event == checkpoints.REKEYED:
                    self.replaced[row.seq] = key

    @property
    def key(self) -> str:
        """The public key that the log says signs now, or ""."""
        return next(reversed(self.replaced.values()), next(iter(self.keys), ""))

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the chain, and what is odd about it."""
        for said in self.faults:
            yield Finding("error", said, _EDITED)
        if self.faulty > MOST:
            yield Finding("error", f"{self.faulty - MOST:,} more rows do not hold", _EDITED)
        for seq, key in self.replaced.items():
            yield Finding("note", f"the signing key was replaced at row {seq}: {key}", "the old one was lost then")
        for key, seq in list(self.keys.items())[1:]:
            if key not in self.replaced.values():
                text = f"audit row {seq} names another signing key than the log began with: {key}"
                yield Finding("error", text, _OTHER)
        if self.set_back:
            seq, times = self.set_back
            more = f", {times:,} times in all" if times > 1 else ""
            yield Finding("note", f"the clock was set back before row {seq}{more}", "order is by number: no fault")


_TELLING = {"adopted", checkpoints.EVENT, checkpoints.REKEYED, "run-began"}


class _Told(msgspec.Struct):
    """What an event's data may say that matters here."""

    workspace: str = ""
    state: str = ""
    seq: int = 0
    generation: int = 0


def _data(row: AuditRow) -> _Told:
    try:
        return msgspec.json.decode(row.data, type=_Told)
    except UNREADABLE:
        return _Told()


def _again(first: AuditRow, rest: Iterator[AuditRow]) -> Iterator[AuditRow]:
    yield first
    yield from rest


def held_against(
    walk: Walk, name: str, checkpoint: Checkpoint, owner: Mapping[str, str], signers: Collection[str]
) -> Iterator[Finding]:
    """What a checkpoint (called `name` in sentences) says against the log that was walked over.

    `owner` are the ids of the workspace and its state; `signers` the public keys that may have signed it, none: any.
    """
    for word in ("workspace", "state"):
        if owner.get(word) and getattr(checkpoint, word) != owner[word]:
            text = f"{name} is of {word} {visible(getattr(checkpoint, word))}, and this log of {owner[word]}"
            yield Finding("error", text, "give the checkpoint that was made here")
            return
    try:
        checkpoints.verify(checkpoint)
    except NotVerified:
        yield Finding("error", f"{name} was changed after it was signed, or never was", "take another copy of it")
        return
    if signers and checkpoint.public_key not in signers:
        yield Finding("error", f"{name} is signed by another key than this log's: {checkpoint.public_key}", _OTHER)
    yield from _place(walk, name, checkpoint)


def _place(walk: Walk, name: str, checkpoint: Checkpoint) -> Iterator[Finding]:
    seq = checkpoint.seq
    if seq > walk.head.seq:
        lost = f"rows {walk.head.seq + 1} to {seq} at least are gone"
        yield Finding("error", f"the log ends at row {walk.head.seq}, and {name} knows of row {seq}: {lost}", _OTHER)
    elif seq not in walk.hashes:
        begin = walk.after.seq + 1 if walk.after is not None else 1
        if seq < begin:
            text = f"{name} is of row {seq}, and these rows begin with {begin}: it proves nothing of them"
            yield Finding("warning", text, "export the log from its beginning, or from that row on")
        else:
            yield Finding("error", f"{name} is of row {seq}, which is missing", _OTHER)
    elif walk.hashes[seq] != checkpoint.hash:
        text = f"the log was rewritten: row {seq} is not the one that {name} vouches for"
        yield Finding("error", text, _OTHER)
