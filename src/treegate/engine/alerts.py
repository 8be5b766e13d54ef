"""Alerts: what is wrong now and wants a person, raised once and cleared once; both are rows of the audit log."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from treegate.engine import schema
from treegate.engine.store import By, Reader, Transaction

RAISED, CLEARED = "alert-raised", "alert-cleared"  # the events


class AlertKind(StrEnum):
    """What can be wrong; docs/operations.md says of each what to do."""

    RECOVERY_NEEDED = "recovery-needed"
    STUCK = "stuck"
    WAITING_DROPPED = "waiting-dropped"
    VAULT_NEARLY_FULL = "vault-nearly-full"
    AUDIT_UNVERIFIED = "audit-unverified"
    DISK_NEARLY_FULL = "disk-nearly-full"
    UNDELIVERABLE = "undeliverable"
    EXPIRES_SOON = "expires-soon"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong; `about` is what it is about, of one kind: a run, a plan, a sink, or ""."""

    kind: AlertKind
    about: str
    text: str
    at: int = 0  # when it was raised, milliseconds since 1970, UTC


def alerts(reader: Reader) -> list[Alert]:
    """What is wrong now, as far as anybody has looked; oldest first."""
    table = schema.alerts
    return reader.all(table.select().order_by(table.c.at, table.c.kind, table.c.about), Alert)


def settle(transaction: Transaction, found: list[Alert], by: By) -> None:
    """Raises what is new among what was found, and clears what is no longer."""
    table = schema.alerts
    known = {(one.kind, one.about): one for one in alerts(transaction)}
    now = {(one.kind, one.about): one for one in found}
    for key in sorted(now.keys() - known.keys()):
        one = now[key]
        values = {"kind": one.kind.value, "about": one.about, "text": one.text, "at": by.at}
        transaction.execute(table.insert().values(values))
        _log(transaction, RAISED, one, by)
    for key in sorted(known.keys() - now.keys()):
        one = known[key]
        which = (table.c.kind == one.kind.value) & (table.c.about == one.about)
        transaction.execute(table.delete().where(which))
        _log(transaction, CLEARED, one, by)


def _log(transaction: Transaction, event: str, one: Alert, by: By) -> None:
    data = {"kind": one.kind.value, "about": one.about, "text": one.text}
    plan = one.about if one.kind is AlertKind.EXPIRES_SOON else None  # the others are about runs, cases, sinks
    transaction.log(event, by, plan=plan, data=data)
