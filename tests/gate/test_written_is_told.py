"""Whatever the store is told stands in the audit log by the same transaction."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
from gatework import DAY, create, delete, move
from sqlalchemy import event

from treegate.engine import audit
from treegate.engine.store import Store
from treegate.errors import TreegateError
from treegate.model.actors import Role
from treegate.model.lifecycle import State

DERIVED = {"touched", "touched_runs"}  # made from receipts, and made anew at any time
_WRITES = re.compile(r"\s*(?:INSERT (?:OR IGNORE )?INTO|UPDATE|DELETE FROM) \"?(\w+)", re.IGNORECASE)


@pytest.fixture
def transactions(monkeypatch):
    """The tables that each transaction wrote, one after the other."""
    seen: list[list[str]] = []
    real = Store.write

    @contextmanager
    def watched(self, **named):
        tables: list[str] = []

        def note(connection, cursor, statement, *_):
            if found := _WRITES.match(statement):
                tables.append(found[1])

        event.listen(self._engine, "before_cursor_execute", note)
        try:
            with real(self, **named) as transaction:
                yield transaction
        finally:
            event.remove(self._engine, "before_cursor_execute", note)
        seen.append(tables)

    monkeypatch.setattr(Store, "write", watched)
    return seen


def silent(transactions):
    """Transactions that wrote something and told nothing."""
    return [tables for tables in transactions if set(tables) - DERIVED and "audit" not in tables]


def test_every_transaction_that_writes_tells_of_it(office, transactions):
    """A long day at the gate: every kind of write that there is, and those that fail."""
    office.put("Smith/a", "x")
    office.put("Smith/b", "x")
    office.configure(policy_apply_on_approval="false")
    done = office.carried_out(delete("a"), create("new"))
    undone = office.undone(done.run, "Smith/new")
    office.undone(undone.run)
    rejected = office.submit(move("b", "c"))
    office.gate.reject(rejected.id, rejected.digest, "no")
    office.submit(move("nothing", "d"))
    stale = office.approved(move("b", "e"))
    office.put("Smith/b", "edited since", mtime=1)
    with pytest.raises(TreegateError):
        office.gate.apply(stale)
    late = office.approved(move("b", "f"))
    office.clock.now += 10 * DAY
    with pytest.raises(TreegateError):
        office.gate.apply(late)
    restored = office.gate.restore(done.run)
    office.gate.approve(restored.id, restored.digest)
    office.gate.apply(restored.id)
    office.carried_out(delete("a"))
    office.token("ann", Role.AUTHOR)
    office.gate.revoke_token("ann")
    office.gate.checkpoint()
    office.clock.now += 100 * DAY
    office.gate.prune()
    office.gate.fsck()
    assert silent(transactions) == []
    written = {table for tables in transactions for table in tables}
    assert written >= {"plans", "previews", "decisions", "runs", "vault", "undone", "tokens", "checkpoints"}
    audit.verify(audit.rows(office.gate.core.store))
    assert office.gate.core.store.runs([State.APPLIED])


def test_a_transaction_that_fails_leaves_neither_the_write_nor_the_row(office):
    """Both, or none."""
    store = office.gate.core.store
    before = audit.head(store)

    def fail():
        with store.write() as transaction:
            transaction.note_cleared([], 1, 1, office.gate.core.by())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert audit.head(store) == before
