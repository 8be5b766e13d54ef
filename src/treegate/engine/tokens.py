"""Tokens: what someone shows at a door to act under a name and a role. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

import msgspec

from treegate.engine import schema
from treegate.engine.schema import Prepared
from treegate.engine.store import By, Reader, Transaction, new_id
from treegate.errors import Denied, NotFound, UsageError
from treegate.model.actors import Actor, Role


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret; times in milliseconds since 1970, UTC."""

    seq: int
    id: str
    name: str
    role: Role
    all_cases: bool
    cases: tuple[str, ...]
    created_at: int
    created_by: str
    expires_at: int | None
    revoked_at: int | None


_COLUMNS = [schema.tokens.c[name] for name in Token.__struct_fields__]
_ALL = Prepared(schema.select(*_COLUMNS).order_by(schema.tokens.c.seq))


def create(
    transaction: Transaction,
    name: str,
    role: Role,
    *,
    by: By,
    cases: Iterable[str] | None = None,
    expires_at: int | None = None,
) -> tuple[Token, str]:
    """A new token and its text `tg_…`, which is shown this once: only its hash is kept.

    `cases` None means all of them. Raises UsageError "token-name-taken" while another token of that name is valid,
    for a name stands for one person in every decision.
    """
    if any(token.name == name and holds(token, by.at) for token in tokens(transaction)):
        raise UsageError(
            f"there is a valid token named {name!r} already",
            code="token-name-taken",
            hint="a name stands for one person or agent: take another, or revoke that token first",
            next="treegate token list",
        )
    text, id = f"tg_{secrets.token_urlsafe(32)}", new_id("tok", secrets.token_bytes(5))
    values = {
        "id": id,
        "name": name,
        "role": role.value,
        "all_cases": cases is None,
        "cases": tuple(sorted(cases or ())),
        "hash": _hash(text),
        "created_at": by.at,
        "created_by": by.actor,
        "expires_at": expires_at,
    }
    transaction.execute(schema.tokens.insert().values(values))
    made = named(tokens(transaction), id)
    transaction.log("token-created", by, data={"id": id, "name": made.name, "role": role.value})
    return made, text


def authenticate(reader: Reader, text: str, *, at: int, channel: str = "cli") -> Actor:
    """Who a token stands for; raises Denied "token-unknown", "token-revoked" or "token-expired"."""
    return actor_of(shown(reader, text, at=at), channel)


def shown(reader: Reader, text: str, *, at: int) -> Token:
    """The token that somebody shows; raises as `authenticate` does."""
    hash = _hash(text)
    token = reader.recalled(("token", hash), lambda: _of_hash(reader, hash))
    if token is None:
        raise _denied("unknown", "is not known in this workspace; it may be another one's")
    if token.revoked_at is not None:
        raise _denied("revoked", "was revoked")
    if not holds(token, at):
        raise _denied("expired", "has expired")
    return token


def _of_hash(reader: Reader, hash: str) -> Token | None:
    return reader.first(schema.select(*_COLUMNS).where(schema.tokens.c.hash == hash), Token)


def of_text(reader: Reader, text: str) -> Token | None:
    """The token of this text, whether or not it holds."""
    return _of_hash(reader, _hash(text))


def of_id(reader: Reader, id: str) -> Token | None:
    """The token of exactly this id."""
    return reader.first(schema.select(*_COLUMNS).where(schema.tokens.c.id == id), Token)


def actor_of(token: Token, channel: str) -> Actor:
    """Who acts under a token."""
    cases = None if token.all_cases else token.cases
    return Actor(name=token.name, role=token.role, cases=cases, channel=channel, via="token")


def tokens(reader: Reader) -> list[Token]:
    """Every token there ever was, oldest first."""
    return reader.found(_ALL, Token)


def revoke(transaction: Transaction, id_or_name: str, by: By) -> Token:
    """End a token, now and for good; by name, the valid one is meant. Raises NotFound "token-not-found"."""
    token = named(tokens(transaction), id_or_name)
    if token.revoked_at is None:
        table = schema.tokens
        transaction.execute(table.update().where(table.c.id == token.id).values(revoked_at=by.at))
        transaction.log("token-revoked", by, data={"id": token.id, "name": token.name})
    return named(tokens(transaction), token.id)


def named(among: Iterable[Token], id_or_name: str) -> Token:
    """The token of an id or name; by name, the valid one is meant. Raises NotFound "token-not-found"."""
    found = [token for token in among if id_or_name in {token.id, token.name}]
    if not found:
        raise NotFound(
            "there is no such token" if id_or_name.startswith("tg_") else f"there is no token {id_or_name!r}",
            code="token-not-found",
            hint="see which there are",
            next="treegate token list",
        )
    return next((token for token in found if token.revoked_at is None), found[-1])


def holds(token: Token, at: int) -> bool:
    """Whether a token is valid at a time."""
    return token.revoked_at is None and (token.expires_at is None or at < token.expires_at)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _denied(what: str, says: str) -> Denied:
    return Denied(
        f"this token {says}",
        code=f"token-{what}",
        hint="set TREEGATE_TOKEN to one that holds, or unset it; an admin makes new ones",
        next="treegate token create --help",
    )
