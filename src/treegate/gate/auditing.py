"""The audit log, proved: the chain, the checkpoints that were signed here or kept elsewhere, the keys that signed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from treegate.engine import audit, checkpoints, keys
from treegate.engine.audit import GENESIS, Anchor, AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.errors import NotVerified, TreegateError
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.measures import DAY

EVERY = 1_000  # events, or a day, after which a run that ends has the head of the log signed


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found: `faults` are what does not hold, `notes` what could not be proved or is unusual."""

    rows: int
    head: str
    checkpoints: int  # that hold
    faults: list[str]
    notes: list[str]


class _Given(NamedTuple):
    """A checkpoint to be held against the log, and what to call it."""

    label: str
    document: bytes
    elsewhere: bool = True


def verify(core: Core, given: Iterable[tuple[str, bytes]] = ()) -> Verified:
    """Verifies the whole log, in bounded memory; `given` are checkpoints from elsewhere, (name, document)."""
    core.actor.require(Action.READ, core.workspace.cases())
    here = [_Given("a checkpoint kept here", document, False) for document in checkpoints.kept(core.store)]
    work = _Verification([*here, *(_Given(*one) for one in given)])
    work.expect(core.store.meta().workspace, core.store.meta().state, checkpoints.public_keys(core.store))
    work.follow(audit.rows(core.store))
    if lost := audit.missing(core.store):
        work.faults.append(f"the last {lost:,} rows are gone: the log was longer when it was last written to")
    work.check_kept()
    work.check_key(core)
    return work.verified()


def verify_export(lines: Iterable[bytes], given: Iterable[tuple[str, bytes]] = ()) -> Verified:
    """Verifies an exported log alone, as someone can who has nothing else."""
    work = _Verification([_Given(*one) for one in given])
    work.follow(audit.exported(lines))
    return work.verified()


class _Verification:
    """One pass over a log."""

    def __init__(self, given: list[_Given]) -> None:
        self.faults: list[str] = []
        self.notes: list[str] = []
        self._read: list[tuple[_Given, Checkpoint]] = []
        for one in given:
            try:
                self._read.append((one, checkpoints.read(one.document)))
            except NotVerified as error:
                self.faults.append(f"{one.label}: {error.message}")
        self._logged: list[Anchor] = []  # checkpoints that the log itself speaks of
        self._keys: list[str] = []  # that the log itself speaks of
        self._latest = 0
        self._back = 0
        self._head = GENESIS

    def expect(self, workspace: str, state: str, known: list[str]) -> None:
        """Drops checkpoints of other workspaces, and notes those of keys that nobody here has signed with."""
        fitting = []
        for one, found in self._read:
            if (found.workspace, found.state) != (workspace, state):
                self.faults.append(f"{one.label} is of another workspace ({found.workspace})")
            elif known and found.public_key not in known:
                self.faults.append(f"{one.label} is signed with a key that is not known here")
            else:
                fitting.append((one, found))
        self._read = fitting

    def follow(self, chain: Iterator[AuditRow]) -> None:
        """Walks the chain and holds every checkpoint against it."""
        try:
            self._head = audit.verify(self._watched(chain), GENESIS, self._known())
        except NotVerified as error:
            self.faults.append(error.message)
            return
        for one, found in self._read:
            if found.seq > self._head.seq:
                lost = f"at least {found.seq - self._head.seq:,} rows were cut off the end"
                self.faults.append(f"{one.label} vouches for row {found.seq:,}: {lost}")
        if not self._read and not self._logged:
            self.notes.append("no checkpoint was made yet: nothing but the chain itself was verified")

    def _known(self) -> dict[int, str]:
        """The hashes that checkpoints vouch for; of two that differ, that from elsewhere is believed."""
        known: dict[int, str] = {}
        for one, found in self._read:
            if known.get(found.seq, found.hash) != found.hash:
                self.faults.append(f"{one.label} and another speak of different logs, at row {found.seq:,}")
            known[found.seq] = found.hash
        return known

    def _watched(self, chain: Iterator[AuditRow]) -> Iterator[AuditRow]:
        """The rows, looked at on the way for what they say of the log itself."""
        for row in chain:
            if row.at < self._latest:
                self._back += 1
            else:
                self._latest = row.at
            if row.event in _TELLING:
                self._told(row)
            yield row

    def _told(self, row: AuditRow) -> None:
        try:
            data = json.loads(row.data)
            if row.event == "checkpoint":
                self._logged.append(Anchor(data["seq"], data["hash"]))
            elif row.event == "key-noted":
                self._keys.append(data["public_key"])
            else:
                self.faults.append(
                    f"rows {data['found'] + 1:,} to {data['expected']:,} were cut off before row {row.seq:,}"
                )
        except (ValueError, KeyError, TypeError):
            self.faults.append(f"audit row {row.seq} says nothing that makes sense")

    def check_kept(self) -> None:
        """Whether every checkpoint that the log speaks of is still kept here."""
        kept = {found.seq for one, found in self._read if not one.elsewhere}
        gone = [anchor for anchor in self._logged if anchor.seq not in kept]
        if gone:
            self.faults.append(f"{len(gone):,} checkpoints that the log speaks of are not kept here any more")

    def check_key(self, core: Core) -> None:
        """Whether the key that signs is there, and is the one that the log speaks of."""
        try:
            public = core.key().public
        except TreegateError as error:
            self.faults.append(f"{error.message}: nothing can be signed until there is one")
            return
        known = checkpoints.public_keys(core.store)
        if public not in known:
            self.notes.append("the key that signs here was never noted in the log")
        elif sorted(set(self._keys)) != sorted(known):
            self.faults.append("the keys that the database knows are not those that the log speaks of")

    def verified(self) -> Verified:
        """What there is to say."""
        if self._back:
            self.notes.append(f"the clock went back before {self._back:,} of the rows; their order is by number")
        if not any(one.elsewhere for one, _ in self._read):
            self.notes.append(
                "no checkpoint from elsewhere was given: whoever holds disk and key could rewrite all of it"
            )
        return Verified(
            rows=self._head.seq,
            head=self._head.hash,
            checkpoints=0 if self.faults else len(self._read),
            faults=self.faults,
            notes=self.notes,
        )


_TELLING = frozenset({"checkpoint", "key-noted", audit.GAP})


def checkpoint(core: Core) -> Checkpoint:
    """Signs the head of the log as it is now."""
    core.actor.require(Action.READ, core.workspace.cases())
    key = core.key()
    with core.store.write() as transaction:
        checkpoints.note_key(transaction, key.public, core.by())
        return checkpoints.make(transaction, key, core.by())


def checkpoint_if_due(core: Core) -> None:
    """Signs the head of the log if that was long ago; that it could not be done fails nobody's run."""
    last = checkpoints.newest(core.store)
    if last is not None and audit.head(core.store).seq - last[0] < EVERY and core.clock() - last[1] < DAY:
        return
    try:
        checkpoint(core)
    except TreegateError:
        return


def rekey(core: Core) -> str:
    """Makes a new signing key where the old one is lost or damaged; its public half."""
    core.actor.require(Action.POLICY)
    public = keys.replace(core.state).public
    with core.store.write() as transaction:
        checkpoints.note_key(transaction, public, core.by())
    return public


def export(core: Core, after: int = 0) -> Iterator[bytes]:
    """The log as JSON lines, from a row on."""
    core.actor.require(Action.READ, core.workspace.cases())
    for row in audit.rows(core.store, after):
        yield audit.line(row)
