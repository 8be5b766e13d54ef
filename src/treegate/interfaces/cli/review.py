"""review: what waits for a reviewer, plan by plan, each looked at as far as they like and decided with a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from treegate.errors import TreegateError, UsageError
from treegate.interfaces.cli import common, deciding, failures, plans, revising, running, waiting
from treegate.model.names import visible
from treegate.render import comparison, tables, words
from treegate.render.ink import Ink
from treegate.render.text import clip, sentence

KEYS = (
    ("a", "approve"),
    ("r", "reject"),
    ("c", "ask for changes"),
    ("l", "leave something out"),
    ("p", "rows of a pattern"),
    ("t", "text of a file"),
    ("e", "all effects"),
    ("d", "what changed"),
    ("v", "preview again"),
    ("s", "skip"),
    ("q", "quit"),
)


@click.command("review")
@click.option("--case", help="Only this case.")
@common.options
def review_command(case: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Walk through the plans that wait for you: look at each as far as you like, decide with a key, go on."""
    gate = common.open_gate(workspace, state)
    waits = [item for item in gate.status(case).waiting if item.mine and item.plan.state == "pending"]
    if as_json:
        ids = {item.plan.id for item in waits}
        common.emit({"waiting": [row for row in waiting.document(gate.status(case))["waiting"] if row["id"] in ids]})
        return
    if not waits:
        common.say("no plan waits for your decision")
        return
    if not common.interactive():
        text = "review walks through plans with keys, and needs a terminal"
        raise UsageError(text, code="terminal-needed", hint="each can be decided on by name", next="treegate status")
    done: dict[str, int] = {}
    for number, item in enumerate(waits, 1):
        ended = _Visit(gate, item.plan.id, f"{number} of {len(waits)}").ended()
        done[ended] = done.get(ended, 0) + 1
        if ended == "quit":
            break
    told = [f"{count} {word}" for word, count in done.items() if word != "quit"]
    left = len([item for item in gate.status(case).waiting if item.mine and item.plan.state == "pending"])
    common.say(f"{', '.join(told) or 'nothing decided'}; {words.plural(left, 'plan')} still wait for you")


class _Visit:
    """One plan before the reviewer, until a key ends it."""

    def __init__(self, gate: Any, id: str, place: str) -> None:
        self.gate = gate
        self.id = id
        self.place = place
        self.shown: Any = None
        self.acts: dict[str, Callable[[], str]] = {
            "a": self._approve,
            "r": self._reject,
            "c": self._request_changes,
            "l": self._leave_out,
            "p": self._pattern,
            "t": self._text,
            "e": self._effects,
            "d": self._what_changed,
            "v": self._preview,
            "s": lambda: "skipped",
            "q": lambda: "quit",
        }

    def ended(self) -> str:
        """Shows the plan and does what keys say, until one of them ends the visit: a word for what became of it."""
        ended = self._guarded(self._preview)
        while not ended:
            common.say(self._menu())
            key = click.getchar().lower()
            if key in ("\x03", "\x04"):
                return "quit"
            act = self.acts.get(key)
            ended = self._guarded(act) if act is not None else ""
        return ended

    def _guarded(self, act: Callable[[], str]) -> str:
        """Does it; what goes wrong is told, and the visit goes on, or ends if the plan no longer waits."""
        try:
            return act()
        except click.Abort:
            common.say()
        except TreegateError as error:
            common.say(failures.text(error, color=common.color()))
        return "" if self.gate.plan(self.id).state == "pending" else "decided elsewhere"

    def _menu(self) -> str:
        ink, width = Ink(common.color()), common.width()
        rows: list[list[tuple[str, str]]] = [[]]
        for key, word in KEYS:
            if sum(len(word) + 6 for _, word in rows[-1]) + len(word) + 4 > width:
                rows.append([])
            rows[-1].append((key, word))
        lines = ["  ".join(f"{ink(f'[{key}]', 'command')} {word}" for key, word in row) for row in rows]
        return "\n".join([*lines, f"{self.id} ({self.place})?"])

    # -- looking

    def _preview(self) -> str:
        self.shown = self.gate.show(self.id)
        operations = self.gate.document(self.id).operations
        plans.show_preview(self.shown.preview, operations, commands=[])
        return ""

    def _effects(self) -> str:
        self._page(self.gate.effects(self.id))
        return ""

    def _pattern(self) -> str:
        patterns = {pattern.id: pattern for pattern in self.shown.preview.patterns}
        if not patterns:
            common.say("there is no pattern in this plan: [e] shows all effects")
            return ""
        pattern = patterns.get(_asked(f"pattern ({', '.join(list(patterns)[:8])})", "p"))
        if pattern is None:
            common.say("there is no such pattern")
        else:
            self._page(self.gate.effects(self.id, pattern.first, pattern.count))
        return ""

    def _page(self, effects: Any) -> None:
        lines = tables.effect_lines(effects, width=common.width(), color=common.color())
        click.echo_via_pager(f"{line}\n" for line in lines)

    def _text(self) -> str:
        found = self.gate.text_difference(self.id, _asked("effect", "e"))
        styles = {"+": "good", "-": "deleted", "@": "command"}
        ink = Ink(common.color())
        lines = [ink(clip(sentence(line), common.width()), styles.get(line[:1], "")) for line in found.lines]
        note = [f"({found.note})"] if found.note else []
        click.echo_via_pager(f"{line}\n" for line in [*lines, *note])
        return ""

    def _what_changed(self) -> str:
        found = self.gate.diff(self.id)
        common.say(comparison.comparison(found, width=common.width(), color=common.color()))
        return ""

    # -- deciding

    def _approve(self) -> str:
        digest = self.shown.plan.digest
        if not click.confirm(f"Approve exactly this ({digest[:12]})?"):
            return ""
        plan = self.gate.approve(self.id, digest)
        applied, held = deciding.carried_out(self.gate, plan)
        if applied is not None:
            running.tell(applied, False)
        else:
            common.say(held or f"{plan.id} is {plan.state}{deciding.waits(self.gate, plan)}")
        return "approved"

    def _reject(self) -> str:
        self.gate.reject(self.id, self.shown.plan.digest, click.prompt("why"))
        return "rejected"

    def _request_changes(self) -> str:
        self.gate.request_changes(self.id, self.shown.plan.digest, click.prompt("what is to be changed"))
        return "sent back"

    def _leave_out(self) -> str:
        wanted = [one for one in click.prompt("leave out (e17, p3)").replace(",", " ").split() if one]
        digest = self.shown.plan.digest
        revising.tell_reduction(self.gate.reduction(self.id, wanted, digest))
        if click.confirm("Leave these out?"):
            self.gate.reduce(self.id, wanted, digest)
            return self._preview()
        return ""


def _asked(what: str, prefix: str) -> str:
    """An id that the reviewer types, with or without its letter."""
    given = str(click.prompt(visible(what))).strip().lower()
    return given if given.startswith(prefix) else prefix + given
