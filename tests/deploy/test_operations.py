"""The runbook: each alert has its section, what it names is there, and its backup and restore are done as it says."""

from __future__ import annotations

import re
from subprocess import CompletedProcess

import pytest
from drops import approve, drop, moved, on, queue
from machine import TOP, Machine

from treegate.engine.alerts import AlertKind

PAGE = (TOP / "docs/operations.md").read_text()
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
ALERTS = {kind.value for kind in AlertKind} | {"run-failed"}  # this one is told as the end of a run


def test_each_alert_says_what_to_do():
    """A section for each, and commands in it."""
    sections = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
    assert set(sections) == ALERTS
    assert [name for name, text in sections.items() if "```sh\n" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_pages_install_is_there(page):
    """Each path below deploy/ that a page names."""
    named = re.findall(r"(?<![\w/.])deploy/[\w./*-]*[\w*]", page.read_text())
    assert [path for path in named if not list(TOP.glob(path))] == []


def tried(name: str, machine: Machine, before: str = "") -> CompletedProcess[str]:
    """Does what the page says, line by line, as somebody at a shell does."""
    found = re.search(rf"<!-- tried: {name} -->\n\n```sh\n(.*?)^```", PAGE, re.M | re.S)
    assert found is not None
    return machine.run("bash", "-c", f"{before}\n{found[1]}", check=False)


def given(folder: str) -> str:
    """Which backup, as the page asks for it."""
    where = f"/var/lib/{folder}"
    return f"BACKUP=$(ls -d {where}/2*); CHECKPOINT=$(ls {where}/checkpoint-2*)"


def worked(machine: Machine) -> None:
    machine.run("treegate-admin", "worker", "--once")


def test_a_backup_is_put_back_as_the_page_says_and_one_that_is_too_old_is_seen(machine: Machine):
    """Too old: nothing is carried out, and what is dropped waits. The newest: the story goes on, after `resume`."""
    for number in (0, 1):
        drop(machine, number)
    worked(machine)
    approve(machine, 0)
    worked(machine)
    assert moved(machine, 0)
    assert tried("backup", machine).returncode == 0
    machine.run("mv", "/var/lib/treegate-backups", "/var/lib/older")
    approve(machine, 1)
    worked(machine)
    assert moved(machine, 1)
    assert tried("backup", machine).returncode == 0

    put_back = tried("restore", machine, given("older"))
    assert "error: the database is older than the tree" in put_back.stdout
    machine.run("treegate-admin", "resume")
    drop(machine, 2)
    worked(machine)
    assert (on("pending", machine, 2), list(queue(machine).glob("failed/*"))) == ([], [])

    machine.run("rm", "-r", "/var/lib/treegate", "/var/lib/treegate-before")
    put_back = tried("restore", machine, given("treegate-backups"))
    assert "records, vault, reports and tree tell one story" in put_back.stdout
    assert put_back.returncode == 0, put_back
    worked(machine)
    approve(machine, 2)
    worked(machine)
    assert not moved(machine, 2)
    machine.run("treegate-admin", "resume")
    worked(machine)
    assert moved(machine, 2)
