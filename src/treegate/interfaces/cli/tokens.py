"""token create, list, revoke."""

from __future__ import annotations

import click

from treegate.errors import UsageError
from treegate.interfaces.cli import common
from treegate.model.actors import Role
from treegate.model.names import visible


@click.group("token")
def token_command() -> None:
    """Tokens name people and agents, and say what they may do."""


@token_command.command("create")
@click.option("--name", required=True, help="Who it stands for.")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--case", "cases", multiple=True, metavar="C", help="Only for this case; may be repeated.")
@click.option("--expires", metavar="T", help='For how long, such as "30d"; else until it is revoked.')
@common.options
def create(
    name: str,
    role: str,
    cases: tuple[str, ...],
    expires: str | None,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """A new token. It is shown this once."""
    gate = common.open_gate(workspace, state)
    token, text = gate.create_token(name, Role(role), cases or None, _until(gate, expires))
    if as_json:
        common.emit({"id": token.id, "name": token.name, "role": token.role, "token": text})
        return
    common.say(text)
    for case in sorted({*cases} - {one.case for one in gate.cases()} if cases else ()):
        click.echo(f"note: there is no case {visible(case)} (yet)", err=True)
    click.echo(
        f"{token.id}: {visible(token.name)}, {token.role}. It is shown this once; use it as TREEGATE_TOKEN.", err=True
    )


def _until(gate: object, expires: str | None) -> int | None:
    if expires is None:
        return None
    from treegate.gate.core import milliseconds
    from treegate.model.measures import parse_duration

    try:
        return milliseconds() + parse_duration(expires)
    except ValueError as error:
        raise UsageError(f"--expires: {error}", next="treegate token create --help") from None


@token_command.command("list")
@common.options
def list_tokens(workspace: str | None, state: str | None, as_json: bool) -> None:
    """All tokens, without their texts."""
    gate = common.open_gate(workspace, state)
    found = gate.list_tokens()
    if as_json:
        common.emit({"tokens": found})
        return
    for token in found:
        until = "revoked" if token.revoked_at else common.moment(token.expires_at) if token.expires_at else "no end"
        cases = "all cases" if token.all_cases else ", ".join(map(visible, token.cases))
        common.say(f"{token.id}  {visible(token.name):<20}  {token.role:<9}  {until}  {cases}")
    if not found:
        common.say("no tokens; next: treegate token create --name NAME --role reviewer")


@token_command.command("revoke")
@click.argument("token")
@common.options
def revoke(token: str, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Make a token (by id or name) invalid from now on."""
    gate = common.open_gate(workspace, state)
    gone = gate.revoke_token(token)
    if as_json:
        common.emit(gone)
    else:
        common.say(f"{gone.id} ({visible(gone.name)}) is revoked")
