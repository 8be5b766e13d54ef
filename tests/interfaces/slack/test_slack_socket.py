"""A worker without an open port: Slack is reached by Socket Mode, and what is dropped is approved there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from fakeslack import FakeSlack
from slackwork import until, words

from treegate.gate import Gate

pytest.importorskip("watchfiles", reason="the extra `queue` is not installed")
TREEGATE = Path(sys.executable).with_name("treegate")


@pytest.fixture
def office(tmp_path: Path, environ: dict[str, str]) -> Path:
    environ |= {"TREEGATE_SLACK_MODE": "socket", "PATH": os.environ["PATH"]}
    root = tmp_path / "office"
    (root / "projects" / "Smith").mkdir(parents=True)
    (root / "projects" / "Smith" / "scan.pdf").write_text("a page")
    Gate.init(root, environ=environ).close()
    return root


@pytest.fixture
def worker(office: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [TREEGATE, "worker", "--json", "--workspace", office]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_from_drop_to_done_by_a_button(
    office: Path, environ: dict[str, str], worker: subprocess.Popen[str], slack: FakeSlack
) -> None:
    until(lambda: slack.connected)
    queue = office / "Database" / "reorg_queue"
    until(queue.exists)
    operations = [{"op": "move", "from": "scan.pdf", "to": "Done/scan.pdf"}]
    (queue / "20260131T120000.123Z-Smith.json").write_text(
        json.dumps({"version": 1, "case": "Smith", "title": "File it", "operations": operations})
    )
    until(slack.channel)
    (card,) = slack.channel()
    assert "scan.pdf" in words(card)
    form = parse_qs(slack.pressed(card, "approve").decode())
    slack.send("interactive", json.loads(form["payload"][0]))
    until(lambda: list((queue / "done").glob("*/receipt.json")))
    assert (office / "projects/Smith/Done/scan.pdf").read_text() == "a page"
    assert any("ack" in one for one in slack.answers)
    until(lambda: slack.thread(card["ts"]))
    assert "Applied (File it), asked for by rita" in words(slack.thread(card["ts"]))
    form = parse_qs(slack.command("list").decode())
    slack.send("slash_commands", {key: value[0] for key, value in form.items()})
    until(lambda: any("Nothing waits." in words(one) for one in slack.answers))


def test_what_slack_sends_again_is_done_once(worker: subprocess.Popen[str], slack: FakeSlack) -> None:
    """As after a break of the connection, in which our acknowledgement was lost."""
    until(lambda: slack.connected)
    same, other = (
        {key: value[0] for key, value in parse_qs(slack.command(text).decode()).items()}
        for text in ("list", "undo run_nobody")
    )
    for payload in (same, same):
        slack.send("slash_commands", payload)
    until(lambda: any("Nothing waits." in words(one) for one in slack.answers))
    slack.send("slash_commands", other)  # commands are carried out side by side: this is answered after those
    until(lambda: any("run_nobody" in words(one) for one in slack.answers))
    assert sum("Nothing waits." in words(one) for one in slack.answers) == 1


def test_a_worker_that_is_to_have_slack_and_has_no_token(office: Path, environ: dict[str, str]) -> None:
    del environ["TREEGATE_SLACK_APP_TOKEN"]
    done = subprocess.run(
        [TREEGATE, "worker", "--once", "--workspace", office], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "slack.mode is socket" in done.stderr or "there is no app token" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_from_cron_tells_what_there_is_to_tell(
    office: Path, environ: dict[str, str], slack: FakeSlack
) -> None:
    command = [TREEGATE, "worker", "--once", "--workspace", office]
    assert subprocess.run(command, env=environ, capture_output=True).returncode == 0  # from now on it is told
    queue = office / "Database" / "reorg_queue"
    operations = [{"op": "mkdir", "path": "New"}]
    (queue / "20260131T120000.123Z-Smith.json").write_text(
        json.dumps({"version": 1, "case": "Smith", "title": "File it", "operations": operations})
    )
    assert subprocess.run(command, env=environ, capture_output=True).returncode == 0
    assert [words(one).split("\n")[0] for one in slack.channel()] == ["File it"]
