"""Settings of those who are told what happens: Slack, webhooks, alerts; how each is read from treegate.toml."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

import msgspec

from treegate.engine.netvalues import file, url
from treegate.engine.rules import all_of, inline, item_key, table
from treegate.engine.values import Kind, among, as_toml, choice, list_of, of_type, quoted
from treegate.model.measures import DAY, HOUR, MINUTE
from treegate.model.names import visible
from treegate.model.notification import Kind as Told

COMMANDS = ("list", "show", "approve", "reject", "changes", "undo", "pause", "resume")
"""What `/treegate` does; a command of one's own stands for one of them."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_USER = re.compile(r"[UW][A-Z0-9]{2,20}")
_COMMAND = re.compile(r"/[a-z0-9_-]{1,31}")


class Slack(msgspec.Struct, frozen=True, kw_only=True):
    """Where Slack is told, and who may answer there; "" for a channel is nobody."""

    channel: str = ""
    mode: str = "http"
    people: Mapping[str, str] = {}
    commands: Mapping[str, str] = {}
    bot_token_file: str = ""
    signing_secret_file: str = ""
    app_token_file: str = ""
    api: str = "https://slack.com/api"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One address that is told, signed with a secret; `kinds` are the notifications that it wants, () for all."""

    name: str
    url: str
    secret_file: str = ""
    kinds: tuple[str, ...] = ()


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody is told that something is wrong; durations in ms."""

    stuck: int = 15 * MINUTE
    remind: int = 4 * HOUR
    verify: int = DAY


def people() -> Kind:
    """Who a user of Slack is here."""
    described = 'a name for each user of Slack: "U024BE7LH" = "anna"'
    return _texts(described, _user, _plain)


def commands() -> Kind:
    """What commands of one's own stand for."""
    described = 'one of the words of /treegate for each command: "/roscoe-approve" = "approve"'
    return _texts(described, _command, choice(*COMMANDS).read)


def webhooks() -> Kind:
    """Addresses that are told: each a [[webhooks]]."""
    described = "tables with `name`, `url`, and `secret_file`, `kinds` where wanted"

    def read(value: object) -> tuple[Webhook, ...]:
        items = of_type(list, value, described)
        found = tuple(all_of({item_key(n): partial(_webhook, item) for n, item in enumerate(items, 1)}).values())
        names = [one.name for one in found]
        if len(set(names)) < len(names):
            raise ValueError("two of them have the same name")
        return found

    def write(value: object) -> str:
        return f"[{', '.join(map(_written, value))}]" if isinstance(value, tuple) else "[]"

    return Kind(described, read, write, as_toml)


def safe_url(what: str) -> Kind:
    """An address of the web to which secrets may be sent: over https, or on this machine."""
    kind = url(path=True)

    def read(value: object) -> str:
        text = str(kind.read(value))
        parts = urlsplit(text)
        if text and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"must be https, for {what} goes there, not '{visible(text)}'")
        return text

    return kind._replace(read=read)


def _webhook(value: object) -> Webhook:
    found = table(value, _WEBHOOK, "a key of a webhook")
    for key in ("name", "url"):
        if not found.get(key):
            raise ValueError(f"`{key}` is missing")
    return Webhook(**found)


def _name(value: object) -> str:
    text = of_type(str, value, "a short name")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", text) or text == "slack":
        raise ValueError(f"must be a short name of small letters, digits and dashes, not '{visible(text)}'")
    return text


_WEBHOOK: Mapping[str, Callable[[object], object]] = {
    "name": _name,
    "url": safe_url("what happens").read,
    "secret_file": file().read,
    "kinds": list_of("a list of " + ", ".join(Told), among(tuple(Told))).read,
}


def _written(hook: Webhook) -> str:
    kinds = ", ".join(map(quoted, hook.kinds))
    return inline(
        {
            "name": quoted(hook.name),
            "url": quoted(hook.url),
            "secret_file": quoted(hook.secret_file) if hook.secret_file else "",
            "kinds": f"[{kinds}]" if kinds else "",
        }
    )


def _texts(described: str, key: Callable[[str], None], read_one: Callable[[object], object]) -> Kind:
    """Texts by a name that is free."""

    def read(value: object) -> dict[str, object]:
        found = of_type(dict, value, described)
        return all_of({name: partial(_pair, key, read_one, name, item) for name, item in found.items()})

    def write(value: object) -> str:
        named: Mapping[str, str] = value if isinstance(value, Mapping) else {}
        return inline({name: quoted(item) for name, item in named.items()}) or "{}"

    return Kind(described, read, write, as_toml)


def _pair(key: Callable[[str], None], read_one: Callable[[object], object], name: str, item: object) -> object:
    key(name)
    return read_one(item)


def _user(text: str) -> None:
    if not _USER.fullmatch(text):
        raise ValueError("is no user of Slack: their ids look like U024BE7LH (Profile, Copy member ID)")


def _command(text: str) -> None:
    if not _COMMAND.fullmatch(text) or text == "/treegate":
        raise ValueError("is no name for a command: write one like /roscoe-approve")


def _plain(value: object) -> str:
    text = of_type(str, value, "a name")
    if not text.strip() or not text.isprintable():
        raise ValueError(f"must be a name, not '{visible(text)}'")
    return text


def secret_of(path: str, variable: str, environ: Mapping[str, str]) -> str:
    """A secret, from its file or else its variable; "" for none. Raises OSError or UnicodeDecodeError."""
    if not path:
        return environ.get(variable, "").strip()
    with open(path, encoding="utf-8") as found:
        return found.read().strip()


def wanted(hook: Webhook, kinds: Iterable[str]) -> set[str]:
    """Which of some kinds a webhook is told of."""
    return {kind for kind in kinds if not hook.kinds or kind in hook.kinds}
