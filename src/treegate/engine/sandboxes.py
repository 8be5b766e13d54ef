"""Commands in sandboxes as the store has them: what was asked for, who allowed it, what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from treegate.engine import schema
from treegate.engine.audit import Json
from treegate.engine.sandbox.order import Limits
from treegate.engine.schema import Prepared, bind
from treegate.engine.store import By, Reader, Transaction
from treegate.engine.store.lookups import Named
from treegate.engine.store.writer import names
from treegate.errors import NotFound
from treegate.model.actors import Actor
from treegate.model.commands import State, Tool
from treegate.model.problems import Problem

SANDBOXES = Named("sb_", "sandbox", schema.sandboxes, schema.sandbox_cases.c.sandbox)


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was asked for; times in ms since 1970, UTC. What stands as JSON is read by the properties."""

    seq: int
    id: str
    author: str
    channel: str
    actor: str
    cases: tuple[str, ...]
    command: tuple[str, ...]
    tools: str
    script: bytes | None
    engine: str
    image: str
    limits: str
    direct: bool
    reads: bool
    digest: str
    state: State
    decided_by: str | None
    decided_at: int | None
    comment: str | None
    expires_at: int | None
    created_at: int
    started_at: int | None
    ended_at: int | None
    status: int | None
    why: str | None
    error: str | None
    wanted: str | None
    plan: str | None
    problems: str

    @property
    def asker(self) -> Actor:
        """On whose behalf it runs."""
        return msgspec.json.decode(self.actor, type=Actor)

    @property
    def seen_tools(self) -> list[Tool]:
        """The tools that it sees, a script that was dropped among them."""
        return msgspec.json.decode(self.tools, type=list[Tool])

    @property
    def may_use(self) -> Limits:
        """How much it may use."""
        return msgspec.json.decode(self.limits, type=Limits)

    @property
    def found(self) -> list[Problem]:
        """What its plan has to say besides its operations."""
        return msgspec.json.decode(self.problems, type=list[Problem])


_c = schema.sandboxes.c
_ONE = Prepared(schema.sandboxes.select().where(_c.id == bind("id")))
_WANTED = Prepared(schema.sandboxes.select().where(_c.wanted == bind("wanted")))
_OF_PLAN = Prepared(schema.sandboxes.select().where(_c.plan == bind("plan")))
_IN_STATE = Prepared(schema.sandboxes.select().where(_c.state == bind("state")).order_by(_c.seq))
_REJECTED = Prepared(
    schema.sandboxes.select().where((_c.digest == bind("digest")) & (_c.state == State.REJECTED.value)).limit(1)
)
_OF_AUTHOR = Prepared(
    schema.select(schema.func.count()).where((_c.author == bind("author")) & (_c.state == bind("state")))
)
_LAST_BEGUN = Prepared(schema.select(schema.func.max(_c.started_at)))


def add(transaction: Transaction, by: By, **values: Any) -> Sandbox:
    """Stores a command, in the state it has from the beginning."""
    transaction.insert(schema.sandboxes, {"problems": "[]", "created_at": by.at, **values})
    id, cases = values["id"], values["cases"]
    transaction.insert_many(schema.sandbox_cases, ({"sandbox": id, "case": case} for case in sorted(set(cases))))
    data: dict[str, Json] = {
        "digest": values["digest"],
        "command": names(values["command"]),
        "cases": names(cases),
        "direct": values["direct"],
        "state": values["state"],
    }
    log(transaction, "sandbox-asked", by, id, data)
    return sandbox(transaction, id)


def log(
    transaction: Transaction, event: str, by: By, id: str, data: Mapping[str, Json], plan: str | None = None
) -> None:
    """Notes what happened to a command in the audit log."""
    transaction.log(event, by, plan=plan, data={"sandbox": id, **data})


def change(transaction: Transaction, id: str, **values: Any) -> None:
    """Changes columns of a command."""
    transaction.update(schema.sandboxes, {"id": id}, values)


def sandbox(reader: Reader, id: str) -> Sandbox:
    """The command of exactly this id; raises NotFound."""
    found = reader.one(_ONE, Sandbox, id=id)
    if found is None:
        raise missing(id)
    return found


def missing(id: str) -> NotFound:
    """What is said where there is no such command, or none that may be seen."""
    text = f"there is no sandbox {id}"
    return NotFound(text, code="sandbox-not-found", hint="see what there is", next="treegate list --sandboxes")


def find(reader: Reader, prefix: str, within: Collection[str] | None = None) -> Sandbox:
    """The command whose id is, or alone begins with, `prefix`; raises NotFound or UsageError "ambiguous-id"."""
    return sandbox(reader, SANDBOXES.look_up(reader, prefix, within))


def wanted(reader: Reader, plan: str) -> Sandbox | None:
    """The script that was dropped and is to become the plan of this id."""
    return reader.one(_WANTED, Sandbox, wanted=plan)


def of_plan(reader: Reader, plan: str) -> Sandbox | None:
    """The command that a plan came of."""
    return reader.one(_OF_PLAN, Sandbox, plan=plan)


def in_state(reader: Reader, state: State) -> list[Sandbox]:
    """The commands in a state, oldest first."""
    return reader.found(_IN_STATE, Sandbox, state=state.value)


def rejected(reader: Reader, digest: str) -> Sandbox | None:
    """The command with exactly this digest that somebody turned down."""
    return reader.one(_REJECTED, Sandbox, digest=digest)


def open_of(reader: Reader, author: str, states: Iterable[State]) -> int:
    """How many commands of an author are in some states."""
    return sum(reader.asked(_OF_AUTHOR, author=author, state=state.value)[0][0] for state in states)


def last_begun(reader: Reader) -> int:
    """When a command last began; 0 for never."""
    return reader.asked(_LAST_BEGUN)[0][0] or 0


def listed(
    reader: Reader,
    states: Iterable[State] = (),
    case: str | None = None,
    limit: int = 50,
    cursor: int | None = None,
    within: Collection[str] | None = None,
) -> list[Sandbox]:
    """Commands, newest first; with `within`, only those that see none but these cases."""
    table, of = schema.sandboxes, schema.sandbox_cases
    query = table.select().order_by(table.c.seq.desc()).limit(limit)
    if wanted := [state.value for state in states]:
        query = query.where(table.c.state.in_(wanted))
    if case is not None:
        query = query.where(table.c.id.in_(schema.select(of.c.sandbox).where(of.c.case == case)))
    if within is not None:
        query = query.where(SANDBOXES.within(within))
    if cursor is not None:
        query = query.where(table.c.seq < cursor)
    return reader.all(query, Sandbox)
