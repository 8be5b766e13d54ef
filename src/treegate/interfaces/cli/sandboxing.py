"""run: a command in a sandbox, whose effects become a plan."""

from __future__ import annotations

import codecs
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

import click

from treegate.errors import TreegateError
from treegate.interfaces.cli import common, failures
from treegate.interfaces.cli.waiting import seconds
from treegate.model.commands import CUT_SHORT
from treegate.model.names import restated, visible

MOST = 4 << 20  # bytes of output in the one JSON document
_LEFT = re.compile("([\n\t\r])")


@click.command("run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": True})
@click.argument("case")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--case", "cases", multiple=True, metavar="CASE2", help="Another case that it sees; may be repeated.")
@click.option("--tool", "tools", multiple=True, metavar="F", help="Of the tools, only these; may be repeated.")
@click.option("--engine", type=click.Choice(["bwrap", "docker"]), help="What confines it; else what is configured.")
@click.option("--direct", is_flag=True, help="Apply what it did as soon as it ends, where policy lets that be.")
@click.option("--timeout", metavar="T", help='How long it may take, such as "5m"; sandbox.limits.time is the most.')
@click.option("--reads", is_flag=True, help="The plan is stale, too, where others changed what it only read.")
@common.options
def run_command(
    case: str,
    command: tuple[str, ...],
    cases: tuple[str, ...],
    tools: tuple[str, ...],
    engine: str | None,
    direct: bool,
    timeout: str | None,
    reads: bool,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Run COMMAND on a view of CASE, in a sandbox; what it did becomes a plan, and no file is touched before that.

    It sees the case at /case (several: /cases/NAME), the workspace's tools at /tools, and nothing else: write
    `treegate run Smith -- python /tools/sort.py`. A sandbox that was approved is run by its id: `treegate run sb_…`.
    The exit status is COMMAND's own; 125 where treegate itself failed. Ctrl-C ends it; what it did is kept.
    """
    gate = common.open_gate(workspace, state)
    with _stoppable(gate):
        if case.startswith("sb_") and not command:
            events = gate.follow_sandbox(case)
        else:
            given = {"engine": engine or "", "direct": direct, "reads": reads}
            limit = None if timeout is None else seconds(timeout)
            events = gate.run((case, *cases), command, tools, timeout=limit, **given)
        told = _Told(events, as_json)
    told.end()
    raise click.exceptions.Exit(told.status)


@contextmanager
def _stoppable(gate: Any) -> Iterator[None]:
    """While inside, Ctrl-C and SIGTERM end the command; what it did by then is kept."""
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    gate.watch(lambda done, total: None, lambda: bool(asked))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Told:
    """What a command does, passed on as it comes, or gathered for the one document."""

    def __init__(self, events: Any, as_json: bool) -> None:
        self._as_json = as_json
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self._out = {"stdout": _Out(sys.stdout), "stderr": _Out(sys.stderr)}
        self._cut = False
        self._captured: Any = None
        self._finished: Any = None
        for event in events:
            self._take(event.what)
        for out in self._out.values():
            out.write(b"", True)

    def _take(self, what: Any) -> None:
        kind = type(what).__name__
        if kind == "Output":
            self._write(what.stream, what.data)
        elif kind == "Started" and not self._as_json:
            for text in what.warnings:
                click.echo(f"warning: {visible(text)}", err=True)
        elif kind == "Captured":
            self._captured = what
        elif kind == "Finished":
            self._finished = what

    def _write(self, stream: str, data: bytes) -> None:
        if self._as_json:
            room = MOST - len(self._output[stream])
            self._output[stream] += data[:room]
            self._cut = self._cut or len(data) > room
            return
        self._out[stream].write(data)

    @property
    def status(self) -> int:
        """The command's own; 125 where what it did was lost."""
        done = self._finished
        return (
            failures.SANDBOX_FAILED
            if done is None or done.state == "failed" or done.status is None
            else int(done.status)
        )

    def end(self) -> None:
        """What came of it, and what to type next."""
        if self._as_json:
            common.emit(self._document())
            return
        for line in self._lines():
            click.echo(line, err=True)

    def _document(self) -> dict[str, Any]:
        import msgspec

        output = {stream: bytes(data).decode("utf-8", "replace") for stream, data in self._output.items()}
        captured = self._captured
        more = {
            "operations": 0 if captured is None else captured.operations,
            "findings": () if captured is None else captured.findings,
            "changed": () if captured is None else captured.changed,
        }
        finished = msgspec.to_builtins(self._finished)
        del finished["type"]
        return {**finished, **more, **output, "output_cut": self._cut}

    def _lines(self) -> Iterator[str]:
        done = self._finished
        if done.why not in (None, "itself"):
            yield f"treegate: the command was ended: {CUT_SHORT.get(done.why, done.why)}"
        if done.error is not None:
            yield from _error(done.error)
        if done.state == "failed":
            return
        if done.plan is None:
            yield "treegate: the command changed nothing, so there is no plan"
            return
        if done.summary:
            yield f"treegate: {visible(done.summary)}"
        waits = f" and waits for {visible(done.waiting_for)}" if done.waiting_for else ""
        run = f" by {done.run}" if done.run else ""
        yield f"treegate: what it did is plan {done.plan}, which is {done.plan_state}{run}{waits}"
        if done.warnings:
            yield f"treegate: {done.warnings} to know of before it is decided on, as `treegate show ID` has them"
        yield f"next: {_NEXT.get(done.plan_state, 'treegate show {plan}').format(plan=done.plan, run=done.run)}"


class _Out:
    """Where what a command writes goes on: byte by byte as it came, but at a terminal nothing that would steer it.

    There whoever types decides about files: no script is to move the cursor over what treegate says of it. Tabs, line
    ends and the carriage return of a progress bar are left.
    """

    def __init__(self, stream: TextIO) -> None:
        self._file = stream.buffer
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape") if stream.isatty() else None

    def write(self, data: bytes, last: bool = False) -> None:
        if self._decoder is not None:
            parts = _LEFT.split(self._decoder.decode(data, last))
            data = "".join(part if _LEFT.fullmatch(part) else restated(part) for part in parts).encode()
        try:
            self._file.write(data)
            self._file.flush()
        except BrokenPipeError:  # nobody reads it: the command goes on, for what it does counts
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())


_NEXT = {
    "approved": "treegate apply {plan}",
    "applied": "treegate undo {run}",
}


def _error(error: dict[str, Any]) -> Iterator[str]:
    found = TreegateError(str(error.get("message")), code=str(error.get("code")), hint=str(error.get("hint") or ""))
    found.next = str(error.get("next") or "treegate status")
    yield failures.text(found, color=sys.stderr.isatty())
