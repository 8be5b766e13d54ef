"""What Slack takes of one message: none of ours is larger, whatever people write."""

from __future__ import annotations

import json

import pytest
from slackwork import Chambers, words

from treegate.gate import Gate

MOST = 13_000  # characters of all blocks as JSON (msg_blocks_too_long)
LONG = "Ein sehr langer Titel \u2014 \U0001f600 <!channel> & " * 250


def test_the_largest_card(chambers: Chambers) -> None:
    for number in range(140):
        (chambers.root / f"projects/Smith/{number:04} {'long & ' * 20}.txt").write_text("x")
    moves = [{"op": "delete", "path": f"{n:04} {'long & ' * 20}.txt"} for n in range(25)]
    moves += [{"op": "move", "from": f"{n:04} {'long & ' * 20}.txt", "to": f"F{n}/x.txt"} for n in range(25, 140)]
    plan = chambers.submit(*moves, title=LONG[:9000])
    assert chambers.state(plan) == "pending", [one.message for one in chambers.opened.show(plan).preview.problems]
    assert len(json.dumps(chambers.card(plan)["blocks"], ensure_ascii=False)) < MOST
    assert not chambers.slack.faults


def test_the_longest_list(chambers: Chambers) -> None:
    for number in range(30):
        chambers.submit({"op": "mkdir", "path": f"F{number}"}, title=LONG[:9000])
    answer = chambers.command("list")
    assert words(answer).count("pl_") == 25
    assert "5 more" in words(answer)
    assert len(json.dumps(answer["blocks"], ensure_ascii=False)) < MOST


def test_a_fault_of_ours_is_answered_too(chambers: Chambers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "of_slack", lambda *_: {}["nobody"])
    assert "went wrong" in chambers.command("list")["text"]
