"""Whoever is told, and the door that Slack is: made from the configuration, for whatever process stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, cast

from treegate.engine.config import Config
from treegate.errors import UsageError
from treegate.gate import Gate
from treegate.interfaces.notify.notifier import Caller, Notifier, webhooks
from treegate.interfaces.notify.port import Sink
from treegate.interfaces.notify.webhook import key_for

if TYPE_CHECKING:
    from treegate.interfaces.slack.door import Door


class Doors:
    """The notifier, and Slack where it is configured; `environ` has the secrets."""

    def __init__(self, gate: Gate, crew: Caller, environ: Mapping[str, str], wake: Callable[[], None]) -> None:
        self.slack = _slack(gate, crew, environ, wake) if gate.core.config.slack.channel else None
        sinks: list[Sink] = [*webhooks(gate, environ), *([self.slack.sink] if self.slack is not None else [])]
        self.notifier = Notifier(gate, crew, sinks, self.slack.lines if self.slack is not None else ())

    async def close(self) -> None:
        """Answers whoever has asked, and ends."""
        if self.slack is not None:
            await self.slack.answers.settle()
        await self.notifier.stop()


def check(config: Config, environ: Mapping[str, str]) -> None:
    """Raises UsageError where somebody is to be told, and what that takes is missing."""
    for hook in config.webhooks:
        key_for(hook, environ)
    if config.slack.channel:
        _door().credentials(config.slack, environ)


def _slack(gate: Gate, crew: Caller, environ: Mapping[str, str], wake: Callable[[], None]) -> Door:
    """Raises UsageError where the extra is not installed, or a secret is missing."""
    return cast("Door", _door().Door(gate, crew, environ, wake))


def _door() -> ModuleType:
    try:
        from treegate.interfaces.slack import door
    except ModuleNotFoundError as error:
        text, hint = "slack.channel is set, and Slack needs the extra `slack`", "pip install 'treegate[slack]'"
        raise UsageError(text, code="slack-extra-missing", hint=hint) from error
    return door
