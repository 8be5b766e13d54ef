"""The audit log: any row that is changed, lost or moved after it was written shows."""

import hashlib
import json
import os

import msgspec
import pytest
import rfc8785
from stories import ANN, apply, new_store

from treegate.engine import audit
from treegate.engine.audit import GENESIS, Anchor
from treegate.errors import NotVerified


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def chain(store):
    for n in range(3):
        apply(store, f"pl_{n}", f"run_{n}")
    return list(audit.rows(store))


def broken_at(rows, **start):
    with pytest.raises(NotVerified) as caught:
        audit.verify(rows, **start)
    assert (caught.value.code, caught.value.exit_status) == ("audit-broken", 10)
    return int(caught.value.message.split()[2])


def test_an_untouched_log_verifies_and_gives_its_head(store, chain):
    assert audit.verify(iter(chain)) == audit.head(store) == Anchor(16, chain[-1].hash)
    assert audit.verify([]) == GENESIS


def test_a_hash_is_of_the_row_s_canonical_json_as_anyone_can_compute_it(chain):
    """RFC 8785, by another implementation; the data are part of it as an object."""
    for row in chain:
        fields = msgspec.structs.asdict(row)
        claimed = fields.pop("hash")
        fields["data"] = json.loads(row.data)
        assert hashlib.sha256(rfc8785.dumps(fields)).hexdigest() == claimed


@pytest.mark.parametrize("field", ["at", "event", "actor", "channel", "plan", "run", "data", "hash"])
def test_a_change_of_any_field_is_found_at_its_row(chain, field):
    for n, row in enumerate(chain):
        was = getattr(row, field)
        now = was + 1 if isinstance(was, int) else '{"x":1}' if field == "data" else (was or "") + "0"
        changed = msgspec.structs.replace(row, **{field: now})
        assert broken_at([*chain[:n], changed, *chain[n + 1 :]]) == row.seq


def test_a_row_rewritten_with_its_own_right_hash_is_found_at_the_next(chain):
    """45: the next row names the one that was there."""
    forged = msgspec.structs.replace(chain[4], actor="nobody")
    forged = msgspec.structs.replace(forged, hash=audit.digest_of(forged))
    assert broken_at([*chain[:4], forged, *chain[5:]]) == chain[5].seq


def test_a_row_taken_out_or_put_elsewhere_is_found(chain):
    assert broken_at(chain[1:]) == 1
    assert broken_at([*chain[:4], *chain[5:]]) == 5
    assert broken_at([chain[1], chain[0], *chain[2:]]) == 1
    assert broken_at([*chain[:4], chain[3], *chain[4:]]) == 5


def test_a_log_can_be_verified_from_an_anchor_kept_elsewhere(chain):
    anchor = audit.verify(chain[:8])
    assert audit.verify(chain[8:], after=anchor) == audit.verify(chain)
    assert broken_at(chain[8:], after=Anchor(8, "0" * 64)) == 9


def test_a_cut_tail_shows_only_against_what_was_kept_elsewhere(chain):
    """45: what a chain cannot prove by itself is said in the open, not hidden."""
    kept = audit.verify(chain)
    assert audit.verify(chain[:-2]) != kept


def test_rows_come_in_order_whatever_the_page(store, chain):
    assert [row.seq for row in audit.rows(store, page=3)] == list(range(1, 17))
    assert [row.seq for row in audit.rows(store, after=10, page=3)] == list(range(11, 17))
    assert {row.plan for row in audit.rows(store, plan="pl_1", page=2)} == {"pl_1"}
    assert [row.event for row in audit.rows(store, run="run_1")] == ["run-began", "run-ended"]


def test_names_and_words_that_are_not_utf8_do_not_break_the_log(store):
    with store.write() as write:
        audit.append(write, "x", at=1, actor=os.fsdecode(b"\xff"), channel="cli", data={"say": "a\u2028\x00\x1b"})
    audit.verify(audit.rows(store))


def test_two_appends_in_one_transaction_follow_each_other(store):
    with store.write() as write:
        write.log("a", ANN)
        write.log("b", ANN)
    assert [row.event for row in audit.rows(store)] == ["adopted", "a", "b"]
    audit.verify(audit.rows(store))
