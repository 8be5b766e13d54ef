"""The questions that are asked many times for one plan or run, prepared."""

from __future__ import annotations

from treegate.engine import schema
from treegate.engine.schema import Prepared, bind, select
from treegate.engine.store.records import Revision, StoredPreview, VaultState, Verdict
from treegate.model.lifecycle import UNFINISHED, State

PREVIEW_HEAD = [schema.previews.c[name] for name in StoredPreview.__struct_fields__]
REVISION_HEAD = [schema.revisions.c[name] for name in Revision.__struct_fields__]

_plans, _revisions, _previews, _chunks = schema.plans.c, schema.revisions.c, schema.previews.c, schema.chunks.c
_decisions, _runs, _of = schema.decisions.c, schema.runs.c, schema.plan_cases.c

META = Prepared(select(schema.meta.c.key, schema.meta.c.value))

PLAN = Prepared(schema.plans.select().where(_plans.id == bind("id")))
NEWEST_PLAN = Prepared(
    select(_plans.id)
    .where(_plans.id.in_(select(_of.plan).where(_of.case == bind("case"))))
    .order_by(_plans.seq.desc())
    .limit(1)
)
CASES_OF_PLAN = Prepared(select(_of.case).where(_of.plan == bind("plan")))
EXPIRED = Prepared(
    select(_plans.id)
    .where((_plans.state == State.APPROVED.value) & (_plans.expires_at <= bind("at")))
    .order_by(_plans.seq)
)
REVISIONS = Prepared(select(*REVISION_HEAD).where(_revisions.plan == bind("plan")).order_by(_revisions.revision))
DOCUMENT = Prepared(
    select(_revisions.document).where((_revisions.plan == bind("plan")) & (_revisions.revision == bind("revision")))
)

_of_plan = select(*PREVIEW_HEAD).where(_previews.plan == bind("plan"))
_current = select(_plans.revision).where(_plans.id == bind("plan")).scalar_subquery()
_newest = _of_plan.order_by(_previews.seq.desc()).limit(1)
NEWEST_PREVIEW = Prepared(_newest.where(_previews.revision == _current))
PREVIEW = Prepared(_newest.where(_previews.revision == bind("revision")))
PREVIEW_OF = Prepared(select(*PREVIEW_HEAD).where(_previews.seq == bind("seq")))
PREVIEWS = Prepared(_of_plan.order_by(_previews.seq))
MODEL = Prepared(select(_previews.model).where(_previews.seq == bind("seq")))
CHUNKS = Prepared(
    select(_chunks.data)
    .where((_chunks.preview == bind("preview")) & _chunks.n.between(bind("first"), bind("last")))
    .order_by(_chunks.n)
)

_said = schema.decisions.select().order_by(_decisions.seq)
DECISIONS = Prepared(_said.where(_decisions.plan == bind("plan")))
DECISIONS_OF = Prepared(_said.where((_decisions.plan == bind("plan")) & (_decisions.digest == bind("digest"))))
DECISIONS_ON = Prepared(_said.where(_decisions.preview == bind("preview")))
REJECTED = Prepared(
    schema.decisions.select()
    .where(_decisions.verdict == Verdict.REJECT.value)
    .where((_decisions.digest == bind("digest")) | (_decisions.plan_digest == bind("digest")))
    .order_by(_decisions.seq.desc())
    .limit(1)
)

RUN = Prepared(schema.runs.select().where(_runs.id == bind("id")))
RUN_OF = Prepared(schema.runs.select().where(_runs.preview == bind("preview")))
RUNS_OF = Prepared(schema.runs.select().where(_runs.plan == bind("plan")).order_by(_runs.seq.desc()))
UNFINISHED_RUNS = Prepared(
    schema.runs.select().where(_runs.state.in_([state.value for state in UNFINISHED])).order_by(_runs.seq)
)
UNDONE = Prepared(select(schema.undone.c.effect).where(schema.undone.c.run == bind("run")))

_kept = (schema.vault.c.run == bind("run")) & (schema.vault.c.state == VaultState.KEPT.value)
KEPT_OF = Prepared(schema.vault.select().where(_kept).order_by(schema.vault.c.entry))
_among = (schema.vault.c.entry >= bind("first")) & (schema.vault.c.entry < bind("end"))
KEPT_AMONG = Prepared(schema.vault.select().where(_kept & _among))
