"""What is kept and told afterwards, over the wire: the vault, the log, the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from treegate.client.base import Far
from treegate.client.wire import segment
from treegate.engine.audit import AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.gate import auditing
from treegate.gate.auditing import Audited, Given
from treegate.gate.chronicle import History
from treegate.gate.keeping import Held, Pruned
from treegate.gate.leftovers import Leftovers
from treegate.gate.plans import Submitted
from treegate.model.effects import tagged

ENTRIES, EVENTS = 10_000, 500  # rows of a page, at most


class _Held(msgspec.Struct):
    vault: list[Held]
    next: int | None


class _Pruned(msgspec.Struct):
    entries: list[Held]
    folders: list[tuple[str, str]]
    files: list[str]


class Keeping(Far):
    """What is kept and told afterwards, over the wire: the vault, the log, the audit."""

    def list_vault(self, run: str = "", case: str | None = None) -> list[Held]:
        """What the vault keeps, and when each entry goes."""
        found, at = list[Held](), 0
        while True:
            query = {"run": run, "case": case, "cursor": at, "limit": ENTRIES}
            page: _Held = self._wire.get("/vault", _Held, query=query)
            found += page.vault
            if page.next is None:
                return found
            at = page.next

    def restore(self, run: str, entries: Iterable[int] = (), to: str = "") -> Submitted:
        """Submits a plan that puts kept entries back."""
        body = {"run": run, "entries": list(entries), "to": tagged(to)}
        return self._wire.post("/vault/restore", Submitted, body)

    def prune(self, *, dry: bool = False, trust_clock: bool = False) -> Pruned:
        """Lets go what retention no longer keeps, and what nothing needs any more."""
        found: _Pruned = self._wire.post("/vault/prune", _Pruned, {"dry": dry, "trust_clock": trust_clock})
        return Pruned(found.entries, Leftovers(found.folders, [Path(file) for file in found.files]))

    def log(self, case: str = "", limit: int = 50, before: int | None = None) -> list[AuditRow]:
        """The newest events, newest first; `before`: only those before a row."""
        found = list[AuditRow]()
        while len(found) < limit:
            most = min(limit - len(found), EVENTS)
            query = {"case": case, "limit": most, "cursor": before}
            rows: list[AuditRow] = self._wire.get("/audit", list[AuditRow], member="events", query=query)
            found += rows
            if len(rows) < most:
                break
            before = rows[-1].seq
        return found

    def events_of(self, plan: str, after: int = 0) -> list[AuditRow]:
        """What is logged of a plan after a row, oldest first."""
        return self._wire.get(f"/plans/{segment(plan)}/log", list[AuditRow], member="events", query={"after": after})

    def history(self, path: str, case: str = "") -> list[History]:
        """The whole lives of the files that were ever at a path."""
        return self._wire.get("/history", list[History], member="lives", query={"path": path, "case": case})

    def audit_head(self) -> int:
        """The number of the newest row of the audit log."""
        return self._wire.get("/audit/head", int, member="seq")

    def checkpoint(self) -> Checkpoint:
        """Signs the head of the audit log."""
        return self._wire.post("/audit/checkpoint", Checkpoint)

    def verify_audit(self, files: Iterable[Given] = ()) -> Audited:
        """Whether the audit log holds: in itself, and against its checkpoints, stored ones and those given."""
        given = [{"name": name, "checkpoint": one} for name, one in auditing.read(files)]
        return self._wire.post("/audit/verify", Audited, {"checkpoints": given})

    def export_audit(self, after: int = 0) -> Iterator[bytes]:
        """The audit log from a row on, each row as a line of JSON without its end."""
        return self._wire.lines("/audit/export", {"after": after})

    def rekey(self) -> str:
        """Makes a new signing key where the old one is lost; its public half."""
        return self._wire.post("/audit/rekey", str, member="public_key")
