"""Who somebody is here whom another system names: a status file, Slack."""

from __future__ import annotations

from typing import Literal

from treegate.engine import tokens
from treegate.errors import Denied
from treegate.gate.core import Core
from treegate.model.actors import SLACK, Actor, Role


def known_as(core: Core, name: str, channel: str, via: Literal["file", "slack"]) -> Actor:
    """A person by name: a reviewer, unless treegate knows them as something else.

    Raises Denied for an agent, and for whoever had a token once and has none that holds: what a token allowed ends
    with it, and nobody gains by losing one.
    """
    if name == core.config.agent.user:
        raise Denied(f"{name} is the agents' user, which decides nothing", code="role-not-allowed")
    given = [one for one in tokens.tokens(core.store) if one.name == name]
    for token in given:
        if tokens.holds(token, core.clock()):
            actor = tokens.actor_of(token, channel)
            return Actor(name=name, role=actor.role, cases=actor.cases, channel=channel, via=via)
    role = core.config.service.oidc.people.get(name)
    if role is None and given:
        raise Denied(
            f"the token of {name} was revoked or has expired, and what it allowed with it",
            code="token-ended",
            hint="an admin can give them another one, of whatever role and cases",
            next="treegate token list",
        )
    return Actor(name=name, role=role or Role.REVIEWER, channel=channel, via=via)


def of_slack(core: Core, user: str) -> Actor:
    """Who a user of Slack is; raises Denied "slack-user-unknown"."""
    name = core.config.slack.people.get(user)
    if name is None:
        raise Denied(
            f"you are not allowed anything here: {user} is nobody that treegate knows",
            code="slack-user-unknown",
            hint=f"an admin can say who that is, under [slack.people]: {user} = NAME",
        )
    return known_as(core, name, SLACK, "slack")
