"""The report of a command, for people: `Reports/{case}/mutation_logs/{timestamp}.txt`.

A projection like any other: a copy of what the state directory knows, written whole, and never read back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from treegate.engine import projections
from treegate.engine.projections import Projection
from treegate.engine.sandboxes import Sandbox
from treegate.engine.vault import timestamp
from treegate.gate import origins
from treegate.gate.core import Core
from treegate.gate.reporting import alone
from treegate.gate.sandboxing import events, looking
from treegate.gate.sandboxing import output as written
from treegate.gate.sandboxing.events import Captured, Exited, Failed, Finished, Started
from treegate.model.commands import line_of
from treegate.model.measures import write_size
from treegate.model.names import visible

_log = logging.getLogger("treegate")
_LISTED = 100  # changed paths, and findings


def bring(core: Core, sandbox: Sandbox) -> None:
    """Writes the report in each of the cases; what cannot be written is warned of, never raised."""
    try:
        with alone(core):
            for found in projections.bring(core.workspace.root, of(core, sandbox)):
                if found.error is not None:
                    _warn("/".join(found.place), found.how)
    except Exception as error:  # whatever it is, the command has run, and its plan is stored
        _warn("the log of a command", str(error))


def _warn(what: str, why: str) -> None:
    _log.warning("%s was not written: %s; `treegate fsck` writes it", visible(what), why)


def of(core: Core, sandbox: Sandbox) -> Projection:
    """The report of a command that has run."""
    return Projection(origins.places(core, sandbox), partial(text, core, sandbox))


def due(core: Core, sandbox: Sandbox) -> Iterator[Projection]:
    """The report, if what the command wrote is still kept."""
    if sandbox.started_at is not None and (looking.folder(core, sandbox.id) / events.EVENTS).exists():
        yield of(core, sandbox)


def output(core: Core, sandbox: Sandbox) -> Iterator[bytes]:
    """What a command wrote, line by line as it came, each inert."""
    for line in written.lines(events.read(looking.folder(core, sandbox.id))):
        yield f"{line.text}\n".encode("utf-8", "replace")


def text(core: Core, sandbox: Sandbox) -> Iterator[bytes]:
    """The report, as far as there is anything to tell."""
    for line in _head(sandbox):
        yield f"{line}\n".encode("utf-8", "replace")
    yield b"\n"
    for stream, said in written.lines(events.read(looking.folder(core, sandbox.id))):
        yield f"{'out' if stream == 'stdout' else 'err'}| {said}\n".encode("utf-8", "replace")
    yield b"\n"
    for event in events.read(looking.folder(core, sandbox.id)):
        for line in _told(event.what):
            yield f"{line}\n".encode("utf-8", "replace")


def _head(sandbox: Sandbox) -> Iterator[str]:
    limits = sandbox.may_use
    yield f"command:   {line_of(sandbox.command)}"
    yield f"sandbox:   {sandbox.id}"
    yield f"cases:     {', '.join(map(visible, sandbox.cases))}"
    yield f"asked by:  {visible(sandbox.author)} ({visible(sandbox.channel)})"
    if sandbox.decided_by:
        yield f"allowed by: {visible(sandbox.decided_by)}"
    yield f"begun:     {timestamp(sandbox.started_at or 0)}"
    yield (
        f"limits:    {limits.seconds:g} s, {write_size(limits.memory)} of memory, {limits.processes} processes, "
        + (f"{write_size(limits.written)} written, {limits.entries:,} entries, {write_size(limits.output)} of output")
    )
    for tool in sandbox.seen_tools:
        yield f"tool:      /tools/{visible(tool.path)}  sha256:{tool.sha256}"


def _told(what: object) -> Iterator[str]:
    """What is said of an event behind the output."""
    if isinstance(what, Started):
        yield f"ran on:    {what.engine}, view {what.view}"
        yield from (f"warning:   {visible(text)}" for text in what.warnings)
    elif isinstance(what, Exited):
        more = "" if what.ended == "itself" else f"; ended by: {what.ended}"
        yield f"exit status: {what.status}{more}; after {what.seconds:.2f} s"
    elif isinstance(what, Captured):
        yield from _captured(what)
    elif isinstance(what, Failed):
        yield f"failed:    {visible(what.message)} ({what.code})"
    elif isinstance(what, Finished):
        yield f"plan:      {what.plan or 'none: it changed nothing' if what.error is None or what.plan else 'none'}"
        if what.run:
            yield f"applied directly: {what.run}"
        if what.error is not None:
            yield f"error:     {visible(str(what.error.get('message')))}"


def _captured(what: Captured) -> Iterator[str]:
    yield f"operations: {what.operations:,}"
    for finding in what.findings[:_LISTED]:
        yield f"finding:   {visible(finding.path)}: {visible(finding.text)} ({finding.code})"
    for path in what.changed[:_LISTED]:
        yield f"changed by others meanwhile: {visible(path)}"
    more = max(len(what.findings) - _LISTED, 0) + max(len(what.changed) - _LISTED, 0) + what.changed_more
    if more:
        yield f"and {more:,} more of these"
