"""The worker as systemd and cron really start it: a drop becomes pending, and approved, done; nobody is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from drops import approve, drop, moved, on
from machine import UID, Machine

ONCE, WORKER = "treegate-worker-once", "treegate-worker"
MINUTE = 75  # seconds, with what a start takes; the tests that wait for one are not next to each other


def starts(machine: Machine, unit: str) -> int:
    """How often a unit was started."""
    said = machine.asked("journalctl", "--no-pager", "-o", "cat", "-u", unit)
    return sum(line.startswith("Starting ") for line in said.splitlines())


def until(machine: Machine, true: Callable[[], object], patience: float = 60) -> None:
    machine.until(lambda: bool(true()), patience)


def test_the_timer_takes_what_told_of_itself_by_no_event(machine: Machine):
    """A drop and a decision of before, without the path unit; doctor complains of neither."""
    drop(machine, 0)
    machine.run("treegate-admin", "worker", "--once")
    approve(machine, 0)
    drop(machine, 1)
    assert "queue" not in machine.asked("treegate-admin", "doctor")
    machine.run("systemctl", "enable", "--now", f"{ONCE}.timer")
    until(machine, lambda: moved(machine, 0) and on("pending", machine, 1), MINUTE)


def test_the_worker_that_stays_takes_drops_and_carries_them_out(machine: Machine):
    """Enabled as docs/deploy.md says; killed, it is back; it goes with the mount, and leaves no plan half done."""
    machine.run("systemctl", "enable", "--now", WORKER)
    drop(machine, 0)
    until(machine, lambda: on("pending", machine, 0))
    approve(machine, 0)
    until(machine, lambda: moved(machine, 0))

    machine.run("systemctl", "kill", "--signal=KILL", WORKER)
    drop(machine, 1)
    until(machine, lambda: on("pending", machine, 1))
    assert machine.asked("systemctl", "show", "--value", "--property=NRestarts", WORKER) == "1"

    machine.run("systemctl", "stop", "mnt-workspace.mount")
    until(machine, lambda: machine.asked("systemctl", "is-active", WORKER) == "inactive")
    assert machine.asked("systemctl", "show", "--value", "--property=Result", WORKER) == "success"


def test_a_drop_starts_the_worker_once(machine: Machine):
    """The path unit alone: one start for a drop, none for what the worker itself does there, and it goes on."""
    machine.run("systemctl", "enable", "--now", f"{ONCE}.path")
    for number in (0, 1):
        drop(machine, number)
        until(machine, lambda number=number: on("pending", machine, number))
        until(machine, lambda: machine.asked("systemctl", "is-active", ONCE) == "inactive")
        machine.run("sleep", "2")
        assert starts(machine, ONCE) == number + 1
    machine.run("systemctl", "stop", "mnt-workspace.mount")
    until(machine, lambda: machine.asked("systemctl", "is-active", f"{ONCE}.path") == "inactive")
    machine.run("systemctl", "start", "mnt-workspace.mount")
    assert machine.asked("systemctl", "is-active", f"{ONCE}.path") == "active"
    drop(machine, 2)
    until(machine, lambda: on("pending", machine, 2))


def test_a_worker_that_cannot_begin_is_not_started_in_a_loop(machine: Machine):
    """A drop is one start, however many there are and however soon one ends; then the path unit still watches."""
    fails = machine.control(ONCE, "[Service]\nExecStart=\nExecStart=/bin/false\n")
    machine.run("systemctl", "enable", "--now", f"{ONCE}.path")
    for number in range(8):
        drop(machine, number % 4)
        until(machine, lambda number=number: starts(machine, ONCE) > number)
        until(machine, lambda: machine.asked("systemctl", "is-active", ONCE) == "failed")
    machine.run("sleep", "1")
    assert starts(machine, ONCE) == 8
    assert machine.asked("systemctl", "is-active", f"{ONCE}.path") == "active"
    machine.run("rm", fails)
    machine.run("systemctl", "daemon-reload")
    drop(machine, 0)
    until(machine, lambda: all(on("pending", machine, number) for number in range(4)))


@pytest.mark.skipif(not shutil.which("cron"), reason="needs cron (Debian: cron)")
def test_cron_starts_the_worker_every_minute(machine: Machine):
    """As the treegate user; what is dropped is taken, what was approved carried out, and nothing is said."""
    drop(machine, 0)
    machine.run("treegate-admin", "worker", "--once")
    approve(machine, 0)
    drop(machine, 1)
    machine.run("systemctl", "start", "cron")
    until(machine, lambda: moved(machine, 0) and on("pending", machine, 1), MINUTE)
    began = machine.asked("journalctl", "--no-pager", "-o", "cat", "-t", "CRON")
    assert "(treegate) CMD (umask 027; flock" in began
    assert machine.asked("journalctl", "--no-pager", "-o", "cat", "-t", "treegate-worker") == ""
    case = machine.workspace / "projects/Smith"
    assert ((case / "Moved").stat().st_uid, (case / "Moved").stat().st_mode & 0o777) == (UID, 0o750)
