"""Sessions: people logged in to the pages, and addresses that log in once. Secrets are stored as hashes."""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from treegate.engine import schema, tokens
from treegate.engine.store import By, Reader, Transaction
from treegate.model.actors import WEB, Actor

LASTS = 12 * 3_600_000  # ms: a working day, then one logs in again
ONCE_LASTS = 15 * 60_000  # ms


class Session(msgspec.Struct, frozen=True):
    """Who is logged in, and by which token, if by one."""

    token: str | None
    actor: str  # JSON
    expires_at: int


def begin(transaction: Transaction, actor: Actor, by: By, token: str | None = None) -> str:
    """Logs somebody in; the secret of the session, which is never shown again."""
    text = secrets.token_urlsafe(32)
    table = schema.sessions
    transaction.execute(table.delete().where(table.c.expires_at <= by.at))
    values = {
        "hash": _hash(text),
        "token": token,
        "actor": msgspec.json.encode(actor).decode(),
        "created_at": by.at,
        "expires_at": by.at + LASTS,
    }
    transaction.execute(table.insert().values(values))
    transaction.log("logged-in", by, data={"token": token})
    return text


def who(reader: Reader, text: str, at: int) -> Actor | None:
    """Who a session stands for; None once it has ended, or the token that it began with holds no more."""
    table = schema.sessions
    query = schema.select(table.c.token, table.c.actor, table.c.expires_at).where(table.c.hash == _hash(text))
    found = reader.first(query, Session)
    if found is None or found.expires_at <= at:
        return None
    if found.token is None:
        return msgspec.json.decode(found.actor, type=Actor)
    token = tokens.of_id(reader, found.token)
    return tokens.actor_of(token, WEB) if token is not None and tokens.holds(token, at) else None


def end(transaction: Transaction, text: str) -> None:
    """Logs out."""
    transaction.execute(schema.sessions.delete().where(schema.sessions.c.hash == _hash(text)))


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
