"""Checkpoints are made when they are due, of the log as it is, and never in the way of what is done."""

from __future__ import annotations

import json

import pytest
import rfc8785
from stories import ANN, apply, new_store

from treegate.engine import audit, checkpoints, keys, schema
from treegate.engine.store import By, Store
from treegate.errors import NotVerified


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def key(tmp_path):
    return keys.create(tmp_path)


def due(store, key, at=1_000):
    """Whether the end of something at a time makes a checkpoint."""
    before = list(checkpoints.stored(store))
    with store.write() as transaction:
        transaction.log("x", ANN)
        checkpoints.make_if_due(transaction, lambda: key, By("ann", "cli", at))
    return len(list(checkpoints.stored(store))) > len(before)


def test_the_first_end_makes_one_then_a_thousand_events_or_a_day(store, key):
    """The clock may have been set back: a day is one in either direction."""
    assert due(store, key)
    assert not due(store, key)
    with store.write() as transaction:
        for _ in range(checkpoints.EVENTS - 4):
            transaction.log("x", ANN)
    assert not due(store, key)
    assert due(store, key)
    assert not due(store, key, 1_000 + checkpoints.DAY - 1)
    assert due(store, key, 1_000 + checkpoints.DAY)
    assert due(store, key, 1_000)
    audit.verify(audit.rows(store))


def test_what_is_signed_is_canonical_json_as_anyone_can_compute_it(store, key):
    """RFC 8785, by another implementation; with an empty signature, as the page says."""
    with store.write() as transaction:
        made = checkpoints.make(transaction, key, ANN)
    document = json.loads(checkpoints.encode(made))
    keys.verify(key.public, rfc8785.dumps(document | {"signature": ""}), document["signature"])
    assert (made.seq, made.hash) == (1, next(audit.rows(store)).hash)
    assert (made.workspace, made.state) == ("ws_1", "st_1")


def test_without_a_key_nothing_is_made_and_nothing_fails(store):
    """What the transaction did is kept."""

    def lost():
        raise NotVerified("gone", code="key-missing")

    with store.write() as transaction:
        transaction.log("x", ANN)
        checkpoints.make_if_due(transaction, lost, ANN)
    assert [row.event for row in audit.rows(store)] == ["adopted", "x"]


def test_a_database_that_names_no_key_names_that_of_its_first_checkpoint(store, key, tmp_path):
    """As those of an earlier version: from then on, no other key signs."""
    with store.write() as transaction:
        assert checkpoints.known_key(transaction) == ""
        checkpoints.make(transaction, key, ANN)
        assert checkpoints.known_key(transaction) == key.public
    (tmp_path / "other").mkdir()
    other = keys.create(tmp_path / "other")
    assert not due(store, other, checkpoints.DAY * 9)
    with store.write() as transaction, pytest.raises(NotVerified) as caught:
        checkpoints.make(transaction, other, ANN)
    assert caught.value.code == "key-unknown"


def test_no_checkpoint_is_made_of_a_log_that_ends_before_one(store, key):
    """It would hide that the log was cut."""
    apply(store, "pl_a", "run_a")
    with store.write() as transaction:
        checkpoints.make(transaction, key, ANN)
        transaction.execute(schema.audit.delete().where(schema.audit.c.seq > 3))
    with store.write() as transaction, pytest.raises(NotVerified) as caught:
        checkpoints.make(transaction, key, ANN)
    assert caught.value.code == "audit-broken"
    assert not due(store, key, checkpoints.DAY * 9)


def test_a_checkpoint_and_its_row_are_one_transaction(store, key, tmp_path):
    """Neither is there without the other."""

    def fail():
        with store.write() as transaction:
            checkpoints.make(transaction, key, ANN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    again = Store.open(tmp_path / "treegate.db")
    assert list(checkpoints.stored(again)) == []
    assert [row.event for row in audit.rows(again)] == ["adopted"]
    again.close()
