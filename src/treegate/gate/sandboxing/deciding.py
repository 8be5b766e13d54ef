"""Deciding on commands before they run: each on exactly what the digest of one names, by the rules of plans."""

from __future__ import annotations

from typing import Any

from treegate.engine import sandboxes, tokens
from treegate.engine.audit import Json
from treegate.engine.sandboxes import Sandbox
from treegate.errors import Denied, Expired, PlanError, Stale, TreegateError
from treegate.gate.core import Core
from treegate.gate.queue import scripts
from treegate.gate.sandboxing import looking
from treegate.model.actors import Action, Role
from treegate.model.commands import OVER, State
from treegate.model.lifecycle import WrongState

CANCEL = "cancel"  # a file in the folder of a command that is to end


def approve(core: Core, prefix: str, digest: str, comment: str = "") -> Sandbox:
    """Lets the command run, once, that a digest (from 12 characters) names; not one of one's own, as with plans."""
    found = _decidable(core, prefix, digest)
    if found.author == core.actor.name and not core.config.policy.approval.own:
        raise Denied(
            f"{core.actor.name} asked for {found.id} and may not approve it",
            code="own-command",
            hint="someone else has to look at it (or an admin sets policy.approval.own, as `init --solo` does)",
            next=f"treegate show {found.id}",
        )
    expires_at = core.clock() + core.config.policy.approval.expires
    return _decided(core, found, (State.WAITING,), State.APPROVED, comment, expires_at=expires_at)


def reject(core: Core, prefix: str, digest: str, comment: str) -> Sandbox:
    """Turns a command down before it runs; exactly the same is refused from then on, with the reason."""
    found = _decidable(core, prefix, digest)
    if not comment.strip():
        text = "write a word on it: whoever asked has nothing else to go by"
        raise PlanError(text, code="comment-needed", hint="say why; nothing was decided")
    return _decided(core, found, (State.WAITING, State.APPROVED), State.REJECTED, comment)


def cancel(core: Core, prefix: str, comment: str = "") -> Sandbox:
    """Ends a command that runs, or takes back one that does not yet; nothing for one that is over.

    What a command did until it was ended is captured all the same.
    """
    found = looking.one(core, prefix)
    require_own(core, found)
    if found.state is State.RUNNING:
        (looking.folder(core, found.id) / CANCEL).touch(mode=0o600)
    if found.state in OVER | {State.RUNNING}:
        return found
    return _decided(core, found, (State.WAITING, State.APPROVED), State.WITHDRAWN, comment)


def is_own(core: Core, found: Sandbox) -> bool:
    """Whether whoever acts may have a command run, or end it."""
    own = core.actor.name == found.author or core.actor.role in {Role.OPERATOR, Role.ADMIN}
    return own and core.actor.may(Action.PROPOSE, found.cases)


def require_own(core: Core, found: Sandbox) -> None:
    """Raises Denied unless whoever acts may have a command run, or end it."""
    core.actor.require(Action.PROPOSE, found.cases)
    if core.actor.name != found.author and core.actor.role not in {Role.OPERATOR, Role.ADMIN}:
        raise Denied(
            f"{found.id} is {found.author}'s, not {core.actor.name}'s",
            code="not-your-command",
            hint="its author, an operator or an admin may run it, or end it",
            next=f"treegate show {found.id}",
        )


def still_holds(core: Core) -> bool:
    """Whether whoever acts, if by a token, has one that holds: a command takes its time, and tokens end meanwhile."""
    name, now = core.actor.name, core.clock()
    return core.actor.via != "token" or any(
        one.name == name and tokens.holds(one, now) for one in tokens.tokens(core.store)
    )


def _decidable(core: Core, prefix: str, digest: str) -> Sandbox:
    found = looking.one(core, prefix)
    core.actor.require(Action.DECIDE, found.cases)
    given = digest.strip().lower().removeprefix("sha256:")
    if len(given) < 12 or not found.digest.startswith(given):
        short = len(given) < 12
        raise Stale(
            f"{digest!r} is not the digest of the command {found.id}",
            code="digest-not-current",
            hint="give at least 12 characters of it" if short else "look at the command, and decide on that",
            next=f"treegate show {found.id}",
        )
    return found


def _decided(
    core: Core, found: Sandbox, states: tuple[State, ...], state: State, comment: str, **columns: Any
) -> Sandbox:
    by = core.by()
    with core.store.write() as transaction:
        now = sandboxes.sandbox(transaction, found.id)
        if now.state is state:
            return now
        if now.state not in states:
            raise not_in_state(now)
        decided = {"decided_by": by.actor, "decided_at": by.at, "comment": comment}
        sandboxes.change(transaction, found.id, state=state.value, **decided, **columns)
        data: dict[str, Json] = {"digest": now.digest, "role": by.role, "comment": comment}
        sandboxes.log(transaction, f"sandbox-{state.value}", by, found.id, data)
    now = sandboxes.sandbox(core.store, found.id)
    scripts.bring(core, now)
    return now


def not_in_state(found: Sandbox) -> TreegateError:
    """What is said of a command that is past what was asked."""
    if found.state is State.EXPIRED:
        text = f"the approval of the command {found.id} ran out before it ran"
        return Expired(text, code="approval-expired", hint="ask for it again", next=f"treegate show {found.id}")
    text = f"the command {found.id} is {found.state.value}"
    return WrongState(text, code=f"sandbox-{found.state.value}", next=f"treegate show {found.id}")
