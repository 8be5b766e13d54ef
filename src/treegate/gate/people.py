"""Who may come in: tokens made, listed and ended, by an admin, for no more cases than their own."""

from __future__ import annotations

from collections.abc import Iterable

from treegate.engine import tokens
from treegate.engine.store import Reader
from treegate.engine.tokens import Token
from treegate.errors import UsageError
from treegate.gate.core import Core
from treegate.model.actors import LONGEST_NAME, Action, Role, is_name


def create(
    core: Core, name: str, role: Role, cases: Iterable[str] | None = None, expires_at: int | None = None
) -> tuple[Token, str]:
    """A new token, and its text, which is never shown again; of all cases only by whoever sees them all."""
    wanted = None if cases is None else tuple(cases)
    if wanted is None:
        core.actor.require_everywhere(Action.TOKENS)
    else:
        core.actor.require(Action.TOKENS, wanted)
    _check_name(name)
    if expires_at is not None and expires_at <= core.clock():
        raise UsageError("this token would never hold: its time is over", code="expires-too-early")
    with core.store.write() as transaction:
        return tokens.create(transaction, name, role, by=core.by(), cases=wanted, expires_at=expires_at)


def listing(core: Core) -> list[Token]:
    """The tokens that the actor may make and end, without their texts."""
    core.actor.require(Action.TOKENS)
    return _own(core, core.store)


def revoke(core: Core, id_or_name: str) -> Token:
    """Makes a token invalid from now on; raises NotFound "token-not-found", also for one that is not the actor's.

    Its text will do, too: that is what one has of a token that leaked.
    """
    core.actor.require(Action.TOKENS)
    with core.store.write() as transaction:
        own = _own(core, transaction)
        shown = tokens.of_text(transaction, id_or_name)
        id = shown.id if shown is not None and shown in own else tokens.named(own, id_or_name).id
        return tokens.revoke(transaction, id, core.by())


def _own(core: Core, reader: Reader) -> list[Token]:
    found = tokens.tokens(reader)
    return [one for one in found if core.actor.cases is None or (not one.all_cases and core.actor.sees(one.cases))]


def _check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(
            "this is no name for a token",
            code="token-name",
            hint=f"a name is 1 to {LONGEST_NAME} characters that can be printed",
        )
