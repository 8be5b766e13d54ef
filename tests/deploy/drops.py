"""Plans dropped into the queue of a test's machine, by number, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path

from machine import Machine


def drop(machine: Machine, number: int) -> None:
    """Drops a plan, as an agent does."""
    operations = [{"op": "move", "from": f"{number}.txt", "to": "Moved/"}]
    plan = json.dumps({"version": 1, "case": "Smith", "title": f"{number}", "operations": operations})
    name = f"/mnt/workspace/Database/reorg_queue/{number}-Smith.json"
    machine.run("runuser", "-u", "agent", "--", "sh", "-c", f"cat > {name}", stdin=plan)


def queue(machine: Machine) -> Path:
    return machine.workspace / "Database/reorg_queue"


def on(shelf: str, machine: Machine, number: int) -> list[Path]:
    """A dropped plan's folder, where it is on a shelf and all was said of it."""
    plans = [path.parent for path in queue(machine).glob(f"{shelf}/*/plan.json") if (path.parent / "status").exists()]
    return [path for path in plans if json.loads((path / "plan.json").read_text())["title"] == f"{number}"]


def approve(machine: Machine, number: int) -> None:
    """Approves a plan in its status file, as root."""
    [plan] = on("pending", machine, number)
    status = plan / "status"
    word, *rest = status.read_text().splitlines(keepends=True)
    assert word == "pending\n"
    status.write_text("".join(["approved\n", *rest]).replace("by:", "by: rita"))


def moved(machine: Machine, number: int) -> bool:
    return bool(on("done", machine, number)) and (machine.workspace / f"projects/Smith/Moved/{number}.txt").exists()
