"""Sessions: people logged in to the pages, and addresses that log in once. Secrets are stored as hashes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

import msgspec

from treegate.engine import schema, tokens
from treegate.engine.store import By, Reader, Transaction
from treegate.model.actors import WEB, Actor

ONCE_LASTS = 15 * 60_000  # ms


class Session(msgspec.Struct, frozen=True):
    """Who is logged in, and by which token, if by one; `expires_at` moves on while they do something (ms)."""

    token: str | None
    actor: str  # JSON
    created_at: int
    expires_at: int


def begin(transaction: Transaction, actor: Actor, by: By, lasts: int, token: str | None = None) -> str:
    """Logs somebody in, for `lasts` ms unless it is prolonged; the session's secret, which is never shown again."""
    text = secrets.token_urlsafe(32)
    table = schema.sessions
    transaction.execute(table.delete().where(table.c.expires_at <= by.at))
    values = {
        "hash": _hash(text),
        "token": token,
        "actor": msgspec.json.encode(actor).decode(),
        "created_at": by.at,
        "expires_at": by.at + lasts,
    }
    transaction.execute(table.insert().values(values))
    transaction.log("logged-in", by, data={"token": token})
    return text


def find(reader: Reader, text: str, at: int) -> Session | None:
    """The session that a secret opens; None once it has ended."""
    table = schema.sessions
    columns = [table.c[name] for name in Session.__struct_fields__]
    query = schema.select(*columns).where((table.c.hash == _hash(text)) & (table.c.expires_at > at))
    return reader.first(query, Session)


def who(reader: Reader, session: Session, at: int) -> Actor | None:
    """Who a session stands for; None where the token that it began with holds no more."""
    if session.token is None:
        return msgspec.json.decode(session.actor, type=Actor)
    token = tokens.of_id(reader, session.token)
    return tokens.actor_of(token, WEB) if token is not None and tokens.holds(token, at) else None


def prolong(transaction: Transaction, text: str, until: int) -> None:
    """Lets a session last until then."""
    table = schema.sessions
    transaction.execute(table.update().where(table.c.hash == _hash(text)).values(expires_at=until))


def end(transaction: Transaction, text: str) -> None:
    """Logs out."""
    transaction.execute(schema.sessions.delete().where(schema.sessions.c.hash == _hash(text)))


def end_all(transaction: Transaction, name: str) -> None:
    """Logs somebody out everywhere."""
    _end_where(transaction, lambda actor: actor.name == name)


def end_foreign(transaction: Transaction) -> None:
    """Ends those that began by OpenID Connect: what they may do was said by a configuration that may have changed."""
    _end_where(transaction, lambda actor: actor.via == "oidc")


def _end_where(transaction: Transaction, ends: Callable[[Actor], bool]) -> None:
    table = schema.sessions
    for row in transaction.rows(schema.select(table.c.hash, table.c.actor)):
        if ends(msgspec.json.decode(row["actor"], type=Actor)):
            transaction.execute(table.delete().where(table.c.hash == row["hash"]))


def invite(transaction: Transaction, actor: Actor, by: By) -> str:
    """A secret that logs somebody in once, soon."""
    text = secrets.token_urlsafe(32)
    values = {
        "hash": _hash(text),
        "actor": msgspec.json.encode(actor).decode(),
        "expires_at": by.at + ONCE_LASTS,
    }
    transaction.execute(schema.logins.insert().values(values))
    return text


def redeem(transaction: Transaction, text: str, at: int) -> Actor | None:
    """Whom such a secret logs in; it is used up. None where it was before, or its time is over."""
    table = schema.logins
    which = table.c.hash == _hash(text)
    rows = transaction.rows(schema.select(table.c.actor).where(which & (table.c.expires_at > at)))
    transaction.execute(table.delete().where(which | (table.c.expires_at <= at)))
    return msgspec.json.decode(rows[0]["actor"], type=Actor) if rows else None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
