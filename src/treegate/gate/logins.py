"""Logging in to the pages: by a token, or by an address that does it once."""

from __future__ import annotations

import msgspec

from treegate.engine import sessions, tokens
from treegate.engine.store.records import By
from treegate.errors import Denied
from treegate.gate.core import Core
from treegate.model.actors import WEB, Actor

CHANNEL = WEB


def by_token(core: Core, text: str) -> str:
    """Logs in whoever shows a token; the session's secret. Raises Denied as tokens do."""
    token = tokens.shown(core.store, text, at=core.clock())
    with core.store.write() as transaction:
        actor = tokens.actor_of(token, CHANNEL)
        return sessions.begin(transaction, actor, _by(core, actor), token.id)


def once(core: Core, text: str) -> str:
    """Logs in by an address that does it once; raises Denied "login-used" the second time, or too late."""
    with core.store.write() as transaction:
        actor = sessions.redeem(transaction, text, core.clock())
        if actor is not None:
            return sessions.begin(transaction, actor, _by(core, actor))
    raise Denied(
        "this address has logged somebody in already, or its time is over",
        code="login-used",
        hint="log in with a token, or start the service again for a new address",
        next="treegate token create --name NAME --role reviewer",
    )


def out(core: Core, session: str) -> None:
    """Ends a session."""
    with core.store.write() as transaction:
        sessions.end(transaction, session)


def invite(core: Core) -> str:
    """The secret of an address that logs whoever acts in, once; it holds for a quarter of an hour."""
    actor = msgspec.structs.replace(core.actor, channel=CHANNEL)
    with core.store.write() as transaction:
        return sessions.invite(transaction, actor, core.by())


def _by(core: Core, actor: Actor) -> By:
    return By(actor.name, CHANNEL, core.clock(), actor.role.value)
