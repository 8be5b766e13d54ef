"""Everything that can be asked of the store; the same questions inside a transaction and outside one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from treegate.engine import packing, schema
from treegate.engine.schema import Select, damaged, func, select
from treegate.engine.store import queries
from treegate.engine.store.asking import Asking, Record
from treegate.engine.store.lookups import PLANS, RUNS, Named
from treegate.engine.store.records import (
    CHUNK,
    Decision,
    Kept,
    Meta,
    Revision,
    Run,
    StoredPlan,
    StoredPreview,
    VaultState,
    Verdict,
)
from treegate.errors import NotFound
from treegate.model.daily import Deed, Share
from treegate.model.lifecycle import AS_PREVIEWED, LIVE, State

_TOGETHER = 50  # chunks read by one query


class Reader(Asking):
    """The questions."""

    # -- the database itself

    def meta(self) -> Meta:
        """Which workspace this is; raises NotVerified if the database was never given one."""
        values: dict[str, str] = dict(map(tuple, self.asked(queries.META)))
        if not {"workspace", "state", "generation"} <= values.keys():
            raise damaged("it does not say which workspace it belongs to")
        policy, trusts = values.get("policy", ""), values.get("trusts", "") == "yes"
        sandbox = values.get("sandbox", "")
        return Meta(values["workspace"], values["state"], int(values["generation"]), policy, sandbox, trusts)

    # -- plans

    def plan(self, id: str) -> StoredPlan:
        """The plan of exactly this id; raises NotFound."""
        return _found(self.one(queries.PLAN, StoredPlan, id=id), PLANS, id)

    def find_plan(self, prefix: str, within: tuple[str, ...] | None = None) -> StoredPlan:
        """The plan whose id is, or alone begins with, `prefix`, of none but the cases `within`.

        Raises NotFound or UsageError "ambiguous-id".
        """
        return self.recalled(("plan", prefix, within), lambda: self._find_plan(prefix, within))

    def _find_plan(self, prefix: str, within: tuple[str, ...] | None) -> StoredPlan:
        whole = self.one(queries.PLAN, StoredPlan, id=prefix) if prefix.isascii() else None  # mostly no prefix at all
        if whole is not None and (within is None or set(whole.cases) <= set(within)):
            return whole
        return self.plan(PLANS.look_up(self, prefix, within))

    def newest_plan(self, case: str) -> str | None:
        """The id of the newest plan of a case."""
        return next((id for (id,) in self.asked(queries.NEWEST_PLAN, case=case)), None)

    def list_plans(
        self,
        states: Iterable[State] = (),
        case: str | None = None,
        limit: int = 50,
        cursor: int | None = None,
        within: Collection[str] | None = None,
    ) -> tuple[list[StoredPlan], int | None]:
        """Plans, newest first, and the cursor of the next page (None: that was all).

        With `within`, only those that touch none but these cases.
        """
        table = schema.plans
        query = _plans_in(table.select(), states, case, within).order_by(table.c.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(table.c.seq < cursor)
        found = self.all(query, StoredPlan)
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def lapsing(self, after: int, until: int) -> list[StoredPlan]:
        """The approved plans whose approvals run out between two times, oldest plan first."""
        table = schema.plans
        soon = (table.c.expires_at > after) & (table.c.expires_at <= until)
        query = table.select().where((table.c.state == State.APPROVED.value) & soon)
        return self.all(query.order_by(table.c.seq), StoredPlan)

    def count_plans(
        self, states: Iterable[State] = (), case: str | None = None, within: Collection[str] | None = None
    ) -> int:
        """How many plans there are, counted as `list_plans` lists them."""
        query = _plans_in(select(func.count()).select_from(schema.plans), states, case, within)
        return int(next(iter(self.rows(query)[0].values())))

    def count_by_case(self, states: Iterable[State]) -> dict[str, int]:
        """How many plans in some states touch each case; cases without any are left out."""
        plans, of = schema.plans, schema.plan_cases
        query = select(of.c.case, func.count()).join_from(of, plans, of.c.plan == plans.c.id).group_by(of.c.case)
        rows = self.tuples(query.where(plans.c.state.in_([state.value for state in states])))
        return {str(case): int(count) for case, count in rows}

    def revisions(self, plan: str) -> list[Revision]:
        """The revisions of a plan, oldest first."""
        return self.found(queries.REVISIONS, Revision, plan=plan)

    def document(self, plan: str, revision: int) -> bytes:
        """The JSON of a revision, as it was handed in; raises NotFound."""
        rows = self.asked(queries.DOCUMENT, plan=plan, revision=revision)
        if not rows and 0 < revision <= self.plan(plan).revision:
            raise damaged(f"revision {revision} of plan {plan} is missing")
        if not rows:
            raise NotFound(f"plan {plan} has no revision {revision}", next=f"treegate show {plan}")
        return unpacked(rows[0][0])

    # -- previews

    def preview(self, plan: str, revision: int | None = None) -> StoredPreview | None:
        """The newest preview of a plan's revision (None: the current one); None if there is none yet."""
        return self.recalled(("preview", plan, revision), lambda: self._preview(plan, revision))

    def _preview(self, plan: str, revision: int | None) -> StoredPreview | None:
        if revision is None:
            return self.one(queries.NEWEST_PREVIEW, StoredPreview, plan=plan)
        return self.one(queries.PREVIEW, StoredPreview, plan=plan, revision=revision)

    def approved_preview(self, plan: str) -> StoredPreview | None:
        """The preview of a plan that somebody approved last, whether or not that still stands."""
        decisions, previews = schema.decisions, schema.previews
        approved = (decisions.c.plan == plan) & (decisions.c.verdict == Verdict.APPROVE.value)
        query = select(*queries.PREVIEW_HEAD).join(decisions, decisions.c.preview == previews.c.seq).where(approved)
        return self.first(query.order_by(decisions.c.seq.desc()), StoredPreview)

    def preview_of(self, seq: int) -> StoredPreview | None:
        """The preview of exactly this number."""
        return self.one(queries.PREVIEW_OF, StoredPreview, seq=seq)

    def previews(self, plan: str) -> list[StoredPreview]:
        """Every preview of a plan, of all its revisions, oldest first."""
        return self.found(queries.PREVIEWS, StoredPreview, plan=plan)

    def model(self, preview: StoredPreview) -> bytes:
        """A preview's model, without its effects."""
        rows = self.asked(queries.MODEL, seq=preview.seq)
        if not rows:
            raise damaged(f"preview {preview.seq} is missing")
        return unpacked(rows[0][0])

    def chunk(self, preview: StoredPreview, n: int) -> bytes:
        """The n-th chunk, from 0: a JSON array of up to CHUNK effects, ready to be sent; b"[]" past the end."""
        found = self._chunks(preview, n, n)
        return unpacked(found[0]) if found else b"[]"

    def effects_page(self, preview: StoredPreview, start: int, count: int) -> list[bytes]:
        """The JSON of each of `count` effects from `start` on, in display order; fewer at the end."""
        first, last = start // CHUNK, (start + max(count, 1) - 1) // CHUNK
        effects: list[bytes] = []
        for data in map(unpacked, self._chunks(preview, first, last)):
            effects += [bytes(raw) for raw in _ARRAY.decode(data)]
        return effects[start - first * CHUNK :][:count]

    def effects(self, preview: StoredPreview) -> Iterator[bytes]:
        """The JSON of every effect, in display order."""
        for data in self.every_chunk(preview):
            yield from (bytes(raw) for raw in _ARRAY.decode(data))

    def every_chunk(self, preview: StoredPreview) -> Iterator[bytes]:
        """The effects as JSON arrays of 100; some are held at a time, for a query costs more than a chunk."""
        return map(unpacked, self.packed_chunks(preview))

    def packed_chunks(self, preview: StoredPreview) -> Iterator[bytes]:
        """As `every_chunk`, each as it is stored (engine.packing)."""
        for first in range(0, -(-preview.effects // CHUNK), _TOGETHER):
            yield from self._chunks(preview, first, first + _TOGETHER - 1)

    def chunks(self, preview: StoredPreview, numbers: Iterable[int]) -> dict[int, bytes]:
        """Some chunks, by their numbers, as `chunk` gives them."""
        table, wanted = schema.chunks, list(numbers)
        query = select(table.c.n, table.c.data).where((table.c.preview == preview.seq) & table.c.n.in_(wanted))
        found = {row["n"]: unpacked(row["data"]) for row in self.rows(query)}
        if len(found) < len(wanted):
            raise damaged(f"effects of preview {preview.seq} are missing")
        return found

    def _chunks(self, preview: StoredPreview, first: int, last: int) -> list[bytes]:
        rows = self.asked(queries.CHUNKS, preview=preview.seq, first=first, last=last)
        found = [data for (data,) in rows]
        expected = min(last + 1, -(-preview.effects // CHUNK)) - first
        if len(found) < expected:
            raise damaged(f"effects of preview {preview.seq} are missing")
        return found

    # -- decisions

    def decisions(self, plan: str, digest: str | None = None) -> list[Decision]:
        """What reviewers said of a plan, or of one digest of it, oldest first."""
        if digest is None:
            return self.found(queries.DECISIONS, Decision, plan=plan)
        return self.found(queries.DECISIONS_OF, Decision, plan=plan, digest=digest)

    def decisions_on(self, preview: int) -> list[Decision]:
        """What reviewers said of one preview, oldest first."""
        return self.found(queries.DECISIONS_ON, Decision, preview=preview)

    def rejected_digest(self, digest: str) -> Decision | None:
        """The rejection of this digest, of a preview or of a plan's document, whatever plan it was part of."""
        return self.one(queries.REJECTED, Decision, digest=digest)

    # -- runs

    def run(self, id: str) -> Run:
        """The run of exactly this id; raises NotFound."""
        return _found(self.known_run(id), RUNS, id)

    def known_run(self, id: str) -> Run | None:
        """The run of exactly this id, if there is one."""
        return self.one(queries.RUN, Run, id=id) if id.isascii() else None

    def find_run(self, prefix: str, within: tuple[str, ...] | None = None) -> Run:
        """The run of a prefix, as `find_plan` finds plans."""
        return self.run(RUNS.look_up(self, prefix, within))

    def runs(
        self,
        states: Iterable[State] = (),
        plan: str | None = None,
        case: str | None = None,
        limit: int | None = None,
        cursor: int | None = None,
        within: Collection[str] | None = None,
    ) -> list[Run]:
        """Runs, newest first: with `cursor`, those before that one; with `within`, of none but these cases."""
        if plan is not None and not states and {case, limit, cursor} == {None} and within is None:
            return self.found(queries.RUNS_OF, Run, plan=plan)
        table, wanted = schema.runs, [state.value for state in states]
        query = table.select().order_by(table.c.seq.desc()).limit(limit)
        if wanted:
            query = query.where(table.c.state.in_(wanted))
        if plan is not None:
            query = query.where(table.c.plan == plan)
        if case is not None:
            query = query.where(table.c.id.in_(_of_case(schema.run_cases.c.run, case)))
        if cursor is not None:
            query = query.where(table.c.seq < cursor)
        if within is not None:
            query = query.where(RUNS.within(within))
        return self.all(query, Run)

    def unfinished(self, cases: Iterable[str] | None = None) -> list[Run]:
        """Runs under way or stopped midway, oldest first; of `cases` only, where given."""
        found = self.found(queries.UNFINISHED_RUNS, Run)
        wanted = None if cases is None else set(cases)
        return [run for run in found if wanted is None or wanted & set(run.cases)]

    def last_run(self, case: str | None = None) -> Run | None:
        """The newest run, of a case where given."""
        return next(iter(self.runs(case=case, limit=1)), None)

    def run_of(self, preview: int) -> Run | None:
        """The run that applied a preview."""
        return self.one(queries.RUN_OF, Run, preview=preview)

    def undone_effects(self, run: str) -> list[str]:
        """The ids of a run's effects that later runs took back."""
        return [effect for (effect,) in self.asked(queries.UNDONE, run=run)]

    def count_undone(self, run: str) -> int:
        """How many of a run's effects later runs took back."""
        return self.count(schema.undone, schema.undone.c.run == run)

    # -- the limits of a day

    def deeds(self, author: str, case: str, *, since: int) -> list[Deed]:
        """What an author's runs took away from a case after `since`, but for those that were undone."""
        table, runs = schema.tallies, schema.runs
        query = table.select().join(runs, runs.c.id == table.c.run).order_by(table.c.at)
        query = query.where((table.c.author == author) & (table.c.case == case) & (table.c.at > since))
        rows = self.rows(query.where(runs.c.state != State.UNDONE.value))
        names = ("deletes", "delete_bytes", "replacements")
        return [Deed(row["run"], row["at"], Share(case=case, **{name: row[name] for name in names})) for row in rows]

    def waiting_shares(self, author: str, case: str, *, but: str) -> Iterator[Deed]:
        """What an author's plans would take away from a case, that wait or are under way; `but` is left out."""
        plans, revisions, previews = schema.plans, schema.revisions, schema.previews
        written = (revisions.c.plan == plans.c.id) & (revisions.c.revision == plans.c.revision)
        query = select(plans.c.id, plans.c.created_at, previews.c.model)
        query = query.join(revisions, written).join(previews, previews.c.seq == plans.c.preview)
        query = query.where((revisions.c.author == author) & (plans.c.id != but) & plans.c.undo_of.is_(None))
        query = query.where(plans.c.state.in_([state.value for state in AS_PREVIEWED]))
        for row in self.rows(query.where(plans.c.id.in_(_of_case(schema.plan_cases.c.plan, case)))):
            for share in _SHARES.decode(unpacked(row["model"])).by_case:
                if share.case == case:
                    yield Deed(row["id"], row["created_at"], share)

    # -- vault

    def vault(
        self, run: str | None = None, case: str | None = None, state: VaultState | None = VaultState.KEPT
    ) -> list[Kept]:
        """What the vault holds (state None: also what it held), newest run first, by entry."""
        if run is not None and case is None and state is VaultState.KEPT:
            return self.found(queries.KEPT_OF, Kept, run=run)
        table = schema.vault
        query = table.select().join(schema.runs, schema.runs.c.id == table.c.run)
        for column, value in ((table.c.run, run), (table.c.case, case), (table.c.state, state)):
            if value is not None:
                query = query.where(column == value)
        return self.all(query.order_by(schema.runs.c.seq.desc(), table.c.entry), Kept)

    def kept_among(self, run: str, first: int, end: int) -> dict[int, Kept]:
        """What a run's vault still holds of its entries from `first` to before `end`, by number."""
        found = self.found(queries.KEPT_AMONG, Kept, run=run, first=first, end=end)
        return {kept.entry: kept for kept in found}

    def named(self) -> dict[tuple[str, int], str]:
        """The vault entries (run, entry) that a plan which may still be carried out would take out, and its id."""
        claims, plans = schema.claims, schema.plans
        query = select(claims.c.run, claims.c.entry, plans.c.id).join(plans, plans.c.id == claims.c.plan)
        rows = self.rows(query.where(plans.c.state.in_([state.value for state in LIVE])).order_by(plans.c.seq))
        return {(row["run"], row["entry"]): row["id"] for row in rows}

    def latest(self) -> int:
        """The latest time on record (ms): of the newest event, or of anything kept."""
        newest = select(schema.audit.c.at).order_by(schema.audit.c.seq.desc()).limit(1)
        kept = select(func.max(schema.vault.c.kept_at)).where(schema.vault.c.state == VaultState.KEPT.value)
        return max(
            (value or 0 for query in (newest, kept) for row in self.rows(query) for value in row.values()), default=0
        )

    def kept(self, run: str, entry: int) -> Kept | None:
        """One entry of a run's vault, whatever became of it."""
        table = schema.vault
        return self.first(table.select().where((table.c.run == run) & (table.c.entry == entry)), Kept)


class _Shares(msgspec.Struct):
    """What of a preview's model the limits of a day need."""

    by_case: list[Share] = []


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_SHARES = msgspec.json.Decoder(_Shares)


def unpacked(data: bytes) -> bytes:
    """A stored document, model or chunk; NotVerified "database-damaged" where it is none."""
    try:
        return packing.unpacked(data)
    except ValueError as error:
        raise damaged(f"a stored document does not unpack: {error}") from error


def _plans_in(
    query: Select[Any], states: Iterable[State], case: str | None, within: Collection[str] | None
) -> Select[Any]:
    """A query on plans, only those in some states (none: all), of a case, and of none but the cases `within`."""
    table, wanted = schema.plans, [state.value for state in states]
    if wanted:
        query = query.where(table.c.state.in_(wanted))
    if within is not None:
        query = query.where(PLANS.within(within))
    return query if case is None else query.where(table.c.id.in_(_of_case(schema.plan_cases.c.plan, case)))


def _of_case(column: Any, case: str) -> Select[Any]:
    return select(column).where(column.table.c.case == case)


def _found(record: Record | None, named: Named, id: str) -> Record:
    if record is None:
        raise named.missing(id)
    return record
