"""The receipt in the terminal: what happened, what is kept and until when, how to take it back."""

from __future__ import annotations

from typing import Any

import pytest

from treegate.render import terminal

WHOLE: dict[str, Any] = {
    "run": "run_x1y2", "plan": "pl_7f3k", "state": "applied", "title": "Sort the scans", "by": "anna",
    "approved_by": ["ben", "cleo"], "ended": "2026-01-31T12:00:00Z", "seconds": 0.41,
    "counts": {"moved": 1200, "deleted": 2, "deleted_bytes": 3_200_812, "set": 0},
    "vault": {"entries": 3, "bytes": 3_200_815, "until": "2026-03-02T12:00:00Z"},
    "notes": ["2 files appeared after the approval"], "verified": True,
}  # fmt: skip


def shown(receipt: dict[str, Any], width: int = 80) -> str:
    return terminal.receipt(receipt, width=width, color=False)


def test_a_receipt_tells_the_outcome_what_is_kept_and_how_to_undo() -> None:
    assert shown(WHOLE) == (
        "Applied: Sort the scans                                        pl_7f3k  run_x1y2\n"
        "2 deleted (3.2 MB), 1,200 moved, in 0.41 s\n"
        "Approved by ben and cleo, carried out by anna, ended 2026-01-31T12:00:00Z\n"
        "\n"
        "Kept       3 entries, 3.2 MB, in the vault until 2026-03-02 (30 days)\n"
        "Note       2 files appeared after the approval\n"
        "Verified   every content from before is in the tree or in the vault\n"
        "Undo       treegate undo run_x1y2\n"
    )


@pytest.mark.parametrize("missing", WHOLE)
def test_no_key_is_needed(missing: str) -> None:
    assert shown({key: value for key, value in WHOLE.items() if key != missing})
    assert shown({missing: WHOLE[missing]})


def test_an_empty_receipt_claims_nothing() -> None:
    assert shown({}) == "Ended\nNothing was changed\n"


@pytest.mark.parametrize(("state", "next_command"), [("rolled-back", ""), ("needs-recovery", "treegate recover")])
def test_what_was_not_applied_is_not_undone(state: str, next_command: str) -> None:
    text = shown({**WHOLE, "state": state})
    assert "treegate undo" not in text
    assert next_command in text


def test_a_failed_verification_is_not_overlooked() -> None:
    assert "Verified   NO: " in shown({**WHOLE, "verified": False})


def test_what_the_vault_let_go_is_not_offered_any_more() -> None:
    """What was pruned or put back cannot be undone as a whole."""
    vault = WHOLE["vault"]
    assert isinstance(vault, dict)
    text = shown({**WHOLE, "vault": {**vault, "left": 1}})
    assert "Kept       1 of 3 entries: 2 were let go or put back" in text
    assert "treegate undo" not in text
    assert "treegate undo" in shown({**WHOLE, "vault": {**vault, "left": 3}})


def test_a_run_that_changed_nothing_is_not_offered_for_undo() -> None:
    """There is nothing to take back."""
    assert "treegate undo" not in shown({**WHOLE, "counts": {}, "touched": 0})
