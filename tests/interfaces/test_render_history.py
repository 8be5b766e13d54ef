"""Events and lives in words: whatever stands in the log, each takes one line and moves no cursor."""

from __future__ import annotations

import json
import os

import pytest

from treegate.engine.audit import AuditRow
from treegate.gate.chronicle import Happening, History
from treegate.model.lifecycle import Event
from treegate.render import history

NASTY = "a\x1b[31m\n\u202egpj.exe" + os.fsdecode(b"\xff")


def row(event: str, data: object = None, **more: object) -> AuditRow:
    text = data if isinstance(data, str) else json.dumps(data or {})
    fields = {"actor": "ann", "at": 0, "plan": "pl_x", "run": "run_x", **more}
    return AuditRow(7, fields["at"], event, fields["actor"], "cli", fields["plan"], fields["run"], text, "", "")


@pytest.mark.parametrize(
    ("event", "data", "said"),
    [
        ("approve", {"digest": "0123456789abcdef", "comment": "fine"}, "approved pl_x (0123456789ab): fine"),
        (
            "previewed",
            {"effects": 3, "digest": "d" * 64, "valid": True},
            "had pl_x previewed: 3 effects (dddddddddddd)",
        ),
        ("run-ended", {"outcome": "applied"}, "run_x of pl_x ended applied"),
        ("undone", {"by_run": None, "whole": True}, "run_x was undone by rollback.sh, without treegate: all of it"),
        ("vault-pruned", {"entries": [1, 2]}, "let 2 entries of run_x go from the vault"),
        ("token-created", {"id": "tok_1", "name": "bot"}, "made the token bot (tok_1)"),
        ("run-asked", {"preview": 6}, "asked for run_x of pl_x"),
        ("logged-in", {"token": None}, "logged in"),
        ("logged-out", {"everywhere": True}, "logged out everywhere"),
        ("policy-changed", {"old": "", "new": "d" * 64, "changed": []}, "noted the policy that holds"),
        (
            "queue-trust-changed",
            {"trusts": True},
            "changed queue.trust_status: status files count whoever could have written them",
        ),
        ("policy-changed", {"changed": ["limits.files", "rules"]}, "changed policy: limits.files, rules"),
        ("something-new", {"case": "Smith"}, "something new run_x case Smith"),
    ],
)
def test_events_are_sentences(event: str, data: object, said: str):
    """Also one that this version does not know."""
    assert history.saying(row(event, data)) == said
    assert history.event(row(event, data)) == f"     7  1970-01-01 00:00:00 UTC  ann [cli]  {said}"


@pytest.mark.parametrize("event", [*Event, *history.TOLD])
@pytest.mark.parametrize(
    "data",
    ["", "[]", "{", '{"effects":"x","entries":1,"runs":2,"files":"y"}', "null", json.dumps({"comment": NASTY[:-1]})],
)
def test_data_that_were_edited_by_hand_are_no_reason_to_fail(event: str, data: str):
    """The log is looked at exactly when something is wrong with it."""
    line = history.event(row(str(event), data, actor=NASTY, at=1 << 62))
    assert line.isprintable()


def test_a_life_with_odd_names_is_inert():
    """Each happening takes two lines, whatever the names hold."""
    happening = Happening(
        at=0, run="run_x", plan="pl_x", title=NASTY, by=NASTY, approved_by=[NASTY], effect="moved", source=NASTY,
        path=NASTY, above=NASTY, copied="", undo_of="", outside=False,
    )  # fmt: skip
    life = History(began=NASTY, happened=[happening], where="gone", path=NASTY, kept=None)
    lines = list(history.lives(NASTY, [life]))
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
