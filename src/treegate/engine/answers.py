"""Answers to requests that may come twice, by who asked and the key that the request carries; kept a day."""

from __future__ import annotations

import msgspec

from treegate.engine import schema
from treegate.engine.packing import packed
from treegate.engine.store import Reader, Transaction
from treegate.engine.store.reader import unpacked

LASTS = 24 * 3_600_000  # ms


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered; no `body` where it was too large to be kept."""

    status: int
    headers: dict[str, str]
    body: bytes | None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came before: the hash of what it asked, when it came (ms), and what it was answered, if yet."""

    request: str
    at: int
    answer: Answer | None


class _Row(msgspec.Struct):
    request: str
    at: int
    status: int | None
    headers: str | None
    body: bytes | None


def find(reader: Reader, actor: str, key: str) -> Known | None:
    """The request that came with a key."""
    table = schema.answers
    row = reader.first(table.select().where((table.c.actor == actor) & (table.c.key == key)), _Row)
    if row is None:
        return None
    answer = None
    if row.status is not None:
        headers = msgspec.json.decode(row.headers or "{}", type=dict[str, str])
        answer = Answer(status=row.status, headers=headers, body=None if row.body is None else unpacked(row.body))
    return Known(request=row.request, at=row.at, answer=answer)


def begin(transaction: Transaction, actor: str, key: str, request: str, at: int) -> None:
    """Notes that a request is under way; what is older than a day goes."""
    table = schema.answers
    transaction.execute(table.delete().where(table.c.at <= at - LASTS))
    forget(transaction, actor, key)
    transaction.execute(table.insert().values({"actor": actor, "key": key, "request": request, "at": at}))


def end(transaction: Transaction, actor: str, key: str, answer: Answer) -> None:
    """Keeps what a request was answered."""
    table = schema.answers
    values = {
        "status": answer.status,
        "headers": msgspec.json.encode(answer.headers).decode(),
        "body": None if answer.body is None else packed(answer.body),
    }
    transaction.execute(table.update().where((table.c.actor == actor) & (table.c.key == key)).values(values))


def forget(transaction: Transaction, actor: str, key: str) -> None:
    """Lets go of a key, as if no request had come with it."""
    table = schema.answers
    transaction.execute(table.delete().where((table.c.actor == actor) & (table.c.key == key)))
