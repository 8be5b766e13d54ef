"""Runs at the shell: a progress bar, Ctrl-C that takes back what was begun, the receipt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import msgspec

from treegate.interfaces.cli import common
from treegate.model.names import restated
from treegate.render import terminal


def applied(gate: Any, id: str, *, verify: bool = False) -> Any:
    """Applies a plan, with a bar on a terminal; Ctrl-C and SIGTERM make the run go back, cleanly."""
    with stoppable(gate):
        return gate.apply(id, verify=verify)


@contextmanager
def stoppable(gate: Any) -> Iterator[None]:
    """While inside, Ctrl-C and SIGTERM ask the run to stop, and a terminal shows how far it is."""
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    bar = Bar()
    gate.watch(bar.show, lambda: bool(asked))
    try:
        yield
    finally:
        bar.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class Bar:
    """A progress bar on stderr; silent where that is not a terminal, or there is little to do."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._done = 0

    def show(self, done: int, total: int) -> None:
        """Notes that so many of the steps are made."""
        if total < 2000 or not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = click.progressbar(length=total, label="applying", file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._done)
        self._done = done

    def close(self) -> None:
        """Ends the line."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)


def tell(done: Any, as_json: bool) -> None:
    """What to say of a run that ended."""
    if as_json:
        common.emit(done)
    elif done.receipt is None:
        why = f": {restated(done.reason)}" if done.reason else ""
        common.say(f"{done.run}: {done.state} (plan {done.id}){why}")
    else:
        common.say(terminal.receipt(readable(done), width=common.width(), color=common.color()))


def readable(done: Any) -> dict[str, Any]:
    """A receipt with its times and people as a reader wants them."""
    receipt = msgspec.to_builtins(done.receipt)
    receipt["state"] = done.state
    receipt["vault"]["left"] = done.kept
    receipt["approved_by"] = [approval["reviewer"] for approval in receipt["approved_by"]]
    receipt["started"], receipt["ended"] = common.moment(receipt["started"]), common.moment(receipt["ended"])
    if receipt["vault"]["until"] is not None:
        receipt["vault"]["until"] = common.moment(receipt["vault"]["until"])
    return dict(receipt)
