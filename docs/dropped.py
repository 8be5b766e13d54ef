"""Lives three dropped plans, in files and in Slack, and writes what happened into docs/a-dropped-plan.md.

    python docs/dropped.py        (in the project's environment; everything happens in a temporary folder)

A real worker and a real service run; Slack is the one that the tests have, which signs as Slack does. Nothing is made
up: each command is run, each request is sent, and what they answer is what stands on the page.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

PAGE = Path(__file__).with_name("a-dropped-plan.md")
TREEGATE = Path(sys.executable).parent / "treegate"
sys.path.append(str(PAGE.parents[1] / "tests/interfaces/slack"))

from fakeslack import APP, BOT, CHANNEL, SECRET, FakeSlack, signed  # noqa: E402
from slackwork import words  # noqa: E402

QUEUE = "Database/reorg_queue"
HEADERS = ("X-Slack-Request-Timestamp", "X-Slack-Signature")


class Story:
    """The office, its processes, its Slack, and the page so far."""

    def __init__(self, folder: Path, slack: FakeSlack) -> None:
        self.folder, self.root, self.slack = folder, folder / "office", slack
        self.env = {
            **os.environ,
            "TREEGATE_STATE": str(folder / "state"),
            "TREEGATE_QUEUE_TRUST_STATUS": "true",  # one user plays everybody here
            "TREEGATE_SLACK_CHANNEL": CHANNEL,
            "TREEGATE_SLACK_API": f"{slack.address}/api",
            "TREEGATE_SLACK_PEOPLE": '{ U0RITA = "rita" }',
            "TREEGATE_SLACK_COMMANDS": '{ "/roscoe-approve" = "approve" }',
            "TREEGATE_SLACK_BOT_TOKEN": BOT,
            "TREEGATE_SLACK_SIGNING_SECRET": SECRET,
            "TREEGATE_SLACK_APP_TOKEN": APP,
            "NO_COLOR": "1",
        }
        self.lines: list[str] = []
        self.address = ""

    def say(self, text: str) -> None:
        """A sentence between two scenes."""
        self.lines += ["", text, ""]

    def block(self, *lines: str, kind: str = "") -> None:
        """Something that was said or sent."""
        self.lines += ["", f"```{kind}", *lines, "```"]

    def type(self, line: str, who: str) -> None:
        """A command line, typed by someone, with its answer."""
        done = subprocess.run(["sh", "-c", line], cwd=self.root, env=self.env, capture_output=True, text=True)
        self.block(f"{who}$ {line}", *f"{done.stdout}{done.stderr}".rstrip("\n").split("\n"), kind="console")

    def drop(self, name: str, title: str, *operations: dict[str, str]) -> None:
        """The agent drops a plan: written beside the queue, then moved into it."""
        document = {"version": 1, "case": "Smith", "title": title, "operations": list(operations)}
        (self.root / "plan.json").write_text(json.dumps(document))
        self.type(f"cat plan.json; mv plan.json {QUEUE}/{name}", "agent")

    def waiting(self) -> str:
        """The plan that waits, once it is there."""
        pending = self.root / QUEUE / "pending"
        until(lambda: list(pending.glob("pl_*/status")))
        return next(pending.glob("pl_*/status")).parent.name

    def done(self, plan: str) -> None:
        """Waits until a plan is in `done/`, and Slack knows all."""
        until((self.root / QUEUE / "done" / plan / "receipt.json").exists)
        until(lambda: self.slack.thread(self.slack.channel()[-1]["ts"]))

    def send(self, body: bytes, shown: Mapping[str, Any]) -> None:
        """What Slack sends for somebody, signed as Slack signs."""
        headers = signed(body)
        with urlopen(Request(f"{self.address}/slack/events", body, headers)) as answer:
            status = answer.status
        told = [f"{name}: {headers[name]}" for name in HEADERS]
        self.block("POST /slack/events", *told, "", json.dumps(shown, indent=1), "", f"HTTP {status}", kind="http")

    def channel(self, message: Mapping[str, Any]) -> None:
        """A message as it stands in the channel, its text alone."""
        self.block(*(line for line in words(message).split("\n") if line.strip()), kind="text")


def files(story: Story) -> None:
    """From drop to `done/`, decided on in a file."""
    story.say("## By editing a file")
    name = "20260131T120000.123Z-Smith.json"
    story.drop(name, "File the complaint", {"op": "move", "from": "scan1.pdf", "to": "Pleadings/Complaint.pdf"})
    plan = story.waiting()
    until((story.root / QUEUE / "pending" / plan / "validation.md").exists)
    story.say("A moment later the worker has claimed and validated it.")
    story.type(f"ls -R {QUEUE} | grep .", "rita")
    story.type(f"cat {QUEUE}/pending/{plan}/validation.md", "rita")
    story.type(f"cat {QUEUE}/pending/{plan}/status", "rita")
    story.say("Rita changes the first word, but has not said who she is. It does not count, and she is told why.")
    story.type(f"sed -i s/^pending/approved/ {QUEUE}/pending/{plan}/status", "rita")
    until((story.root / QUEUE / "pending" / plan / "status.log").exists)
    story.type(f"cat {QUEUE}/pending/{plan}/status.log", "rita")
    story.type(f"sed -i 's/^by:.*/by: rita/' {QUEUE}/pending/{plan}/status", "rita")
    until((story.root / QUEUE / "done" / plan / "receipt.json").exists)
    story.say("That was all.")
    story.type(f"ls {QUEUE}/done/{plan}; cat {QUEUE}/done/{plan}/status; ls projects/Smith/Pleadings", "rita")


def button(story: Story) -> None:
    """The same in Slack."""
    story.say("## By a button in Slack")
    name = "20260131T130000.000Z-Smith.json"
    story.drop(name, "Drop the draft", {"op": "delete", "path": "draft.docx"}, {"op": "mkdir", "path": "Letters"})
    plan = story.waiting()
    until(lambda: "Drop the draft" in words(story.slack.channel()[-1]))
    card = story.slack.channel()[-1]
    story.say("In the channel:")
    story.channel(card)
    story.say("Rita presses *Approve*. Slack sends, signed (shortened to what counts):")
    pressed = story.slack.buttons(card)["approve"]
    shown = {"type": "block_actions", "user": {"id": "U0RITA"}, "actions": [_short(pressed)]}
    story.send(story.slack.pressed(card, "approve"), shown)
    story.done(plan)
    until(lambda: "applied" in words(story.slack.messages[card["ts"]]))
    story.say("The message says what became of it, and its thread how the run ended; the folder says the same.")
    story.channel(story.slack.messages[card["ts"]])
    story.channel(story.slack.thread(card["ts"])[0])
    story.type(f"cat {QUEUE}/done/{plan}/status; ls projects/Smith", "rita")


def command(story: Story) -> None:
    """`/roscoe-approve`."""
    story.say("## By `/roscoe-approve`")
    name = "20260131T140000.000Z-Smith.json"
    story.drop(name, "Keep the notes", {"op": "move", "from": "notes.txt", "to": "Notes/"})
    plan = story.waiting()
    until(lambda: "Keep the notes" in words(story.slack.channel()[-1]))
    before = len(story.slack.answers)
    shown = {"command": "/roscoe-approve", "text": plan, "user_id": "U0RITA"}
    story.send(story.slack.command(plan, name="/roscoe-approve"), shown)
    until(lambda: len(story.slack.answers) > before)
    answer = story.slack.answers[-1]
    story.say(f"The answer is `{answer['response_type']}`: rita alone sees it.")
    story.channel(answer)
    story.say("Its button carries the digest of what she sees:")
    pressed = story.slack.buttons(answer)["approve"]
    shown = {"type": "block_actions", "user": {"id": "U0RITA"}, "actions": [_short(pressed)]}
    story.send(story.slack.pressed(answer, "approve", alone=True), shown)
    story.done(plan)
    story.say("What she saw is replaced by what came of it:")
    story.channel(story.slack.answers[-1])
    story.type("ls projects/Smith/Notes", "rita")


def _short(button: Mapping[str, Any]) -> dict[str, Any]:
    return {"action_id": button["action_id"], "value": button["value"]}


def until(true: Callable[[], object]) -> None:
    """Waits for something to be so."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def main() -> None:
    """Writes the page."""
    slack = FakeSlack()
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder), slack)
        case = story.root / "projects/Smith"
        case.mkdir(parents=True)
        for name in ("scan1.pdf", "draft.docx", "notes.txt"):
            (case / name).write_text(f"{name}\n")
        subprocess.run([TREEGATE, "init", story.root], env=story.env, check=True, capture_output=True)
        serve = [TREEGATE, "serve", "--port", "0", "--json", "--workspace", story.root]
        service = subprocess.Popen(serve, env=story.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert service.stdout is not None
        story.address = json.loads(service.stdout.readline())["address"]
        work = [TREEGATE, "worker", "--json", "--workspace", story.root]
        worker = subprocess.Popen(work, env=story.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert worker.stdout is not None
        worker.stdout.readline()
        try:
            for scene in (files, button, command):
                scene(story)
        finally:
            for process in (worker, service):
                process.send_signal(signal.SIGTERM)
                process.wait(60)
    slack.close()
    head = (
        "Three plans dropped into [the queue](queue.md) and decided on in three ways, as `python docs/dropped.py`\n"
        "lived them, with a worker and a service running (`treegate init /srv/office`, then `treegate worker` and\n"
        "`treegate serve` there). [Slack](slack.md) is the one of the tests, which signs what it sends as Slack\n"
        "does.\n\n"
        "One user of the machine plays everybody here, so nobody could tell who wrote a `status`: this office has\n"
        "`queue.trust_status = true`, and says so of each such decision. Without it, files count where agents are\n"
        "[a user of their own](queue.md#who-could-have-written-it)."
    )
    text = "\n".join(["# A dropped plan", "", head, *story.lines]) + "\n"
    PAGE.write_text(re.sub(r"\n{3,}", "\n\n", text).replace(str(Path(folder)), "/srv"))


if __name__ == "__main__":
    main()
