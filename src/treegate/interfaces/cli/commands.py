"""Commands in sandboxes, as `show`, `list`, `status`, `approve` and `reject` have them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import common
from treegate.model.commands import BEGIN_BY_THEMSELVES, State
from treegate.model.names import visible
from treegate.render import words
from treegate.render.text import clip, inert

_NEXT = {
    "waiting": "treegate approve {id} --digest {digest}",
    "approved": "treegate run {id}",
    "running": "treegate show {id}",
}


def show(gate: Any, id: str, as_json: bool) -> None:
    """Everything there is to know of a command; what it wrote is in its log."""
    tell(gate.sandbox(id), as_json)


def tell(found: Any, as_json: bool) -> None:
    """A command as it stands, and what to type next."""
    if as_json:
        common.emit(found)
        return
    for line in _lines(found):
        common.say(line)


def _lines(found: Any) -> Iterator[str]:
    yield f"{found.id} is {found.state}" + (
        f" and waits for {visible(found.waiting_for)}" if found.waiting_for else ""
    )
    yield f"  command   {inert(found.line)}"
    yield f"  cases     {', '.join(map(_text, found.cases))}"
    yield f"  asked by  {visible(found.author)}, {common.moment(found.created_at)}"
    yield f"  engine    {_engine(found)}"
    yield from (f"  {head:<8}  {line}" for head, line in zip_longest(["limits"], _limits(found.limits), fillvalue=""))
    if found.direct:
        yield "  at once   what it does is to be applied when it ends, without anybody looking"
    if found.reads:
        yield "  reads     its plan is stale, too, once others change what it only read"
    for tool in found.tools:
        yield f"  tool      {visible(tool.path)}  sha256:{tool.sha256}"
    if found.script is not None:
        yield "  script"
        yield from (f"    | {visible(line)}" for line in found.script.splitlines())
    if found.decided_by is not None:
        comment = f": {inert(found.comment)}" if found.comment else ""
        yield f"  decided   by {visible(found.decided_by)}, {common.moment(found.decided_at)}{comment}"
    yield from _ended(found)
    yield f"  digest    {found.digest}"
    yield f"next: {_next(found)}"


def _next(found: Any) -> str:
    if found.state == "approved" and found.channel in BEGIN_BY_THEMSELVES:
        return f"treegate show {found.id}"
    if found.state == "lost" and found.script is None:
        others = "".join(f" --case {shlex.quote(_text(case))}" for case in found.cases[1:])
        return f"treegate run {shlex.quote(_text(found.cases[0]))}{others} -- {inert(found.line)}"
    plan = f"treegate show {found.plan}" if found.plan else "treegate status"
    return _NEXT.get(found.state, plan).format(id=found.id, digest=found.digest[:12])


def _engine(found: Any) -> str:
    name = "what works here" if found.engine == "auto" else visible(found.engine)
    return f"{name}, image {visible(found.image)}" if found.engine == "docker" else name


def _limits(limits: Any) -> Iterator[str]:
    """All of them: whoever approves the command approves these, too."""
    cores = f"{limits.processors:g} core{'s' * (limits.processors != 1)}"
    yield f"{words.span(limits.seconds)}, {cores}, {words.size(limits.memory)} of memory"
    yield f"{words.plural(limits.processes, 'process', 'processes')}, {limits.open_files:,} open files, no network"
    yield f"{words.size(limits.written)} in {limits.entries:,} entries, {words.size(limits.temporary)} in /tmp"
    yield f"{words.size(limits.output)} of output"


def _ended(found: Any) -> Iterator[str]:
    if found.status is not None:
        why = "" if found.why == "itself" else f", ended by: {found.why}"
        yield f"  ended     with exit status {found.status}{why}"
    if found.error is not None:
        yield f"  error     {visible(str(found.error.get('message')))} ({found.error.get('code')})"
    if found.state == "ended":
        yield f"  plan      {found.plan or 'none: it changed nothing'}"
    yield from (f"  log       {_text(path)}" for path in found.logs if found.ended_at is not None)


def _text(text: Any) -> str:
    return visible(text if isinstance(text, str) else text.raw)


def row(found: Any) -> str:
    """A command on a line."""
    cases = ", ".join(map(_text, found.cases))
    waits = f" (waits for {visible(found.waiting_for)})" if found.waiting_for else ""
    return clip(f"{found.id}  {found.state:<9}  {cases}: {inert(found.line)}{waits}", common.width())


def listing(
    gate: Any, states: Sequence[State], case: str | None, limit: int, cursor: int | None, as_json: bool
) -> None:
    """Commands, newest first."""
    found = gate.sandboxes(states, case, limit + 1, cursor)
    shown, after = found[:limit], found[limit - 1].seq if len(found) > limit else None
    if as_json:
        common.emit({"sandboxes": shown, "cursor": after})
        return
    for one in shown:
        common.say(row(one))
    if not shown:
        common.say("no commands" + (" like that" if states or case else "; next: treegate run CASE -- COMMAND"))
    if after is not None:
        common.say(f"more: treegate list --sandboxes --cursor {after}")


def approve(gate: Any, id: str, digest: str | None, comment: str, as_json: bool) -> None:
    """Lets a command run: on a terminal it is shown and asked, elsewhere its digest is needed."""
    if digest is None:
        if as_json or not common.interactive():
            raise UsageError("without a terminal, --digest is needed", code="digest-needed", next=f"show {id}")
        found = gate.sandbox(id)
        tell(found, False)
        click.confirm(f"Let exactly this run ({found.digest[:12]})?", abort=True, err=True)
        digest = str(found.digest)
    tell(gate.approve_sandbox(id, digest, comment), as_json)
