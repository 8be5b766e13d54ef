"""Writing plans, their revisions and previews, and what reviewers decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from treegate.engine import schema
from treegate.engine.audit import Json
from treegate.engine.packing import packed
from treegate.engine.store import queries
from treegate.engine.store.records import (
    By,
    Decision,
    Revision,
    StoredPlan,
    StoredPreview,
    Verdict,
)
from treegate.engine.store.writer import Writer, names
from treegate.errors import Denied, Rejected, Stale
from treegate.model.footprint import Print
from treegate.model.lifecycle import AS_PREVIEWED, Event, State, next_state, refusal

Claim = tuple[str, int]  # run and entry of something in a vault that a plan would restore

_EVENTS = {
    Verdict.APPROVE: Event.APPROVE,
    Verdict.REJECT: Event.REJECT,
    Verdict.REQUEST_CHANGES: Event.REQUEST_CHANGES,
    Verdict.REVOKE: Event.REVOKE,
}
_SPENT = frozenset({State.EXPIRED, State.STALE, State.ROLLED_BACK, State.WITHDRAWN})
"""States of a plan in which what was said of its preview counts no more, so that saying it again does not help."""


class PlanWrites(Writer):
    """The writes before a run."""

    def add_plan(
        self,
        id: str,
        *,
        cases: Iterable[str],
        title: str,
        document: bytes,
        plan_digest: str,
        by: By,
        undo_of: str | None = None,
        claims: Iterable[Claim] = (),
    ) -> StoredPlan:
        """Store a plan as a draft, revision 1; its author is `by`."""
        sorted_cases = tuple(sorted(cases))
        values = {
            "id": id,
            "cases": sorted_cases,
            "title": title,
            "author": by.actor,
            "state": State.DRAFT.value,
            "revision": 1,
            "undo_of": undo_of,
            "created_at": by.at,
            "updated_at": by.at,
        }
        self.insert(schema.plans, values)
        self._scope(id, sorted_cases, claims)
        self._add_document(id, 1, document, plan_digest, by)
        data: dict[str, Json] = {"revision": 1, "plan_digest": plan_digest, "cases": names(sorted_cases)}
        self.log("submitted", by, plan=id, data=data)
        return self.plan(id)

    def add_revision(
        self,
        plan_id: str,
        *,
        cases: Iterable[str],
        title: str,
        document: bytes,
        plan_digest: str,
        by: By,
        author: str = "",
        reduces: str = "",
        expected: int | None = None,
        claims: Iterable[Claim] = (),
    ) -> Revision:
        """Store a new version of a plan, which starts undecided; its author is `by`, unless another is named.

        `reduces` is the digest of the preview of which this version leaves something out. Raises Stale
        "revision-not-current" unless `expected` (where given) is the newest revision.
        """
        plan = self.plan(plan_id)
        if expected is not None and expected != plan.revision:
            raise _revised_since(plan, expected)
        revision, sorted_cases = plan.revision + 1, tuple(sorted(cases))
        self.change(
            plan,
            Event.REVISE,
            by,
            revision=revision,
            title=title,
            cases=sorted_cases,
            preview=None,
            digest=None,
            expires_at=None,
        )
        self._scope(plan_id, sorted_cases, claims)
        self._add_document(plan_id, revision, document, plan_digest, by._replace(actor=author or by.actor))
        data: dict[str, Json] = {"revision": revision, "plan_digest": plan_digest, "cases": names(sorted_cases)}
        if reduces:
            data["of"] = reduces
        self.log("reduced" if reduces else "revised", by, plan=plan_id, data=data)
        return self.revisions(plan_id)[-1]

    def rescope(self, plan_id: str, cases: Iterable[str], expected: int) -> None:
        """Say anew which cases a plan touches, found by another look at it; raises as `add_revision`."""
        plan, sorted_cases = self.plan(plan_id), tuple(sorted(cases))
        if expected != plan.revision:
            raise _revised_since(plan, expected)
        table = schema.plans
        self.execute(table.update().where(table.c.id == plan_id).values(cases=sorted_cases))
        self._scope_cases(plan_id, sorted_cases)

    def add_preview(
        self,
        plan_id: str,
        *,
        digest: str,
        table_digest: str,
        model: bytes,
        effects: int,
        chunks: Iterable[bytes],
        valid: bool,
        by: By,
        prints: Iterable[Print] = (),
    ) -> StoredPreview:
        """Store what a reviewer will see of the newest revision; the plan becomes pending, or invalid.

        Each chunk is a JSON array of `CHUNK` effects, the last one of what is left; `prints` is their footprint. A
        preview that is the current one already, undecided or approved, is left as it is. Raises Rejected
        "already-rejected" for a digest that a reviewer turned down before, in this plan or another.
        """
        plan = self.plan(plan_id)
        if plan.digest == digest and plan.state in {State.PENDING, State.APPROVED}:
            return self._current(plan)
        if valid:
            self.refuse_rejected(digest)
        event = Event.PREVIEW if valid else Event.FIND_ERRORS
        next_state(plan.state, event, plan_id)
        seq = self._add_model(
            chunks,
            plan=plan_id,
            revision=plan.revision,
            digest=digest,
            table_digest=table_digest,
            effects=effects,
            model=packed(model),
            created_at=by.at,
        )
        if plan.state in AS_PREVIEWED:
            self.lift_footprint(plan)
        self.change(plan, event, by, preview=seq, digest=digest, expires_at=None)
        if valid:
            self.set_footprint(plan, prints)
        data: dict[str, Json] = {"revision": plan.revision, "digest": digest, "effects": effects, "valid": valid}
        self.log("previewed", by, plan=plan_id, data=data)
        return self._current(self.plan(plan_id))

    def _add_model(self, chunks: Iterable[bytes], **columns: object) -> int:
        """The rows of one preview: its model, and its effects in chunks."""
        seq = self.inserted(schema.previews.insert().values(columns))
        rows = ({"preview": seq, "n": n, "data": packed(data)} for n, data in enumerate(chunks))
        self.insert_many(schema.chunks, rows)
        return seq

    def set_state(
        self,
        plan_id: str,
        event: Event,
        by: By,
        *,
        data: Mapping[str, Json] | None = None,
        expires_at: int | None = None,
    ) -> StoredPlan:
        """Let something happen to a plan that is nobody's decision on a digest: withdraw, expire, go stale, …

        APPROVE stands here for approval by policy, where no reviewer is asked. Raises the refusal of the state.
        """
        plan = self.plan(plan_id)
        columns = {"expires_at": expires_at} if event is Event.APPROVE else {}
        state = self.change(plan, event, by, **columns)
        self.log(event.value, by, plan=plan_id, data={"from": plan.state.value, "to": state.value, **(data or {})})
        return self.plan(plan_id)

    def expire_due(self, by: By) -> list[str]:
        """Turn approvals whose time has run out at `by.at` into `expired`; the ids of their plans."""
        found = [id for (id,) in self.asked(queries.EXPIRED, at=by.at)]
        for id in found:
            self.set_state(id, Event.EXPIRE, by)
        return found

    def decide(
        self,
        plan_id: str,
        *,
        digest: str,
        verdict: Verdict,
        by: By,
        comment: str = "",
        enough: Callable[[list[Decision]], bool] | None = None,
        expires_at: int | None = None,
        sample: int | None = None,
        pins: str | None = None,
    ) -> Decision:
        """Record what the reviewer `by` says of the current preview.

        An approval approves the plan once `enough` says so of all decisions on the preview, this one included (None:
        one is enough). Saying the same again changes nothing (a double click), as long as it counts. Any rejection
        wins, and so does a revoke. `sample` and `pins` are kept with it. Raises Stale "digest-not-current", Denied
        "already-decided" or "nothing-to-revoke", Rejected "already-rejected" for an approval of what was turned down
        in another plan, or the refusal of the plan's state.
        """
        plan = self.plan(plan_id)
        if plan.preview is None:
            raise refusal(plan.state, _EVENTS[verdict], plan_id)
        if digest != plan.digest:
            raise _not_current(plan, digest)
        before = self.decisions_on(plan.preview)
        own = [d for d in before if d.reviewer == by.actor]
        if own and own[-1].verdict is verdict:
            if plan.state in _SPENT:
                raise refusal(plan.state, _EVENTS[verdict], plan_id)
            return own[-1]
        _check_once(plan, own, verdict)
        if verdict is Verdict.APPROVE and plan.state in {State.PENDING, State.APPROVED}:
            self.refuse_rejected(digest)
        decision = self._add_decision(plan, plan.preview, digest, verdict, comment, by, sample, pins)
        if verdict is not Verdict.APPROVE:
            self.change(plan, _EVENTS[verdict], by, expires_at=None)
        elif plan.state is not State.PENDING or enough is None or enough([*before, decision]):
            expiry = plan.expires_at if plan.state is State.APPROVED else expires_at
            self.change(plan, Event.APPROVE, by, expires_at=expiry)
        return decision

    def refuse_rejected(self, digest: str) -> None:
        """Raises Rejected "already-rejected" for a digest that a reviewer turned down, in whatever plan."""
        if rejection := self.rejected_digest(digest):
            raise _already_rejected(rejection)

    def _add_decision(
        self,
        plan: StoredPlan,
        preview: int,
        digest: str,
        verdict: Verdict,
        comment: str,
        by: By,
        sample: int | None,
        pins: str | None,
    ) -> Decision:
        plan_digest = self.revisions(plan.id)[-1].plan_digest
        self.execute(
            schema.decisions.insert().values(
                plan=plan.id,
                revision=plan.revision,
                preview=preview,
                digest=digest,
                plan_digest=plan_digest,
                reviewer=by.actor,
                role=by.role,
                verdict=verdict.value,
                comment=comment,
                channel=by.channel,
                at=by.at,
                sample=sample,
                pins=pins,
            )
        )
        decision = self.decisions_on(preview)[-1]
        data: dict[str, Json] = {"digest": digest, "role": by.role, "comment": decision.comment}
        if sample is not None:
            data["sample"] = sample
        if pins is not None:
            data["pins"] = pins
        self.log(verdict.value, by, plan=plan.id, data=data)
        return decision

    def _add_document(self, plan_id: str, revision: int, document: bytes, plan_digest: str, by: By) -> None:
        values = {
            "plan": plan_id,
            "revision": revision,
            "plan_digest": plan_digest,
            "document": packed(document),
            "author": by.actor,
            "created_at": by.at,
        }
        self.insert(schema.revisions, values)

    def _scope(self, plan_id: str, cases: tuple[str, ...], claims: Iterable[Claim]) -> None:
        """Say anew which cases a plan touches, and what it would take out of a vault."""
        self._scope_cases(plan_id, cases)
        self.delete(schema.claims, plan=plan_id)
        self.insert_many(
            schema.claims, ({"plan": plan_id, "run": run, "entry": entry} for run, entry in sorted(set(claims)))
        )

    def _scope_cases(self, plan_id: str, cases: tuple[str, ...]) -> None:
        before = [case for (case,) in self.asked(queries.CASES_OF_PLAN, plan=plan_id)]
        self.touched.left.update((plan_id, case) for case in before if case not in cases)
        self.delete(schema.plan_cases, plan=plan_id)
        self.insert_many(schema.plan_cases, ({"plan": plan_id, "case": case} for case in cases))

    def _current(self, plan: StoredPlan) -> StoredPreview:
        preview = self.preview(plan.id)
        if preview is None or preview.seq != plan.preview:
            raise schema.damaged(f"the preview of plan {plan.id} is missing")
        return preview


def _check_once(plan: StoredPlan, own: list[Decision], verdict: Verdict) -> None:
    """Each reviewer decides once a digest; only an approval can be taken back."""
    if verdict is Verdict.REVOKE:
        if not own or own[-1].verdict is not Verdict.APPROVE:
            raise Denied(
                f"there is no approval of plan {plan.id} of yours to take back",
                code="nothing-to-revoke",
                hint="reject the plan if it must not be applied",
                next=f"treegate reject {plan.id} --comment WHY",
            )
    elif own and plan.state in {State.PENDING, State.APPROVED, State.CHANGES_REQUESTED}:
        approved = own[-1].verdict is Verdict.APPROVE
        raise Denied(
            f"you have decided on this digest of plan {plan.id} already ({own[-1].verdict})",
            code="already-decided",
            hint="take your approval back if it must not be applied" if approved else "a revision is decided on anew",
            next=f"treegate revoke {plan.id}" if approved else f"treegate show {plan.id}",
        )


def _not_current(plan: StoredPlan, digest: str) -> Stale:
    return Stale(
        f"{digest[:12]} is not the current digest of plan {plan.id}; that is {(plan.digest or 'none')[:12]}",
        code="digest-not-current",
        hint="look at the plan as it is now, then decide on that",
        next=f"treegate show {plan.id}",
    )


def _revised_since(plan: StoredPlan, expected: int) -> Stale:
    return Stale(
        f"plan {plan.id} is at revision {plan.revision}, not {expected}",
        code="revision-not-current",
        hint="read the newest revision and change that",
        next=f"treegate show {plan.id}",
    )


def _already_rejected(rejection: Decision) -> Rejected:
    reason = f": {rejection.comment}" if rejection.comment else ""
    return Rejected(
        f"{rejection.reviewer} rejected exactly this before, in plan {rejection.plan}{reason}",
        code="already-rejected",
        hint="change what was objected to; the same changes cannot be submitted again",
        next=f"treegate show {rejection.plan}",
    )
