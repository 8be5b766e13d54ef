"""demo: the whole loop on a sample office, told in the terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import common, running, serving
from treegate.model.names import visible
from treegate.render import terminal

AREA = ".treegate"


@click.command("demo")
@click.argument("dir", metavar="[DIR]", required=False, default="treegate-demo")
@click.option("--state", metavar="DIR", help="The state directory; else TREEGATE_STATE, or the default.")
@click.option("--serve", is_flag=True, help="Then start the service on it, and print an address that logs you in.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def demo_command(dir: str, state: str | None, serve: bool, as_json: bool) -> None:
    """Build a believable law office in DIR and tell the whole loop on it; plans are left waiting for you."""
    story = Story(Path(dir), common.environ(state), silent=as_json)
    waiting = story.resume() if (Path(dir) / AREA).is_dir() else story.tell()
    if as_json:
        common.emit({"workspace": str(Path(dir).resolve()), "waiting": waiting})
    if serve:
        serving.run(Path(dir), story.environ, "127.0.0.1", serving.PORT, login=True, as_json=as_json, more=50)


class Story:
    """One telling: an agent proposes, a person decides, treegate carries out and takes back."""

    def __init__(self, root: Path, environ: dict[str, str], *, silent: bool) -> None:
        self.root = root
        self.environ = environ
        self.silent = silent
        self.step = 0

    def say(self, text: str = "") -> None:
        if not self.silent:
            common.say(text)

    def chapter(self, title: str, text: str) -> None:
        """The next chapter's heading, and a sentence under it."""
        self.step += 1
        self.heading(f"{self.step}. {title}", text)

    def heading(self, line: str, text: str) -> None:
        """A heading, and a sentence under it."""
        self.say()
        self.say(click.style(line, bold=True) if common.color() else line)
        self.say(f"   {text}")
        self.say()

    def show(self, preview: Any) -> None:
        self.say(terminal.preview(preview, width=common.width(), color=common.color()))

    def tell(self) -> str:
        """The whole story; returns the id of the plan that is left waiting."""
        from treegate.gate import Gate
        from treegate.interfaces.demo import story
        from treegate.interfaces.demo.office import build
        from treegate.model.actors import Role
        from treegate.model.lifecycle import State

        office = build(self.root)
        gate = Gate.init(self.root, solo=True, environ=self.environ)  # whoever tries it is alone
        _, text = gate.create_token("filing-agent", Role.AUTHOR)
        agent = Gate.open(self.root, {**self.environ, "TREEGATE_TOKEN": text})
        cases = len(office.cases)
        self.say(
            f"A law office: {cases} cases, {office.files} files ({office.pdfs} PDFs), in {visible(str(self.root))}."
        )
        self.say("An agent may read it. Only what a person approved is ever changed.")
        before = account(gate)
        document = self._repair(agent, json.dumps(story.faulty_plan(), ensure_ascii=False).encode())
        receipt = self._approve_and_apply(agent, gate, document)
        self._undo(agent, gate, receipt.run, before)
        agent.submit(json.dumps(story.good_plan(), ensure_ascii=False))  # once more: it was taken back
        waiting = str(agent.submit(json.dumps(story.waiting_plan(), ensure_ascii=False)).id)
        self._leave(waiting, receipt.run, len(gate.list_plans([State.PENDING])[0]))
        agent.close()
        gate.close()
        return waiting

    def _repair(self, agent: Any, document: bytes) -> bytes:
        self.chapter("The agent hands in a plan", "It slipped twice. Nothing happens: the plan is only looked at.")
        preview = agent.check(document)
        self.say(terminal.problems(preview.problems, width=common.width(), color=common.color()))
        done = agent.repair(document)
        self.say()
        self.say(f"   Each problem carries a suggestion. The agent takes {done.taken} and hands the plan in again.")
        return bytes(done.document)

    def _approve_and_apply(self, agent: Any, gate: Any, document: bytes) -> Any:
        done = agent.submit(document)
        self.chapter(
            "A person sees exactly what would change", "The digest covers the plan and the state of the tree."
        )
        self.show(gate.show(done.id).preview)
        self.chapter(
            f"The person approves {done.digest[:12]}, and treegate carries it out",
            "Every step is journaled before it is made; a crash at any point loses nothing.",
        )
        gate.approve(done.id, done.digest, "as discussed")
        applied = gate.apply(done.id, verify=True)
        self.say(terminal.receipt(running.readable(applied), width=common.width(), color=common.color()))
        return applied

    def _undo(self, agent: Any, gate: Any, run: str, before: dict[str, str]) -> None:
        self.chapter("Second thoughts", "Undo is a plan too: previewed, approved, journaled, and itself undoable.")
        undo = agent.undo(run).submitted
        self.say(f"   {undo.id}: {undo.summary}")
        gate.approve(undo.id, undo.digest, "take it back")
        applied = gate.apply(undo.id)
        same = account(gate) == before
        self.say(f"   {applied.run}: applied in {applied.seconds:.2f} s")
        verdict = "the tree is as it was: every name, mode, time and byte" if same else "the tree DIFFERS from before"
        self.say(f"   compared with before: {verdict}")

    def resume(self) -> str:
        """What waits in a sample office that is there already; returns the waiting plan's id, or ''."""
        from treegate.gate import Gate
        from treegate.interfaces.demo.office import is_office
        from treegate.model.lifecycle import State

        if not is_office(self.root):
            text = f"{visible(str(self.root))} is a workspace of its own, not the sample office"
            hint = "name a folder that is not there yet, such as treegate-demo"
            raise UsageError(text, code="not-the-demo", hint=hint, next="treegate demo DIR")
        gate = Gate.open(self.root, self.environ)
        plans, _ = gate.list_plans([State.PENDING])
        runs = gate.list_runs(limit=1)
        self.say(f"The sample office in {visible(str(self.root))} is there already; this is what waits in it.")
        if plans:
            self.show(gate.show(plans[0].id).preview)
        waiting = plans[0].id if plans else ""
        self._leave(waiting, runs[0].id if runs else "", len(plans))
        gate.close()
        return waiting

    def _leave(self, waiting: str, run: str, count: int) -> None:
        """Three commands to type."""
        first = "Nothing waits" if not count else "One plan waits" if count == 1 else f"{count} plans wait"
        self.heading("Your turn", f"{first} for you. Commands to type:")
        command, place = program(), f"--workspace {visible(str(self.root))}"
        rows = [
            (f"{command} show {waiting} {place}", "what it would change"),
            (f"{command} approve {waiting} {place}", "asks you, then carries it out"),
            (f"{command} undo {place}", "the plan that takes the last run back"),
        ]
        if not waiting:
            rows = [(f"{command} list {place}", "what there is"), *rows[2:]]
        for typed, means in rows:
            self.say(f"     {typed}")
            self.say(f"         {means}")


def program() -> str:
    """How a person here types `treegate`."""
    if shutil.which("treegate"):
        return "treegate"
    near = os.path.relpath(sys.argv[0])
    return near if not near.startswith("..") else sys.argv[0]


def account(gate: Any) -> dict[str, str]:
    """Every entry of every case by path: kind, mode, and of files time and content, of links the target."""
    from treegate.model.paths import joined, split
    from treegate.model.tree import Kind, unpack

    found = {}
    with gate.core.world() as world:
        for case in sorted(world.cases):
            for below, kind in world.tree.walk(case):
                path = joined(case, below)
                packed = world.tree.facts(*split(path))
                facts = unpack(packed or b"")
                holds = world.tree.sha256(path) if kind is Kind.FILE else ""
                holds = world.tree.target(path) if kind is Kind.LINK else holds
                mtime = facts.mtime if kind is Kind.FILE else 0
                found[path] = f"{kind} {facts.mode:o} {mtime} {holds}"
    return found
