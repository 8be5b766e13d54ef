"""Lives one day at the shell on a small office, and writes what was typed and answered into docs/a-day.md.

    python docs/day.py            (in the project's environment; everything happens in a temporary folder)

Nothing is made up: each command is run, and what it prints is what stands on the page.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("a-day.md")
TREEGATE = Path(sys.executable).parent / "treegate"

AGENT = {
    "version": 1,
    "title": "Sort the scans of Smith",
    "reason": "Partner asked for the scans by kind",
    "case": "Smith",
    "operations": [
        {"op": "move", "match": "Scans/letter*.pdf", "to": "Letters/", "why": "letters"},
        {"op": "move", "match": "Scans/invoice*.pdf", "to": "Accounts/", "why": "invoices"},
        {"op": "move", "from": "Scans/complaint.pfd", "to": "Pleadings/2024-03-01 Complaint.pdf"},
        {"op": "rename", "path": "notes.txt", "name": "open-points"},
        {"op": "delete", "path": "Scans/duplicate.pdf", "why": "the same as letter1.pdf"},
        {"op": "mkdir", "path": "Scans"},
    ],
}
RULES = """
[[policy.approval.rule]]
name = "deletions"
when = { deletes = ">0" }
required = 2
from = ["group:partners"]

[groups]
partners = ["anna", "ben"]
"""


class Day:
    """The office, who is at the shell, and the page so far."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "office"
        self.env = {**os.environ, "TREEGATE_STATE": str(folder / "state"), "COLUMNS": "96", "NO_COLOR": "1"}
        self.env.pop("TREEGATE_TOKEN", None)
        self.tokens: dict[str, str] = {}
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """A sentence between two scenes."""
        self.lines += ["", text, ""]

    def quiet(self, *words: str) -> dict[str, Any]:
        """A command that is not shown."""
        done = subprocess.run(
            [TREEGATE, *words, "--json"], cwd=self.root, env=self.env, capture_output=True, text=True
        )
        return dict(json.loads(done.stdout))

    def type(self, line: str, who: str = "", keys: str = "") -> None:
        """A command line, typed by someone, with its answer and its exit status if that is not 0."""
        env = {**self.env, "TREEGATE_TOKEN": self.tokens[who]} if who else self.env
        argv = ["sh", "-c", line.replace("treegate ", f"{shlex.quote(str(TREEGATE))} ", 1)]
        done = subprocess.run(argv, cwd=self.root, env=env, capture_output=True, text=True, input=keys)
        status = f"(exit status {done.returncode})\n" if done.returncode else ""
        shown = f"{done.stdout}{done.stderr}{status}".replace(str(self.folder), "/srv").rstrip("\n")
        self.lines += ["", "```console", f"{who or 'root'}$ {line}", *shown.split("\n"), "```"]

    def people(self) -> None:
        """An agent, two partners."""
        for name, role in (("agent", "author"), ("anna", "reviewer"), ("ben", "reviewer")):
            self.tokens[name] = str(self.quiet("token", "create", "--name", name, "--role", role)["token"])


def furnish(day: Day) -> None:
    """The case as the agent finds it."""
    scans = day.root / "projects/Smith/Scans"
    scans.mkdir(parents=True)
    for name in (*(f"letter{n}.pdf" for n in range(1, 8)), *(f"invoice{n}.pdf" for n in range(1, 4))):
        (scans / name).write_text(f"%PDF {name}\n")
    (scans / "complaint.pdf").write_text("%PDF complaint\n")
    (scans / "duplicate.pdf").write_text("%PDF letter1.pdf\n")
    (scans.parent / "notes.txt").write_text("call Jones\n")
    (day.root / "plan.json").write_text(json.dumps(AGENT, indent=1))


def live(day: Day) -> None:
    """The day, from the agent's plan to the broken log."""
    day.quiet("init", ".")
    with open(day.folder / "state/treegate.toml", "a") as file:
        file.write(RULES)
    day.people()
    day.say("The agent has looked at the case and written a plan. It has faults; treegate mends what it can.")
    day.type("treegate check plan.json --fix", "agent")
    day.type("treegate submit plan.fixed.json", "agent")
    plan = str(day.quiet("list")["plans"][0]["id"])
    day.say("Anna looks at what waits, finds that the invoices are to stay, and leaves that pattern out.")
    day.type("treegate status", "anna")
    shown = day.quiet("show", plan)["preview"]
    pattern = next(one["id"] for one in shown["patterns"] if one["to"] == "Smith/Accounts/")
    day.type(f"treegate reduce {plan} --leave-out {pattern}", "anna")
    digest = str(day.quiet("list")["plans"][0]["digest"])[:12]
    day.say("Something is deleted, so the rule of this office asks two partners.")
    day.type(f"treegate policy explain {plan}", "anna")
    day.type(f"treegate approve {plan} --digest {digest}", "anna")
    day.type(f"treegate approve {plan} --digest {digest}", "ben")
    day.say("In the afternoon one letter is wanted back where it was. Undo is a plan like any other.")
    day.type("treegate undo --path Smith/Letters/letter3.pdf", "anna")
    undo = day.quiet("list")["plans"][0]
    day.type(f"treegate approve {undo['id']} --digest {str(undo['digest'])[:12]}", "ben")
    day.say("Its whole life, and the log of the day, proved.")
    day.type("treegate log --path Smith/Scans/letter3.pdf", "anna")
    day.type("treegate audit checkpoint -o /srv/elsewhere.json".replace("/srv", str(day.folder)))
    day.type(f"treegate audit verify --checkpoint {day.folder}/elsewhere.json")
    day.say("Somebody with access to the database writes Ben out of it. It does not stay unseen.")
    with sqlite3.connect(day.folder / "state/treegate.db") as database:
        database.execute("UPDATE audit SET actor = 'anna' WHERE event = 'approve' AND actor = 'ben'")
    day.type(f"treegate audit verify --checkpoint {day.folder}/elsewhere.json")


def main() -> None:
    """Writes the page."""
    with tempfile.TemporaryDirectory() as folder:
        day = Day(Path(folder))
        day.root.mkdir()
        furnish(day)
        live(day)
    head = "A day at the shell of a small office, as `python docs/day.py` lived it: what was typed, and every answer."
    text = "\n".join(["# A day", "", head, *day.lines]) + "\n"
    text = re.sub(r"\n{3,}", "\n\n", text).replace(str(Path(folder)), "/srv")
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
