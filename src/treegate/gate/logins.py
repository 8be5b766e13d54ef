"""Logging in to the pages: by a token, by an address that does it once, or by the firm's OpenID Connect."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import msgspec

from treegate.engine import sessions, tokens
from treegate.engine.store import Transaction
from treegate.engine.store.records import By
from treegate.errors import Denied, TreegateError
from treegate.gate.core import Core
from treegate.model.actors import ALLOWED, WEB, Actor

CHANNEL = WEB
SELDOM = 8  # a session is prolonged once this part of its idle time is over: not with every request


def by_token(core: Core, text: str) -> str:
    """Logs in whoever shows a token; the session's secret. Raises Denied as tokens do."""
    token = tokens.shown(core.store, text, at=core.clock())
    with core.store.write() as transaction:
        actor = tokens.actor_of(token, CHANNEL)
        return _begin(core, transaction, actor, token.id)


def once(core: Core, text: str) -> str:
    """Logs in by an address that does it once; raises Denied "login-used" the second time, or too late."""
    with core.store.write() as transaction:
        actor = sessions.redeem(transaction, text, core.clock())
        if actor is not None:
            return _begin(core, transaction, actor)
    raise Denied(
        "this address has logged somebody in already, or its time is over",
        code="login-used",
        hint="log in with a token, or start the service again for a new address",
        next="treegate token create --name NAME --role reviewer",
    )


def by_oidc(core: Core, name: str, groups: Collection[str]) -> str:
    """Logs in whom the issuer names, with the role that the configuration gives them; raises Denied otherwise.

    Whoever is in several groups has the role that may do least of theirs: it takes a line of their own to have more.
    """
    oidc = core.config.service.oidc
    roles = [oidc.people[name]] if name in oidc.people else [oidc.groups[one] for one in groups if one in oidc.groups]
    if not roles:
        raise Denied(
            f"{name} is known, and has no role here",
            code="person-unknown",
            hint="whoever keeps this service can add you to service.oidc.people",
        )
    role = min(roles, key=lambda one: len(ALLOWED[one]))
    actor = Actor(name=name, role=role, channel=CHANNEL, via="oidc")
    with core.store.write() as transaction:
        return _begin(core, transaction, actor)


def logged_in(core: Core, text: str) -> Actor | None:
    """Who a session's secret stands for; None where it has ended. It goes on while they do something."""
    now = core.clock()
    session = sessions.find(core.store, text, now)
    if session is None or now >= session.created_at + core.config.service.session:
        return None
    actor = sessions.who(core.store, session, now)
    until = min(now + core.config.service.session_idle, session.created_at + core.config.service.session)
    if actor is not None and until - session.expires_at > core.config.service.session_idle // SELDOM:
        with suppress(TreegateError), core.store.write(patience=0) as transaction:  # nobody waits for it
            sessions.prolong(transaction, text, until)
    return actor


def log_out(core: Core, text: str, *, everywhere: bool = False) -> None:
    """Ends a session; or all that whoever acts has."""
    with core.store.write() as transaction:
        sessions.end(transaction, text)
        if everywhere:
            sessions.end_all(transaction, core.actor.name)
        transaction.log("logged-out", core.by(), data={"everywhere": everywhere})


def forget_foreign(core: Core) -> None:
    """Ends all sessions that began by OpenID Connect, for another configuration may hold now."""
    with core.store.write() as transaction:
        sessions.end_foreign(transaction)


def invite(core: Core) -> str:
    """The secret of an address that logs whoever acts in, once; it holds for a quarter of an hour."""
    actor = msgspec.structs.replace(core.actor, channel=CHANNEL)
    with core.store.write() as transaction:
        return sessions.invite(transaction, actor, core.by())


def _begin(core: Core, transaction: Transaction, actor: Actor, token: str | None = None) -> str:
    service = core.config.service
    return sessions.begin(transaction, actor, _by(core, actor), min(service.session_idle, service.session), token)


def _by(core: Core, actor: Actor) -> By:
    return By(actor.name, CHANNEL, core.clock(), actor.role.value)
