"""`treegate mcp --print-config`: what a client is given, and that no secret is ever in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from agentwork import TREEGATE, Office

import treegate.mcp
from treegate.errors import UsageError
from treegate.interfaces.cli import cli, failures
from treegate.interfaces.mcp.configs import CLIENTS

KEYS = {"vscode": "servers", "zed": "context_servers", "codex": "mcp_servers"}


class Ended:
    """What was printed."""

    def __init__(self, client: str, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err
        self._client = client

    @property
    def whole(self) -> dict[str, Any]:
        """The document: stdout holds nothing else."""
        return tomllib.loads(self.out) if self._client == "codex" else json.loads(self.out)  # type: ignore[no-any-return]

    @property
    def server(self) -> dict[str, Any]:
        """What it says of our server."""
        found: dict[str, Any] = self.whole[KEYS.get(self._client, "mcpServers")]["treegate"]
        return found


@pytest.fixture
def printed(office: Office, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Prints the configuration of a client."""
    for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREEGATE_STATE", str(office.state))
    monkeypatch.chdir(office.root)

    def run(client: str, *args: str) -> Ended:
        status = failures.guarded(cli, ["mcp", "--print-config", client, *args])
        return Ended(client, status, *capfd.readouterr())

    return run


@pytest.mark.parametrize("client", CLIENTS)
def test_it_names_the_program_and_the_workspace(office: Office, printed: Any, client: str):
    """By their absolute paths: a client begins it wherever it likes. Where it belongs is said beside it."""
    found = printed(client)
    assert found.server["command"] == TREEGATE
    assert found.server["args"] == ["mcp", "--workspace", str(office.root), "--state", str(office.state)]
    assert "put this into" in found.err


@pytest.mark.parametrize("client", CLIENTS)
def test_a_token_is_a_placeholder(office: Office, printed: Any, monkeypatch: pytest.MonkeyPatch, client: str):
    """Whatever the environment holds."""
    token = office.token("ada")
    monkeypatch.setenv("TREEGATE_TOKEN", token)
    found = printed(client)
    assert token not in found.out + found.err
    assert found.server["env"]["TREEGATE_TOKEN"]


@pytest.mark.parametrize("client", [one for one in CLIENTS if one != "claude-desktop"])
def test_a_server_over_http_is_named_by_its_address(printed: Any, client: str):
    """And the token is shown in a header, or read from a variable."""
    found = printed(client, "--http", "--port", "9000")
    assert found.server["url"] == "http://127.0.0.1:9000/mcp"
    assert "command" not in found.server
    assert found.server.get("bearer_token_env_var") or found.server["headers"]["Authorization"].startswith("Bearer ")


def test_a_client_without_a_way_is_told_so(printed: Any):
    """Claude Desktop's file takes programs only."""
    found = printed("claude-desktop", "--http")
    assert found.status == 2
    assert "client-is-local" in found.err


@pytest.mark.parametrize("client", CLIENTS)
def test_a_service_is_named(printed: Any, client: str):
    """With its address, and a place for the token that it asks for."""
    found = printed(client, "--server", "http://127.0.0.1:8473")
    assert found.server["args"] == ["mcp", "--server", "http://127.0.0.1:8473"]
    assert found.server["env"]["TREEGATE_TOKEN"]


def test_odd_names_are_written_as_each_format_has_it(printed: Any, tmp_path: Path):
    """Quotes, backslashes and what is not ASCII."""
    odd = tmp_path / 'M\u00fcller "&" \\ Co'
    odd.mkdir()
    for client in ("codex", "generic"):
        assert printed(client, "--plans", str(odd)).server["args"][-1] == str(odd)


def test_vscode_asks_for_the_token(printed: Any):
    """It keeps what is typed, so that the file holds none."""
    found = printed("vscode", "--server", "http://127.0.0.1:8473")
    assert found.whole["inputs"][0]["password"] is True
    assert found.server["env"]["TREEGATE_TOKEN"] == f"${{input:{found.whole['inputs'][0]['id']}}}"


@pytest.mark.parametrize("missing", ["mcp", "fastapi"])
def test_without_the_extra_it_says_what_to_install(office: Office, missing: str):
    """At the command line, and in a program of somebody's own."""
    code = f"import sys; sys.modules[{missing!r}] = None; from treegate.interfaces.cli import main; main()"
    command = [sys.executable, "-c", code, "mcp", "--http", "--json", "--workspace", str(office.root)]
    done = subprocess.run(command, capture_output=True, text=True, env=office.environ, timeout=60)
    told = json.loads(done.stdout)["error"]
    assert (told["code"], told["hint"]) == ("extra-missing", "pip install 'treegate[mcp,service]'")


def test_without_the_sdk_there_is_no_server(monkeypatch: pytest.MonkeyPatch):
    """Which is told as every error is."""
    monkeypatch.setitem(sys.modules, "treegate.interfaces.mcp.server", None)
    with pytest.raises(UsageError) as caught:
        treegate.mcp.server(None)  # type: ignore[arg-type]
    assert caught.value.code == "extra-missing"
