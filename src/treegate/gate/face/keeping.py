"""What is kept and told afterwards: the vault, the log, the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treegate.engine.audit import AuditRow
from treegate.engine.checkpoints import Checkpoint
from treegate.gate import auditing, casebook, chronicle, keeping, searching
from treegate.gate.auditing import Audited, Given
from treegate.gate.casebook import CaseLine
from treegate.gate.chronicle import History
from treegate.gate.face.base import Face
from treegate.gate.keeping import Held, Pruned
from treegate.gate.plans import Submitted
from treegate.gate.searching import LogPage


class Keeping(Face):
    """What is kept and told afterwards: the vault, the log, the audit."""

    def list_vault(self, run: str = "", case: str | None = None) -> list[Held]:
        """What the vault keeps, and when each entry goes."""
        return keeping.listing(self._core, run, case)

    def list_cases(self) -> list[CaseLine]:
        """The cases at a glance, by name."""
        return casebook.cases(self._core)

    def vault_page(self, case: str, start: int = 0, count: int = 100) -> tuple[list[Held], int]:
        """Some of what the vault keeps of a case, newest run first, and how much there is."""
        return casebook.kept_page(self._core, case, start, count)

    def restore(self, run: str, entries: Iterable[int] = (), to: str = "") -> Submitted:
        """Submits a plan that puts kept entries back."""
        return keeping.restore(self._core, run, entries, to)

    def prune(self, *, dry: bool = False, trust_clock: bool = False) -> Pruned:
        """Lets go what retention no longer keeps, and what nothing needs any more."""
        return keeping.prune(self._core, dry=dry, trust_clock=trust_clock)

    def log(self, case: str = "", limit: int = 50, before: int | None = None) -> list[AuditRow]:
        """The newest events, newest first; `before`: only those before a row."""
        return chronicle.events(self._core, case, limit, before)

    def search_log(
        self,
        words: str = "",
        *,
        case: str = "",
        by: str = "",
        event: str = "",
        since: int | None = None,
        until: int | None = None,
        before: int | None = None,
        count: int = 100,
    ) -> LogPage:
        """A page of the events that fit, newest first; `until` is not included."""
        return searching.search(
            self._core,
            words,
            case=case,
            by=by,
            event=event,
            since=since,
            until=until,
            before=before,
            count=count,
        )

    def events_of(self, plan: str, after: int = 0) -> list[AuditRow]:
        """What is logged of a plan after a row, oldest first."""
        return chronicle.events_of(self._core, plan, after)

    def history(self, path: str, case: str = "") -> list[History]:
        """The whole lives of the files that were ever at a path."""
        return chronicle.history(self._core, path, case)

    def audit_head(self) -> int:
        """The number of the newest row of the audit log."""
        return auditing.head(self._core)

    def checkpoint(self) -> Checkpoint:
        """Signs the head of the audit log."""
        return auditing.checkpoint(self._core)

    def verify_audit(self, files: Iterable[Given] = ()) -> Audited:
        """Whether the audit log holds: in itself, and against its checkpoints, stored ones and those given."""
        return auditing.verify(self._core, files)

    def export_audit(self, after: int = 0) -> Iterator[bytes]:
        """The audit log from a row on, each row as a line of JSON without its end."""
        return auditing.export(self._core, after)

    def rekey(self) -> str:
        """Makes a new signing key where the old one is lost; its public half."""
        return auditing.rekey(self._core)
