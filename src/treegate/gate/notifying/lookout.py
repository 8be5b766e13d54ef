"""The lookout: whether something is wrong that wants a person, and nobody's act would tell of."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Literal

from treegate.engine import alerts, jobs, locks, outbox
from treegate.engine.alerts import Alert, AlertKind
from treegate.engine.jobs import JobState
from treegate.engine.outbox import Place
from treegate.engine.probe import Finding
from treegate.engine.store.records import Run
from treegate.errors import TreegateError
from treegate.gate import auditing, casebook, plans
from treegate.gate.core import Core
from treegate.gate.jobs import free
from treegate.gate.queue import folder
from treegate.model.actors import SLACK
from treegate.model.lifecycle import State
from treegate.model.measures import size_for_people
from treegate.model.names import visible

FULL = 0.9  # of what the vault may come to
FREE = 0.05  # of a disk
EASED = 0.2  # of either bound, by which it has to be better until an alert is over: no one hears of each minute
VERIFIED = "locks/verified"  # below the state directory: empty, as old as the last verification of the audit log
_GRAVE = {AlertKind.STUCK, AlertKind.AUDIT_UNVERIFIED}
LOST = 60_000  # ms after which a run that nobody is at needs recovery

Known = tuple[AlertKind, str]  # an alert, by its kind and what it is about


def look(core: Core, *, verify: bool | None = None) -> list[Alert]:
    """Looks, and raises and clears alerts as what was found says; what is wrong now.

    `verify`: the audit log as well; None for when it is due, whoever did it last.
    """
    plans.note_expired(core)
    known = alerts.alerts(core.store)
    found = list(_found(core, {(one.kind, one.about) for one in known}))
    if _due(core) if verify is None else verify:
        found += _audit(core)
        with contextlib.suppress(OSError):  # a full disk is told of all the same
            (core.state / VERIFIED).touch(mode=0o600)
    else:
        found += [one for one in known if one.kind is AlertKind.AUDIT_UNVERIFIED]
    if {(one.kind, one.about) for one in known} != {(one.kind, one.about) for one in found}:
        with core.store.write() as transaction:
            alerts.settle(transaction, found, core.by())
    return alerts.alerts(core.store)


def findings(core: Core) -> Iterator[Finding]:
    """What of this doctor does not find by itself, looked at now; of the log, what was found when it was verified."""
    known = alerts.alerts(core.store)
    keys = {(one.kind, one.about) for one in known}
    audit = [one for one in known if one.kind is AlertKind.AUDIT_UNVERIFIED]
    for one in (*_stuck(core), *_vault(core, keys), *_disks(core, keys), *audit):
        severity: Literal["error", "warning"] = "error" if one.kind in _GRAVE else "warning"
        yield Finding(severity, one.text, f"docs/operations.md, {one.kind}")
    for place in _told(core):
        if place.failing_since is not None:
            text = f"{place.name} cannot be told what happens: {place.error}"
            yield Finding("warning", text, f"docs/operations.md, {AlertKind.UNDELIVERABLE}")


def _found(core: Core, known: set[Known]) -> Iterator[Alert]:
    yield from _stopped(core)
    yield from _stuck(core)
    yield from _dropped(core)
    yield from _vault(core, known)
    yield from _disks(core, known)
    yield from _undeliverable(core)
    yield from _lapsing(core)


def _stopped(core: Core) -> Iterator[Alert]:
    """Runs that stand still midway: they said so, or whoever was at them is gone."""
    runs = core.store.unfinished()
    held = {one.case for one in locks.holders(core.state / "locks", {case for run in runs for case in run.cases})}
    for run in runs:
        if run.state is State.NEEDS_RECOVERY or _abandoned(core, run, held):
            text = f"The run {run.id} on {_cases(run.cases)} stopped midway: treegate recover"
            yield Alert(kind=AlertKind.RECOVERY_NEEDED, about=run.id, text=text)


def _abandoned(core: Core, run: Run, held: set[str]) -> bool:
    return not held & set(run.cases) and run.started_at < core.clock() - LOST and _idle(core, run.id) > LOST


def _stuck(core: Core) -> Iterator[Alert]:
    """What was to be carried out and is not, or makes no step."""
    long_ago = core.clock() - core.config.alerts.stuck
    for job in jobs.jobs(core.store, [JobState.RUNNING]):
        if (job.started_at or 0) < long_ago and _idle(core, job.run) > core.config.alerts.stuck:
            text = f"The run {job.run} on {_cases(job.cases)} makes no step"
            yield Alert(kind=AlertKind.STUCK, about=job.run, text=text)
    if jobs.stirred(core.store) >= long_ago:
        return  # they are carried out one after the other, and those behind are not stuck
    for job in free(core):
        if job.created_at < long_ago:
            text = f"The run {job.run} on {_cases(job.cases)} was asked for and does not begin: treegate status"
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


def _vault(core: Core, known: set[Known]) -> Iterator[Alert]:
    """What is kept comes near to what may be: soon things are let go before their time."""
    most, each = core.config.vault.max_size, core.config.vault.case_max_size
    if most is None and each is None:
        return
    held = {case: size for case, (_, size) in casebook.kept_by_case(core).items()}
    bounds = [("", sum(held.values()), most), *((case, size, each) for case, size in sorted(held.items()))]
    for case, size, bound in bounds:
        full = FULL * (1 - EASED) if (AlertKind.VAULT_NEARLY_FULL, case) in known else FULL
        if bound is not None and size > bound * full:
            where = f"of {visible(case)} " if case else ""
            text = (
                f"The vault {where}holds {size_for_people(size)} of {size_for_people(bound)}: the oldest goes first"
            )
            yield Alert(kind=AlertKind.VAULT_NEARLY_FULL, about=case, text=text)


def _disks(core: Core, known: set[Known]) -> Iterator[Alert]:
    """A disk on which nothing more can be written soon."""
    for name, path in (("state directory", core.state), ("workspace", core.workspace.root)):
        try:
            found = os.statvfs(path)
        except OSError:
            continue
        free = found.f_bavail * found.f_frsize
        least = FREE * (1 + EASED) if (AlertKind.DISK_NEARLY_FULL, name) in known else FREE
        if found.f_blocks and free < found.f_blocks * found.f_frsize * least:
            text = f"The disk of the {name} has {size_for_people(free)} left"
            yield Alert(kind=AlertKind.DISK_NEARLY_FULL, about=name, text=text)


def _undeliverable(core: Core) -> Iterator[Alert]:
    """Those who should be told, and cannot be."""
    for place in _told(core):
        since = place.failing_since
        if since is not None and since < core.clock() - core.config.alerts.stuck:
            text = f"{place.name} could not be told what happens: {place.error}"
            yield Alert(kind=AlertKind.UNDELIVERABLE, about=place.name, text=text)


def _told(core: Core) -> Iterator[Place]:
    """How far those are who are to be told; of one that is not configured any more nobody wants to hear."""
    names = {hook.name for hook in core.config.webhooks} | ({SLACK} if core.config.slack.channel else set())
    return (place for place in outbox.places(core.store) if place.name in names)


def _lapsing(core: Core) -> Iterator[Alert]:
    """Approvals that run out soon, unused."""
    now = core.clock()
    for plan in core.store.lapsing(now, now + core.config.alerts.remind):
        named = f"{visible(plan.title)} ({plan.id})" if plan.title else plan.id
        text = f"The approval of {named} runs out soon, unused: treegate apply {plan.id}"
        yield Alert(kind=AlertKind.EXPIRES_SOON, about=plan.id, text=text)


def _due(core: Core) -> bool:
    """Whether the log was verified last as long ago as the settings say; every minute would be too dear."""
    try:
        ago = core.clock() - (core.state / VERIFIED).stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return True
    return not 0 <= ago < core.config.alerts.verify


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
