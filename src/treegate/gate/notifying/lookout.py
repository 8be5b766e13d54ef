"""The lookout: whether something is wrong that wants a person, and nobody's act would tell of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from treegate.engine import alerts, jobs, locks, outbox, pauses
from treegate.engine.alerts import Alert, AlertKind
from treegate.engine.jobs import JobState
from treegate.engine.probe import Finding
from treegate.engine.store.records import Run
from treegate.errors import TreegateError
from treegate.gate import auditing, plans
from treegate.gate.core import Core
from treegate.gate.queue import folder
from treegate.model.lifecycle import State
from treegate.model.measures import size_for_people
from treegate.model.names import visible

FULL = 0.9  # of what the vault may come to
FREE = 0.05  # of a disk
_GRAVE = {AlertKind.STUCK, AlertKind.AUDIT_UNVERIFIED}
LOST = 60_000  # ms after which a run that nobody is at needs recovery


def look(core: Core, *, verify: bool) -> list[Alert]:
    """Looks, and raises and clears alerts as what was found says; what is wrong now. `verify`: the log as well."""
    plans.note_expired(core)
    known = alerts.alerts(core.store)
    found = list(_found(core))
    if verify:
        found += _audit(core)
    else:
        found += [one for one in known if one.kind is AlertKind.AUDIT_UNVERIFIED]
    if {(one.kind, one.about) for one in known} != {(one.kind, one.about) for one in found}:
        about = {one.about: one.about for one in (*known, *found) if one.about.startswith("pl_")}
        with core.store.write() as transaction:
            alerts.settle(transaction, found, about, core.by())
    return alerts.alerts(core.store)


def findings(core: Core) -> Iterator[Finding]:
    """What of this doctor does not find by itself, looked at now; of the log, what was found when it was verified."""
    known = [one for one in alerts.alerts(core.store) if one.kind is AlertKind.AUDIT_UNVERIFIED]
    for one in (*_stuck(core), *_vault(core), *_disks(core), *known):
        severity: Literal["error", "warning"] = "error" if one.kind in _GRAVE else "warning"
        yield Finding(severity, one.text, f"docs/operations.md, {one.kind}")
    for place in outbox.places(core.store):
        if place.failing_since is not None:
            text = f"{place.name} cannot be told what happens: {place.error}"
            yield Finding("warning", text, f"docs/operations.md, {AlertKind.UNDELIVERABLE}")


def _found(core: Core) -> Iterator[Alert]:
    yield from _stopped(core)
    yield from _stuck(core)
    yield from _dropped(core)
    yield from _vault(core)
    yield from _disks(core)
    yield from _undeliverable(core)
    yield from _lapsing(core)


def _stopped(core: Core) -> Iterator[Alert]:
    """Runs that stand still midway: they said so, or whoever was at them is gone."""
    held = {one.case for one in locks.holders(core.state / "locks", core.workspace.cases())}
    for run in core.store.unfinished():
        if run.state is State.NEEDS_RECOVERY or _abandoned(core, run, held):
            text = f"The run {run.id} on {_cases(run.cases)} stopped midway: treegate recover"
            yield Alert(kind=AlertKind.RECOVERY_NEEDED, about=run.id, text=text)


def _abandoned(core: Core, run: Run, held: set[str]) -> bool:
    return not held & set(run.cases) and run.started_at < core.clock() - LOST and _idle(core, run.id) > LOST


def _stuck(core: Core) -> Iterator[Alert]:
    """What was to be carried out and is not, or makes no step."""
    patience = core.config.alerts.stuck
    for job in jobs.jobs(core.store, (JobState.QUEUED, JobState.RUNNING)):
        waits = core.clock() - job.created_at
        if job.state is JobState.QUEUED and waits > patience and pauses.holding(core.store, job.cases) is None:
            text = f"The run {job.run} on {_cases(job.cases)} was asked for and does not begin: treegate status"
            yield Alert(kind=AlertKind.STUCK, about=job.run, text=text)
        elif job.state is JobState.RUNNING and waits > patience and _idle(core, job.run) > patience:
            text = f"The run {job.run} on {_cases(job.cases)} makes no step"
            yield Alert(kind=AlertKind.STUCK, about=job.run, text=text)


def _idle(core: Core, run: str) -> int:
    """For how long, in ms, nothing was written of a run."""
    try:
        last = max(entry.stat().st_mtime_ns for entry in os.scandir(core.run_directory(run)))
    except (OSError, ValueError):
        return 1 << 62
    return core.clock() - last // 1_000_000


def _dropped(core: Core) -> Iterator[Alert]:
    """Plans in the queue's folder that nobody takes."""
    try:
        for found in folder.findings(core):
            yield Alert(kind=AlertKind.WAITING_DROPPED, about="", text=f"{found.title}: treegate doctor")
    except (TreegateError, OSError):
        return  # the workspace is away: whatever else stands still says so


def _vault(core: Core) -> Iterator[Alert]:
    """What is kept comes near to what may be: soon things are let go before their time."""
    most, each = core.config.vault.max_size, core.config.vault.case_max_size
    if most is None and each is None:
        return
    held: dict[str, int] = {}
    for kept in core.store.vault():
        held[kept.case] = held.get(kept.case, 0) + kept.size
    bounds = [("", sum(held.values()), most), *((case, size, each) for case, size in sorted(held.items()))]
    for case, size, bound in bounds:
        if bound is not None and size > bound * FULL:
            where = f"of {visible(case)} " if case else ""
            text = (
                f"The vault {where}holds {size_for_people(size)} of {size_for_people(bound)}: the oldest goes first"
            )
            yield Alert(kind=AlertKind.VAULT_NEARLY_FULL, about=case, text=text)


def _disks(core: Core) -> Iterator[Alert]:
    """A disk on which nothing more can be written soon."""
    for name, path in (("state directory", core.state), ("workspace", core.workspace.root)):
        try:
            found = os.statvfs(path)
        except OSError:
            continue
        free = found.f_bavail * found.f_frsize
        if found.f_blocks and free < found.f_blocks * found.f_frsize * FREE:
            text = f"The disk of the {name} has {size_for_people(free)} left"
            yield Alert(kind=AlertKind.DISK_NEARLY_FULL, about=name, text=text)


def _undeliverable(core: Core) -> Iterator[Alert]:
    """Those who should be told, and cannot be."""
    for place in outbox.places(core.store):
        since = place.failing_since
        if since is not None and since < core.clock() - core.config.alerts.stuck:
            text = f"{place.name} could not be told what happens: {place.error}"
            yield Alert(kind=AlertKind.UNDELIVERABLE, about=place.name, text=text)


def _lapsing(core: Core) -> Iterator[Alert]:
    """Approvals that run out soon, unused."""
    now, found = core.clock(), core.store.list_plans([State.APPROVED], limit=1 << 30)[0]
    for plan in found:
        if plan.expires_at is not None and now < plan.expires_at <= now + core.config.alerts.remind:
            named = f"{visible(plan.title)} ({plan.id})" if plan.title else plan.id
            text = f"The approval of {named} runs out soon, unused: treegate apply {plan.id}"
            yield Alert(kind=AlertKind.EXPIRES_SOON, about=plan.id, text=text)


def _audit(core: Core) -> Iterator[Alert]:
    """Whether the audit log verifies."""
    try:
        errors = [one for one in auditing.verify(core).findings if one.severity == "error"]
        said = errors[0].title if errors else ""
    except TreegateError as error:
        said = error.message
    if said:
        text = f"The audit log does not verify: {said}"
        yield Alert(kind=AlertKind.AUDIT_UNVERIFIED, about="", text=text)


def _cases(cases: tuple[str, ...]) -> str:
    return ", ".join(map(visible, cases))
