"""What projections say: a plan, its preview, its whole history, and each mutation of a run with its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from treegate.engine import audit, receipts
from treegate.engine.store.records import Decision, Revision, Run, StoredPlan, StoredPreview, Verdict, standing
from treegate.engine.vault import timestamp
from treegate.gate import origins, overlapping, plans
from treegate.gate.core import Core
from treegate.model.document import inert
from treegate.model.effects import Text, tagged
from treegate.model.lifecycle import State
from treegate.model.plan import Plan
from treegate.render import markdown, words

FORMAT = 1
LARGE = 32 << 20  # bytes of a plan whose own table is left out of its preview, which could show the least part of it
_RESULTS = {  # of the effects of a run that has no receipt
    State.APPLYING: "under way",
    State.NEEDS_RECOVERY: "in doubt",
    State.ROLLED_BACK: "taken back",
    State.STALE: "not begun",
}
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


def document(core: Core, plan: StoredPlan) -> Iterator[bytes]:
    """The newest revision's document, byte for byte as it was handed in."""
    yield core.store.document(plan.id, plan.revision)


def validation(core: Core, plan: StoredPlan) -> Iterator[bytes]:
    """The preview of a plan as Markdown, and where the plan stands."""
    text = f"# {markdown.said(plan.title, 120) or markdown.code(plan.id)}\n\nNot previewed yet.\n"
    stored = core.store.preview(plan.id) if plan.preview is not None else None
    if stored is not None:
        text = _previewed(core, plan, stored)
    yield f"{text}\n`{plan.id}`, revision {plan.revision}, is **{plan.state.value}**.\n".encode("utf-8", "replace")


def _previewed(core: Core, plan: StoredPlan, stored: StoredPreview) -> str:
    others, waits = overlapping.told(core, plan), plans.waiting_for(core, plan)
    preview = msgspec.structs.replace(
        plans.model_of(core, plan), waiting_for=waits, others=others, origin=origins.of(core, plan.id)
    )
    run = core.store.run_of(stored.seq)
    text = core.store.document(plan.id, plan.revision)
    operations = Plan.stored(text, preview.plan_digest).operations if len(text) <= LARGE else ()
    commands = words.next_commands(preview, state=plan.state, run=run.id if run else "")
    return markdown.preview(preview, operations=operations, commands=commands)


def history(core: Core, plan: StoredPlan) -> Iterator[bytes]:
    """All that ever happened to a plan: its revisions, decisions and runs, and every event of the audit log."""
    store = core.store
    told = {
        "format": FORMAT,
        "workspace": core.workspace.id,
        "plan": plan.id,
        "title": plan.title,
        "author": plan.author,
        "cases": _cases(plan.cases),
        "state": plan.state,
        "revision": plan.revision,
        "digest": plan.digest,
        "undo_of": plan.undo_of,
        "created": timestamp(plan.created_at),
        "updated": timestamp(plan.updated_at),
        "approval_expires": _when(plan.expires_at),
        "revisions": [_revision(one) for one in store.revisions(plan.id)],
        "previews": [_preview(one) for one in store.previews(plan.id)],
        "decisions": [_decision(one) for one in store.decisions(plan.id)],
        "runs": [_run(core, one) for one in reversed(store.runs(plan=plan.id))],
        "events": [_event(row) for row in audit.rows(store, plan=plan.id)],
    }
    yield _shaped(told) + b"\n"


def _revision(one: Revision) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "plan_digest": one.plan_digest,
        "by": one.author,
        "at": timestamp(one.created_at),
    }


def _preview(one: StoredPreview) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "digest": one.digest,
        "effects": one.effects,
        "at": timestamp(one.created_at),
    }


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "revision": one.revision,
        "digest": one.digest,
        "verdict": one.verdict,
        "by": one.reviewer,
        "role": one.role,
        "channel": one.channel,
        "at": timestamp(one.at),
        "comment": one.comment,
        "used_by": one.consumed_by,
    }


def _run(core: Core, run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "revision": run.revision,
        "digest": run.digest,
        "state": run.state,
        "by": run.actor,
        "started": timestamp(run.started_at),
        "ended": _when(run.ended_at),
        "receipt": run.receipt_digest,
        "undo_of": run.undo_of,
        "effects_undone": core.store.count_undone(run.id),
    }


def _event(row: audit.AuditRow) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "at": timestamp(row.at),
        "event": row.event,
        "by": row.actor,
        "channel": row.channel,
        "run": row.run,
        "data": msgspec.json.decode(row.data),
        "hash": row.hash,
    }


class _Line(msgspec.Struct):
    """A line of a receipt, its effect left as it is."""

    effect: msgspec.Raw
    result: str = "done"
    sha256: str = ""


class _Mutation(msgspec.Struct, omit_defaults=True):
    result: str
    effect: msgspec.Raw
    sha256: str = ""


_decode_lines = msgspec.json.Decoder(_Line).decode_lines
_must_be_json = msgspec.json.Decoder(msgspec.Raw).decode_lines
_EFFECT, _DONE = b'{"effect":', b'{"result":"done","effect":'  # how a plain line begins, and its mutation


def mutations(core: Core, run: Run) -> Iterator[bytes]:
    """Every effect of a run with what became of it, a line each; nothing is held but the lines at hand."""
    yield _shaped(_head(core, run)).removesuffix(b"\n}") + b',\n  "mutations": ['
    between = b"\n"
    for lines in _applied(core, run) if run.receipt_digest else _planned(core, run):
        yield between + inert(lines).removesuffix(b"\n").replace(b"\n", b",\n")
        between = b",\n"
    yield b"\n  ]\n}\n"


def _head(core: Core, run: Run) -> dict[str, Any]:
    approvals = standing([one for one in core.store.decisions(run.plan) if one.preview == run.preview])
    applied = run.receipt_digest is not None
    return {
        "format": FORMAT,
        "workspace": core.workspace.id,
        "run": run.id,
        "plan": run.plan,
        "revision": run.revision,
        "digest": run.digest,
        "table_digest": run.table_digest,
        "cases": _cases(run.cases),
        "undo_of": run.undo_of,
        "by": run.actor,
        "approved_by": [_decision(one) for one in approvals if one.verdict is Verdict.APPROVE],
        "started": timestamp(run.started_at),
        "ended": _when(run.ended_at),
        "outcome": State.APPLIED if applied else run.state,  # that it was undone since is another run's to tell
        "receipt": run.receipt_digest,
    }


def _applied(core: Core, run: Run) -> Iterator[bytes]:
    path = core.state / "receipts" / f"{run.id}.lines"
    with receipts.of_run(path):
        for lines in receipts.encoded_lots(path):
            yield _as_done(lines) if receipts.are_plain(lines) else _as_told(lines)


def _as_done(lines: bytes) -> bytes:
    """Plain lines as mutations: that they are JSON is looked at, and nothing in them decoded."""
    _must_be_json(lines)
    return _DONE + lines.removeprefix(_EFFECT).replace(b"\n" + _EFFECT, b"\n" + _DONE)


def _as_told(lines: bytes) -> bytes:
    return _encode_lines([_Mutation(line.result, line.effect, line.sha256) for line in _decode_lines(lines)])


def _planned(core: Core, run: Run) -> Iterator[bytes]:
    result = _RESULTS.get(run.state, run.state.value)
    for stored in core.store.previews(run.plan):
        if stored.seq == run.preview:
            yield from (_encode(_Mutation(result, msgspec.Raw(effect))) for effect in core.store.effects(stored))


def _shaped(told: dict[str, Any]) -> bytes:
    return msgspec.json.format(inert(_encode(told)), indent=2)


def _cases(cases: tuple[str, ...]) -> list[Text]:
    return [tagged(case) for case in cases]


def _when(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else timestamp(milliseconds)
