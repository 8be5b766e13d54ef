"""The door that Slack is: made from the configuration, for the service or for a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from treegate.engine.configfile import SLACK_SECRETS
from treegate.engine.telling import Slack, secret_of
from treegate.errors import UsageError
from treegate.gate import Gate
from treegate.interfaces.notify.notifier import Caller, Line
from treegate.interfaces.slack.answers import Answers
from treegate.interfaces.slack.api import Api, Signed
from treegate.interfaces.slack.app import App
from treegate.interfaces.slack.sink import SlackSink


class Credentials(NamedTuple):
    """What Slack knows us by, and we it."""

    bot: str
    signing: str
    app: str


class Door:
    """Slack, with all that listens and tells; it opens nothing by itself."""

    def __init__(self, gate: Gate, crew: Caller, environ: Mapping[str, str], wake: Callable[[], None]) -> None:
        settings, url = gate.core.config.slack, gate.core.config.service.public_url
        known = credentials(settings, environ)
        api = Api(settings.api, known.bot)
        self.sink = SlackSink(gate, crew, api, settings.channel, url)
        self.answers = Answers(gate, crew, url, wake)
        self.app = App(api, self.answers, settings.commands)
        socket = settings.mode == "socket"
        self.signed = None if socket else Signed(known.signing)
        self.lines: list[Line] = [self.app.line(known.app)] if socket else []


def credentials(settings: Slack, environ: Mapping[str, str]) -> Credentials:
    """The secrets of the configuration; raises UsageError "slack-unusable" where one is missing."""
    files = (settings.bot_token_file, settings.signing_secret_file, settings.app_token_file)
    try:
        known = Credentials(
            *(secret_of(file, name, environ) for file, name in zip(files, SLACK_SECRETS, strict=True))
        )
    except (OSError, UnicodeDecodeError) as error:
        hint = "give the file to the user that runs this, and to nobody else"
        raise _unusable(f"a secret of Slack cannot be read: {error}", hint) from None
    needed = {"bot_token_file": known.bot}
    needed |= {"app_token_file": known.app} if settings.mode == "socket" else {"signing_secret_file": known.signing}
    for key, value in needed.items():
        if not value:
            what = key.removesuffix("_file").replace("_", " ")
            hint = f"put it into the file that slack.{key} names, or into TREEGATE_SLACK_{key.upper()[:-5]}"
            raise _unusable(f"slack.channel is set, and there is no {what}", hint)
    return known


def _unusable(text: str, hint: str) -> UsageError:
    return UsageError(text, code="slack-unusable", hint=hint, next="treegate config show")
