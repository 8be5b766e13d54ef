"""The lookout: what is wrong is told once, and once more when it is over."""

from __future__ import annotations

import json
import os
import time

import pytest
from gatework import Office

from treegate.engine import outbox
from treegate.engine.alerts import AlertKind
from treegate.engine.store.records import Run
from treegate.gate import Gate, auditing
from treegate.model.lifecycle import State

HOUR = 3_600_000


def looked(office: Office, *, verify: bool = False) -> list[tuple[str, str]]:
    """What is wrong, by kind and what it is about; what a full disk of this machine says is left out."""
    found = office.gate.look_out(verify=verify)
    return [(one.kind.value, one.about) for one in found if one.kind is not AlertKind.DISK_NEARLY_FULL]


def told(office: Office) -> list[str]:
    """The alerts that the audit log tells of, in order."""
    rows = office.gate.log(None, 1000)
    found = [(row.event, json.loads(row.data)) for row in reversed(rows) if row.event.startswith("alert-")]
    return [f"{event} {data['kind']}" for event, data in found if data["kind"] != "disk-nearly-full"]


def said(office: Office) -> list[str]:
    """What the doctor says."""
    return [one.title for one in office.gate.doctor()]


def test_nothing_is_wrong(office: Office) -> None:
    assert looked(office, verify=True) == []
    assert told(office) == []


def test_a_job_that_does_not_begin(office: Office) -> None:
    office.put("Smith/a.txt", "a")
    plan = office.submit({"op": "move", "from": "a.txt", "to": "b.txt"})
    office.gate.approve_and_ask(plan.id, plan.digest)
    assert looked(office) == []
    office.clock.now += HOUR
    run = office.gate.asked(plan.id)
    assert run is not None
    assert any("does not begin" in one for one in said(office))
    assert looked(office) == [("stuck", run.run)]
    assert looked(office) == [("stuck", run.run)]
    office.gate.pause("Smith")
    assert looked(office) == []  # somebody holds it, and knows
    assert not any("does not begin" in one for one in said(office))
    office.gate.resume("Smith")
    assert looked(office) == [("stuck", run.run)]
    office.gate.carry_out(run.run)
    assert looked(office) == []
    assert told(office) == ["alert-raised stuck", "alert-cleared stuck"] * 2


def test_an_approval_that_runs_out_soon(office: Office) -> None:
    office.put("Smith/a.txt", "a")
    plan = office.submit({"op": "move", "from": "a.txt", "to": "b.txt"})
    office.gate.approve(plan.id, plan.digest)
    expires = office.gate.plan(plan.id).expires_at
    assert expires is not None
    office.clock.now = expires - 5 * HOUR
    assert looked(office) == []
    office.clock.now = expires - HOUR
    assert looked(office) == [("expires-soon", plan.id)]
    office.clock.now = expires + 1
    assert looked(office) == []
    assert office.gate.core.store.plan(plan.id).state is State.EXPIRED  # nobody had to ask for that


def test_plans_that_nobody_takes(office: Office) -> None:
    dropped = office.gate.make_queue() / "20260131T120000.123Z-Smith.json"
    dropped.write_text("{}")
    office.clock.now = dropped.stat().st_mtime_ns // 1_000_000 + 60_000
    assert looked(office) == []
    office.clock.now += HOUR
    assert looked(office) == [("waiting-dropped", "")]
    dropped.unlink()
    assert looked(office) == []


def test_a_run_that_was_stopped_midway(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(
        seq=1, id="run_x", plan="pl_x", revision=1, preview=1, digest="", table_digest="", cases=("Smith",),
        state=State.NEEDS_RECOVERY, actor="ann", started_at=0, ended_at=None, receipt_digest=None, undo_of=None,
        generation=1,
    )  # fmt: skip
    monkeypatch.setattr(type(office.gate.core.store), "unfinished", lambda self, cases=None: [run])
    assert looked(office) == [("recovery-needed", "run_x")]


def test_a_log_that_does_not_verify(office: Office) -> None:
    office.gate.pause()
    office.gate.resume()
    with office.gate.core.store.write() as transaction:
        from treegate.engine import schema

        transaction.execute(schema.audit.update().where(schema.audit.c.seq == 2).values(actor="eve"))
    assert looked(office, verify=True) == [("audit-unverified", "")]
    assert looked(office) == [("audit-unverified", "")]  # until it is verified again


def test_a_vault_that_is_nearly_full(office: Office) -> None:
    office.configure(vault_max_size="1 KiB")
    office.put("Smith/a.txt", "a" * 1000)
    plan = office.submit({"op": "delete", "path": "a.txt"})
    office.gate.approve(plan.id, plan.digest)
    office.gate.apply(plan.id)
    assert looked(office) == [("vault-nearly-full", "")]


def test_somebody_who_cannot_be_told(office: Office) -> None:
    office.configure(slack_channel="C024BE91L")
    gate: Gate = office.gate
    gate.next_for("slack", ["gate.paused"])
    gate.next_for("office", ["gate.paused"])
    gate.not_told("office", "of former days: nobody wants to tell it any more", known=True)
    gate.not_told("slack", "Slack says invalid_auth", known=True)
    assert looked(office) == []
    assert any("slack cannot be told what happens: Slack says invalid_auth" in one for one in said(office))
    office.clock.now += HOUR
    assert looked(office) == [("undeliverable", "slack")]
    place = outbox.place(gate.core.store, "slack")
    assert place is not None
    gate.told("slack", place.seq)
    assert looked(office) == []


def test_a_disk_that_is_nearly_full(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on being nearly full while it is hardly better: nobody hears of that each minute."""
    real, free = os.statvfs, 4.9

    def nearly(path: object) -> os.statvfs_result:
        found = list(real(path))  # type: ignore[call-overload]
        found[1] = found[0]
        found[4] = int(found[2] * free / 100)
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", nearly)
    for free, full in ((5.1, False), (4.9, True), (5.1, True), (4.9, True), (6.1, False), (5.1, False)):
        kinds = {(one.kind.value, one.about) for one in office.gate.look_out(verify=False)}
        assert (("disk-nearly-full", "workspace") in kinds) is full, free


def test_many_runs_one_after_the_other_are_not_stuck(office: Office) -> None:
    """Those behind wait for long, and yet all goes well; once nothing stirs, what is next is told, and it alone."""
    plans = []
    for number in range(4):
        office.put(f"Smith/{number}.txt", "a")
        plan = office.submit({"op": "move", "from": f"{number}.txt", "to": f"to{number}.txt"})
        office.gate.approve_and_ask(plan.id, plan.digest)
        plans.append(plan.id)
    runs = [office.gate.asked(plan) for plan in plans]
    for run in runs[:2]:
        assert run is not None
        office.clock.now += HOUR // 5
        office.gate.carry_out(run.run)
        assert looked(office) == []
    office.clock.now += HOUR
    assert runs[2] is not None
    assert looked(office) == [("stuck", runs[2].run)]


def test_the_log_is_verified_once_a_day_whoever_looks(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []
    real = auditing.verify
    monkeypatch.setattr(auditing, "verify", lambda core: times.append(1) or real(core))
    office.clock.now = int(time.time() * 1000) + 1000
    for _ in range(3):
        office.gate.look_out()
        office.reopen()
    assert len(times) == 1
    office.clock.now += 25 * HOUR
    office.gate.look_out()
    assert len(times) == 2


def test_words_that_are_no_text_are_logged_as_well_as_can_be(office: Office) -> None:
    """What comes in through a shell need not be UTF-8."""
    office.gate.pause("Smith", "lunch \udcff")
    assert "lunch \ufffd" in office.gate.log(None, 1)[0].data


def test_a_case_may_be_called_as_plans_are(office: Office) -> None:
    """What is told of it is about no plan, and can be told."""
    office.configure(vault_case_max_size="1 KiB")
    office.put("pl_x/a.txt", "a" * 1000)
    plan = office.submit({"op": "delete", "path": "a.txt"}, case="pl_x")
    office.gate.approve(plan.id, plan.digest)
    office.gate.apply(plan.id)
    office.gate.next_for("office", ["alert.raised"])
    assert looked(office) == [("vault-nearly-full", "pl_x")]
    due = office.gate.next_for("office", ["alert.raised"])
    assert due is not None
    assert due.notification.plan is None
