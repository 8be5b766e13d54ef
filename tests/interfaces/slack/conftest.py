"""An office whose plans are told to a fake Slack, and the service that it sends to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")
pytest.importorskip("slack_bolt", reason="the extra `slack` is not installed")

from fakeslack import APP, BOT, CHANNEL, SECRET, FakeSlack
from slackwork import Chambers


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    """Slack."""
    made = FakeSlack()
    yield made
    made.close()


@pytest.fixture
def environ(fast: Path, slack: FakeSlack) -> dict[str, str]:
    """The settings of an office that uses it."""
    return {
        "TREEGATE_STATE": str(fast / "state"),
        "TREEGATE_SLACK_CHANNEL": CHANNEL,
        "TREEGATE_SLACK_API": f"{slack.address}/api",
        "TREEGATE_SLACK_PEOPLE": '{ U0RITA = "rita", U0BEN = "ben", U0OTTO = "otto" }',
        "TREEGATE_SLACK_COMMANDS": '{ "/roscoe-approve" = "approve" }',
        "TREEGATE_SLACK_BOT_TOKEN": BOT,
        "TREEGATE_SLACK_SIGNING_SECRET": SECRET,
        "TREEGATE_SLACK_APP_TOKEN": APP,
        "TREEGATE_SERVICE_PUBLIC_URL": "http://treegate.test",
        "PATH": "/usr/bin:/bin",
    }


@pytest.fixture
def chambers(fast: Path, environ: dict[str, str], slack: FakeSlack, hurried: None) -> Iterator[Chambers]:
    """The office, with the service running."""
    made = Chambers(fast / "office", environ, slack)
    with made.serving():
        yield made
