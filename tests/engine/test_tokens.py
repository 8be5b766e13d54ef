"""Tokens: shown once, stored hashed, and worth what their role and cases say for as long as they hold."""

import os

import pytest
from stories import ANN, BOB, new_store

from treegate.engine import audit, tokens
from treegate.engine.store import By
from treegate.errors import Denied, NotFound, UsageError
from treegate.model.actors import Actor, Role


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    yield made
    made.close()


def create(store, name="bob", role=Role.REVIEWER, **more):
    with store.write() as write:
        return tokens.create(write, name, role, by=ANN, **more)


def revoke(store, which, by=BOB):
    with store.write() as write:
        return tokens.revoke(write, which, by)


def test_a_token_stands_for_its_name_role_and_cases(store):
    _, text = create(store, cases=["Smith", "Jones"])
    assert text.startswith("tg_")
    assert tokens.authenticate(store, text, at=1, channel="http") == Actor(
        name="bob", role=Role.REVIEWER, cases=("Jones", "Smith"), channel="http", via="token"
    )


def test_a_token_without_cases_covers_all_and_one_with_an_empty_list_none(store):
    assert tokens.authenticate(store, create(store, "all")[1], at=1).cases is None
    assert tokens.authenticate(store, create(store, "none", cases=[])[1], at=1).cases == ()


def test_the_text_of_a_token_is_stored_nowhere(store, tmp_path):
    made, text = create(store)
    assert not any(text.encode() in path.read_bytes() for path in tmp_path.iterdir())
    assert not any(text[3:] in row.data for row in audit.rows(store))
    assert text not in repr(made)


@pytest.mark.parametrize("text", ["", "tg_", "tg_" + "A" * 43, "bob", os.fsdecode(b"tg_\xff")])
def test_what_is_no_token_is_denied(store, text):
    create(store)
    with pytest.raises(Denied) as caught:
        tokens.authenticate(store, text, at=1)
    assert (caught.value.code, caught.value.exit_status) == ("token-unknown", 4)
    assert text not in caught.value.message or not text


def test_a_token_ends_at_the_very_millisecond_it_was_given_for(store):
    _, text = create(store, expires_at=5_000)
    assert tokens.authenticate(store, text, at=4_999).name == "bob"
    with pytest.raises(Denied) as caught:
        tokens.authenticate(store, text, at=5_000)
    assert caught.value.code == "token-expired"


def test_a_revoked_token_is_denied_from_then_on_and_stays_listed(store):
    made, text = create(store)
    assert revoke(store, made.id).revoked_at == BOB.at
    with pytest.raises(Denied) as caught:
        tokens.authenticate(store, text, at=1)
    assert caught.value.code == "token-revoked"
    assert [(t.name, t.revoked_at) for t in tokens.tokens(store)] == [("bob", BOB.at)]
    assert revoke(store, made.id, By("eve", "cli", 9_000)).revoked_at == BOB.at, "once is enough"


def test_a_name_stands_for_one_valid_token_at_a_time(store):
    first, _ = create(store)
    with pytest.raises(UsageError) as caught:
        create(store, role=Role.ADMIN)
    assert caught.value.code == "token-name-taken"
    revoke(store, "bob")
    second, text = create(store)
    assert tokens.authenticate(store, text, at=1).name == "bob"
    assert revoke(store, "bob").id == second.id != first.id


def test_revoking_what_does_not_exist_is_not_found(store):
    with pytest.raises(NotFound) as caught:
        revoke(store, "nobody")
    assert (caught.value.code, caught.value.exit_status) == ("token-not-found", 9)


def test_tokens_leave_audit_rows(store):
    made, _ = create(store)
    revoke(store, "bob")
    rows = list(audit.rows(store))[1:]
    assert [(row.event, row.actor) for row in rows] == [("token-created", "ann"), ("token-revoked", "bob")]
    assert all(made.id in row.data for row in rows)
