"""A queue to drop plans into, and a worker's day by hand."""

from __future__ import annotations

from pathlib import Path

from gatework import Office

from treegate.engine.dropbox import Drop
from treegate.gate import Gate
from treegate.gate.queue.heeding import Heeded
from treegate.gate.queue.intake import Taken
from treegate.model.actors import Actor, Role

WORKER = Actor(name="the worker", role=Role.OPERATOR, channel="queue", via="os")


class Queue:
    """The queue of an office."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.folder = self.gate.make_queue()

    @property
    def gate(self) -> Gate:
        """A gate as the worker has it."""
        return self.office.gate.acting_as(WORKER)

    def drop(self, document: str | bytes, name: str = "20260131T120000.123Z-Smith.json") -> Path:
        path = self.folder / name
        path.write_bytes(document.encode() if isinstance(document, str) else document)
        return path

    def take(self) -> list[Taken]:
        """Takes all that was dropped, and what was claimed before."""
        gate = self.gate
        found = [gate.take_claim(id) for id in gate.claims()]
        return found + gate.take_drops(gate.drops())

    def took(self, document: str | bytes, name: str = "20260131T120000.123Z-Smith.json") -> str:
        """The id of a plan that was dropped and taken."""
        self.drop(document, name)
        (taken,) = self.take()
        assert taken.how == "plan", taken
        return taken.id

    def look(self, name: str) -> Drop:
        return next(drop for drop in self.gate.drops() if drop.name == name)

    def at(self, id: str, name: str = "") -> Path:
        """One of a plan's files, wherever it is."""
        (found,) = self.folder.glob(f"*/{id}")
        return found / name if name else found

    def shelf(self, id: str) -> str:
        return self.at(id).parent.name

    def says(self, id: str) -> str:
        """The first word of a status file."""
        return self.at(id, "status").read_text().split()[0]

    def write(self, id: str, word: str, by: str = "rita", comment: str = "", digest: str | None = None) -> None:
        """Edits a status file as a person would."""
        path = self.at(id, "status")
        lines = path.read_text().splitlines()
        lines[0] = word
        lines[1] = lines[1] if digest is None else f"digest: {digest}"
        lines[2:4] = [f"by: {by}", f"comment: {comment}"]
        path.write_text("\n".join(lines) + "\n")

    def heed(self, id: str) -> Heeded:
        return self.gate.heed(id)

    def log(self, id: str) -> str:
        path = self.at(id, "status.log")
        return path.read_text() if path.exists() else ""

    def carry_out(self) -> int:
        """Carries out whatever is due, until nothing is; how many runs."""
        runs = 0
        while due := self.gate.due():
            for job in due:
                self.gate.carry_out(job.run)
                runs += 1
        return runs
