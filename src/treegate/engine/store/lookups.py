"""Plans and runs looked up by the beginning of their ids, among those that whoever asks may see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from treegate.engine import schema
from treegate.engine.schema import select
from treegate.engine.store.asking import Asking
from treegate.errors import NotFound, UsageError

_SHOWN = 10  # candidates that an ambiguous prefix lists


class Named(NamedTuple):
    """What has ids: how they begin, what people call it, its rows, and which cases each touches."""

    start: str
    word: str
    table: Any
    of: Any  # in the table of cases: whose

    def within(self, cases: Collection[str]) -> Any:
        """The condition that a row touches none but these cases."""
        beyond = (self.of == self.table.c.id) & self.of.table.c.case.not_in(list(cases))
        return ~select(self.of).where(beyond).exists()

    def look_up(self, reader: Asking, prefix: str, within: Collection[str] | None) -> str:
        """The id that is, or alone begins with, `prefix`; raises NotFound or UsageError "ambiguous-id".

        What touches another case than those of `within` is not found, whatever is said of it.
        """
        wanted = prefix.lower()
        wanted = wanted if wanted.startswith(self.start) else self.start + wanted
        if not wanted.isascii() or wanted == self.start:
            raise self.missing(prefix)
        ids = self.table.c.id
        query = select(ids).where(ids.startswith(wanted, autoescape=True))
        if within is not None:
            query = query.where(self.within(within))
        rows = reader.rows(query.order_by(self.table.c.seq.desc()).limit(_SHOWN + 1))
        found = [str(row["id"]) for row in rows]
        if wanted in found or len(found) == 1:
            return wanted if wanted in found else found[0]
        raise self._ambiguous(prefix, found) if found else self.missing(prefix)

    def missing(self, id: str) -> NotFound:
        """What is said where there is none, or none that may be seen."""
        text = f"there is no {self.word} {id}"
        return NotFound(text, code=f"{self.word}-not-found", hint="see what there is", next="treegate list")

    def _ambiguous(self, prefix: str, found: list[str]) -> UsageError:
        more = ", …" if len(found) > _SHOWN else ""
        return UsageError(
            f"{prefix} is the beginning of several {self.word} ids: {', '.join(found[:_SHOWN])}{more}",
            code="ambiguous-id",
            hint="give more of it",
            next="treegate list",
        )


PLANS = Named("pl_", "plan", schema.plans, schema.plan_cases.c.plan)
RUNS = Named("run_", "run", schema.runs, schema.run_cases.c.run)
