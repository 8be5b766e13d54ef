"""Who acts, and what their role lets them do: propose, decide, carry out, manage."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Literal

import msgspec

from treegate.errors import Denied

HTTP = "http"  # the channel of whoever asks the service with a token
WEB = "web"  # that of people on the pages
QUEUE = "queue"  # that of what lies in the folder
SLACK = "slack"
LONGEST_NAME = 200  # characters


def is_name(name: str) -> bool:
    """Whether a name may stand for somebody in decisions and logs: it has to be read as what it is."""
    return bool(name.strip()) and name.isprintable() and len(name) <= LONGEST_NAME


class Role(StrEnum):
    """What someone is trusted with; an agent is only ever an author."""

    AUTHOR = "author"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Action(StrEnum):
    """What a role may or may not do; each names itself in a refusal."""

    READ = "read"
    PROPOSE = "propose"  # submit, revise, refresh, withdraw
    DECIDE = "decide"  # approve, reject, request changes, revoke
    APPLY = "apply"
    UNDO = "undo"
    RECOVER = "recover"
    PAUSE = "pause"
    PRUNE = "prune"
    TEND = "look after the workspace"  # doctor, fsck, settings, checkpoints
    TOKENS = "manage tokens"
    POLICY = "change policy"


_PROPOSES = frozenset({Action.READ, Action.PROPOSE})
_OPERATES = frozenset({Action.APPLY, Action.UNDO, Action.RECOVER, Action.PAUSE, Action.PRUNE, Action.TEND})

ALLOWED: dict[Role, frozenset[Action]] = {
    Role.AUTHOR: _PROPOSES,
    Role.REVIEWER: _PROPOSES | {Action.DECIDE},
    Role.OPERATOR: _PROPOSES | _OPERATES,
    Role.ADMIN: frozenset(Action),
}


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Someone at one of the doors: the OS user at a shell, or whoever a token or the firm's OpenID Connect names."""

    name: str
    role: Role
    cases: tuple[str, ...] | None = None  # None: all
    channel: str = "cli"  # the door: cli, http, slack, queue, mcp
    # who says so: the system, a token, the firm's OpenID Connect, a file that authors cannot write, or Slack
    via: Literal["os", "token", "oidc", "file", "slack"] = "os"

    def sees(self, cases: Collection[str]) -> bool:
        """Whether all of `cases` are within what this actor may touch."""
        return self.cases is None or set(cases) <= set(self.cases)

    def may(self, action: Action, cases: Collection[str] = (), by: Collection[Role] = ()) -> bool:
        """Whether the role, or one of the roles that policy adds in `by`, allows the action on `cases`."""
        return (action in ALLOWED[self.role] or self.role in by) and self.sees(cases)

    def require(self, action: Action, cases: Collection[str] = (), by: Collection[Role] = ()) -> None:
        """Raise Denied ("role-not-allowed" or "case-not-allowed") unless `may`."""
        if not self.sees(cases):
            raise Denied(
                f"{self.name} has no access to every case this touches",
                code="case-not-allowed",
                hint="ask an admin for a token that covers these cases",
            )
        if not self.may(action, cases, by):
            raise Denied(
                f"{self.name} is {_a(self.role)} and may not {action}",
                code="role-not-allowed",
                hint=f"ask {_a(_who_may(action))}",
            )

    def require_everywhere(self, action: Action, by: Collection[Role] = ()) -> None:
        """As `require`, for what speaks of every case: nobody may whom a token confines to some."""
        if self.cases is not None:
            raise Denied(
                f"{self.name} has no access to every case that this speaks of",
                code="case-not-allowed",
                hint="ask someone who may see them all",
            )
        self.require(action, by=by)


def require_author(actor: Actor) -> Actor:
    """An agent is only ever an author: raises Denied "agent-not-author" for whoever may do more than propose."""
    if actor.role is not Role.AUTHOR:
        raise Denied(
            f"the token is that of {actor.name}, who is {_a(actor.role)}, and can do more than propose",
            code="agent-not-author",
            hint="give the agent an author's token",
            next="treegate token create --name NAME --role author",
        )
    return actor


def os_user(name: str, channel: str = "cli") -> Actor:
    """The person at the shell: admin, for whoever owns the state directory can change everything in it anyway."""
    return Actor(name=name, role=Role.ADMIN, channel=channel, via="os")


def _who_may(action: Action) -> Role:
    return next(role for role in Role if action in ALLOWED[role])


def _a(role: Role) -> str:
    return f"an {role}" if role[0] in "ao" else f"a {role}"
