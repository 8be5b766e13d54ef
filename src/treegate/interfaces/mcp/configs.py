"""Configuration for the usual clients, ready to paste; a token is only ever a placeholder in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from treegate.errors import UsageError

PLACEHOLDER = "tg_PUT-AN-AUTHORS-TOKEN-HERE"
_NAME, _VARIABLE = "treegate", "TREEGATE_TOKEN"
_INPUT = "treegate-token"


class Way(NamedTuple):
    """How a client reaches the server: a program that it begins, or the address of one that runs."""

    program: str = ""
    args: tuple[str, ...] = ()
    url: str = ""
    token: bool = True  # whether the program has to be given one


class Written(NamedTuple):
    """A configuration, and where it belongs."""

    text: str
    place: str


def written(client: str, way: Way) -> Written:
    """The configuration of a client; raises UsageError where it has no way to take such a server."""
    make, place = _CLIENTS[client]
    return Written(make(way), place)


def _servers(placeholder: str, *, key: str = "mcpServers", typed: bool = False) -> Callable[[Way], str]:
    """Of the clients that take JSON with the servers by name."""

    def make(way: Way) -> str:
        kind = {"type": "http" if way.url else "stdio"} if typed else {}
        return _json({key: {_NAME: kind | _reached(way, placeholder)}})

    return make


def _reached(way: Way, placeholder: str) -> dict[str, Any]:
    if way.url:
        return {"url": way.url, "headers": {"Authorization": f"Bearer {placeholder}"}}
    begun: dict[str, Any] = {"command": way.program, "args": list(way.args)}
    return begun | ({"env": {_VARIABLE: placeholder}} if way.token else {})


def _claude_desktop(way: Way) -> str:
    if way.url:
        hint = "leave --http out: it begins the program itself"
        raise UsageError("claude-desktop takes no servers by address in its file", code="client-is-local", hint=hint)
    return _servers(PLACEHOLDER)(way)


def _vscode(way: Way) -> str:
    placeholder = f"${{input:{_INPUT}}}"
    document = json.loads(_servers(placeholder, key="servers", typed=True)(way))
    if way.token or way.url:
        asked = {
            "type": "promptString",
            "id": _INPUT,
            "description": "A treegate token of an author",
            "password": True,
        }
        document["inputs"] = [asked]
    return _json(document)


def _codex(way: Way) -> str:
    lines = [f"[mcp_servers.{_NAME}]"]
    if way.url:
        lines += [f"url = {_toml(way.url)}", f"bearer_token_env_var = {_toml(_VARIABLE)}"]
    else:
        lines += [f"command = {_toml(way.program)}", f"args = [{', '.join(_toml(one) for one in way.args)}]"]
        if way.token:
            lines += ["", f"[mcp_servers.{_NAME}.env]", f"{_VARIABLE} = {_toml(PLACEHOLDER)}"]
    return "\n".join(lines)


def _toml(text: str) -> str:
    """A TOML string: those of JSON are such, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


_CLIENTS: dict[str, tuple[Callable[[Way], str], str]] = {
    "claude-desktop": (
        _claude_desktop,
        "claude_desktop_config.json: Settings, Developer, Edit Config; then start Claude Desktop anew",
    ),
    "claude-code": (_servers(f"${{{_VARIABLE}}}", typed=True), ".mcp.json in the folder that you start claude in"),
    "cursor": (_servers(f"${{env:{_VARIABLE}}}"), "~/.cursor/mcp.json, or .cursor/mcp.json in a project"),
    "vscode": (_vscode, ".vscode/mcp.json, or what `MCP: Open User Configuration` opens"),
    "zed": (_servers(PLACEHOLDER, key="context_servers"), "settings.json of Zed: `zed: open settings`"),
    "codex": (_codex, "~/.codex/config.toml"),
    "generic": (_servers(PLACEHOLDER), "wherever the client keeps its MCP servers"),
}
CLIENTS = tuple(_CLIENTS)
