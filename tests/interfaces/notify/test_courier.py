"""The courier and the notifier: nothing that fails ends them, nothing holds up the rest for ever."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `service` is not installed")

from treegate.engine import outbox
from treegate.engine.outbox import Place
from treegate.gate import Gate
from treegate.gate.notifying import notices
from treegate.gate.notifying.notices import Due
from treegate.interfaces.notify import courier, notifier
from treegate.interfaces.notify.courier import Courier
from treegate.interfaces.notify.notifier import Notifier
from treegate.interfaces.notify.port import Refused, Undelivered, retry_after
from treegate.model.actors import Actor, Role
from treegate.model.notification import Kind


class Ear:
    """A sink that hears what it is told, unless something is put in its way."""

    name = "ear"
    kinds = tuple(Kind)

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ways: list[Exception] = []
        self.pause = 0.0
        self.closed = False

    async def tell(self, due: Due) -> None:
        await asyncio.sleep(self.pause)
        if self.ways:
            raise self.ways.pop(0)
        self.heard.append(due.notification.event)

    async def close(self) -> None:
        self.closed = True


class InLine:
    """Calls methods of a gate where it stands."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def call(self, actor: Actor, method: str, *args: Any, **named: Any) -> Any:
        return getattr(self.gate.acting_as(actor), method)(*args, **named)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    for where, name in ((courier, "FIRST"), (courier, "LOOK"), (notifier, "AGAIN")):
        monkeypatch.setattr(where, name, 0.01)
    monkeypatch.setattr(courier, "LONGEST", 0.05)
    environ = {"TREEGATE_STATE": str(tmp_path / "state"), "PATH": "/usr/bin:/bin"}
    (tmp_path / "office" / "projects" / "Smith").mkdir(parents=True)
    Gate.init(tmp_path / "office", solo=True, environ=environ).close()
    made = Gate.open(tmp_path / "office", environ)
    made.next_for("ear", tuple(Kind))
    return made


def _place(gate: Gate) -> Place:
    found = outbox.place(gate.core.store, "ear")
    assert found is not None
    return found


def _told(gate: Gate, ear: Ear, done: Callable[[], object]) -> None:
    """The notifier at work until something is so."""

    async def work() -> None:
        made = Notifier(gate, InLine(gate), [ear])
        made.start()
        end = time.monotonic() + 20
        while not done():
            assert time.monotonic() < end, "it did not come to that"
            await asyncio.sleep(0.01)
        await made.stop()

    asyncio.run(work())
    assert ear.closed


def test_a_fault_with_one_notification_does_not_hold_up_the_others(gate: Gate) -> None:
    ear = Ear()
    gate.pause()
    gate.resume()
    ear.ways = [KeyError("no such thing")] * 5
    _told(gate, ear, lambda: ear.heard)
    assert ear.heard == ["resumed"]


def test_a_fault_before_anything_is_sent_is_heard_of(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    gate.pause()
    monkeypatch.setattr(Gate, "next_for", lambda *_: {}["nothing"])
    _told(gate, ear, lambda: _place(gate).failing_since)
    assert "KeyError" in _place(gate).error


def test_a_disk_that_is_full_for_a_while_ends_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at the lock, nor at the lookout: once there is room, all is told."""
    ear, full = Ear(), [4]
    crier, look_out = Gate.crier, Gate.look_out

    def unless_full(real: Any) -> Any:
        def inner(*args: Any, **named: Any) -> Any:
            full[0] -= 1
            if full[0] >= 0:
                raise OSError(28, "No space left on device")
            return real(*args, **named)

        return inner

    monkeypatch.setattr(Gate, "crier", unless_full(crier))
    gate.pause()
    _told(gate, ear, lambda: ear.heard)
    full[0] = 1
    monkeypatch.setattr(Gate, "crier", crier)
    monkeypatch.setattr(Gate, "look_out", unless_full(look_out))
    gate.resume()
    _told(gate, ear, lambda: len(ear.heard) == 2)


def test_what_is_refused_is_tried_five_times_also_after_a_long_silence(gate: Gate) -> None:
    ear = Ear()
    gate.pause()
    ear.ways = [*[Undelivered("away", known=True)] * 9, *[Refused("no")] * 4]
    _told(gate, ear, lambda: ear.heard)
    assert ear.heard == ["paused"]


def test_nobody_has_us_hurry(gate: Gate) -> None:
    """`Retry-After: 0` is no leave to ask a thousand times a second."""
    ear = Ear()
    gate.pause()
    ear.ways = [Undelivered("busy", known=True, after=0.0)]

    async def pause() -> float:
        return await Courier(gate, ear)._step()

    assert asyncio.run(pause()) > 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("9" * 400, 3600), ("\u00b2", None), ("soon", None), ("-1", None), ("", None), (None, None)],
)
def test_how_long_somebody_asks_to_wait(header: str | None, seconds: float | None) -> None:
    assert retry_after(header) == seconds


def test_whoever_only_comes_by_does_not_stay(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of cron, say, for whom drops wait: a slow sink is told what there is time for."""
    monkeypatch.setattr(notifier, "WHILE", 0.5)
    ear = Ear()
    ear.pause = 0.2
    for _ in range(5):
        gate.pause()
        gate.resume()
    began = time.monotonic()
    asyncio.run(Notifier(gate, InLine(gate), [ear]).once())
    assert time.monotonic() - began < 1.5
    assert 1 <= len(ear.heard) < 10


def test_whoever_only_comes_by_survives_what_fails(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = Ear()
    gate.pause()
    ear.ways = [KeyError("a fault")]
    asyncio.run(Notifier(gate, InLine(gate), [ear]).once())
    monkeypatch.setattr(Gate, "next_for", lambda *_: json.loads("{"))
    asyncio.run(Notifier(gate, InLine(gate), [ear]).once())


def test_a_long_log_that_tells_nothing_is_read_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that is written meanwhile is passed over."""
    monkeypatch.setattr(notices, "MANY", 3)
    begun = _place(gate).seq
    for number in range(3):
        gate.create_token(f"anna{number}", Role.REVIEWER)
    assert gate.next_for("ear", tuple(Kind)) is None
    assert _place(gate).seq == begun  # so few are not worth a write
    gate.create_token("anna", Role.REVIEWER)
    real = notices.outbox.following

    def late(*given: Any) -> Any:
        found = real(*given)
        monkeypatch.setattr(notices.outbox, "following", real)
        gate.pause()
        return found

    monkeypatch.setattr(notices.outbox, "following", late)
    assert gate.next_for("ear", tuple(Kind)) is None
    assert _place(gate).seq == begun + 4
    due = gate.next_for("ear", tuple(Kind))
    assert due is not None
    assert due.notification.event == "paused"
