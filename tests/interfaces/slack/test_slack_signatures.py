"""Whatever is not Slack's own, is late, or was sent before, does nothing and is answered with 401."""

from __future__ import annotations

import time

import pytest
from fakeslack import signed
from slackwork import SENT, Chambers, until

NOW = object()
WRONG = {
    "forged": lambda body: signed(body, secret="another"),
    "late": lambda body: signed(body, time.time() - 301),
    "early": lambda body: signed(body, time.time() + 302),
    "of another body": lambda body: signed(body + b"x"),
    "without a signature": lambda body: {**signed(body), "X-Slack-Signature": ""},
    "without a time": lambda body: {**signed(body), "X-Slack-Request-Timestamp": ""},
    "of no number": lambda body: {**signed(body), "X-Slack-Request-Timestamp": "soon"},
    "of a fraction": lambda body: {**signed(body), "X-Slack-Request-Timestamp": "1.5"},
    "of a large number": lambda body: {**signed(body), "X-Slack-Request-Timestamp": "9" * 400},
    "of another script": lambda body: {**signed(body), "X-Slack-Signature": "v0=\u00e9".encode()},
    "of other digits": lambda body: {**signed(body), "X-Slack-Request-Timestamp": "\u0661".encode()},
    "unsigned": lambda body: {"Content-Type": "application/x-www-form-urlencoded"},
}


@pytest.mark.parametrize("how", WRONG)
def test_a_request_that_is_not_slacks(chambers: Chambers, how: str) -> None:
    """38: 401, whatever else is right about it."""
    plan = chambers.moves()
    body = chambers.slack.command(f"reject {plan} no")
    answer = chambers.client.post(SENT, content=body, headers=WRONG[how](body))
    assert answer.status_code == 401
    assert answer.json()["code"] == "signature-invalid"
    assert chambers.state(plan) == "pending"


def test_a_request_that_is_just_young_enough(chambers: Chambers) -> None:
    plan = chambers.moves()
    body = chambers.slack.command(f"reject {plan} no")
    assert chambers.client.post(SENT, content=body, headers=signed(body, time.time() - 298)).status_code == 200
    until(lambda: chambers.state(plan) == "rejected")


def test_a_replay_does_nothing_also_after_a_restart(chambers: Chambers) -> None:
    """38: what was answered once is answered no more."""
    chambers.opened.core.clock = lambda: 0  # whatever our own clock says
    body = chambers.slack.command("list")
    headers = signed(body)
    assert chambers.client.post(SENT, content=body, headers=headers).status_code == 200
    until(lambda: len(chambers.slack.answers) == 1)
    assert chambers.client.post(SENT, content=body, headers=headers).status_code == 401
    with chambers.serving() as again:
        assert again.post(SENT, content=body, headers=headers).status_code == 401
    assert len(chambers.slack.answers) == 1


def test_bodies_that_are_signed_and_make_no_sense(chambers: Chambers) -> None:
    """38: told, and nothing is done."""
    for body in (
        b"",
        b"\xff\xfe",
        b"payload=",
        b"payload=%7B",
        b"payload=[]",
        b"payload=null",
        b"a=b",
        b"{}",
        b"command=%2Ftreegate",
    ):
        answer = chambers.client.post(SENT, content=body, headers=signed(body))
        assert answer.status_code < 500, (body, answer.text)
