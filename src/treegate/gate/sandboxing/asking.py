"""Asking for a command: whether it may run here at all, by whom, on what; stored before anything of it runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import msgspec

from treegate.engine import mounts, pauses, sandboxes
from treegate.engine.sandbox import abilities, toolbox
from treegate.engine.sandboxes import Sandbox
from treegate.errors import Denied, Rejected, UsageError
from treegate.gate import openplans, runs
from treegate.gate.core import Core
from treegate.model import commands
from treegate.model.actors import Action
from treegate.model.commands import Refusal, State, Tool
from treegate.model.effects import check_case
from treegate.model.names import visible

ENGINES = ("auto", "bwrap", "docker")
_HELP = "treegate run --help"
MOST_WORDS, MOST_BYTES = 10_000, 128 << 10  # of a command line
_OPEN = (State.WAITING, State.APPROVED, State.RUNNING)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    cases: tuple[str, ...]
    command: tuple[str, ...]
    tools: tuple[str, ...] = ()  # of the tools, only these
    engine: str = ""  # what is configured
    direct: bool = False
    timeout: float | None = None  # seconds
    reads: bool = False
    script: tuple[str, bytes] | None = None  # one that was dropped: its name as a tool, and its content
    wanted: str = ""  # the id that its plan is to have


def ask(core: Core, asked: Asked) -> Sandbox:
    """Stores a command: `approved` where nobody is asked, else `waiting` for somebody to approve it.

    Raises Denied where policy or role do not allow it, NotFound for a case or tool that there is not, UsageError,
    Rejected where exactly this was turned down, Busy where it is to apply directly and its cases are paused.
    """
    _check_cases(core, asked.cases)
    _check_size(asked.command)
    engine, image = _exactly(core, _engine(core, asked.engine))
    if asked.direct:
        _check_direct(core, asked.cases)
    openplans.refuse_over(core, core.store)
    tools = tools_for(core, asked.tools, asked.script)
    refuse(commands.refusal(asked.command, tools, core.config.sandbox.interpreters, core.config.sandbox.tools))
    _check_mounts(core, asked.cases)
    return _stored(core, asked, engine, image, tools)


def _stored(core: Core, asked: Asked, engine: str, image: str, tools: list[Tool]) -> Sandbox:
    config, cases = core.config.sandbox, tuple(sorted(asked.cases))
    limits = msgspec.to_builtins(config.limits.of_order(_seconds(asked.timeout)))
    reads, script = asked.reads or config.reads, None if asked.script is None else asked.script[1]
    digest = commands.digest_of(
        asked.command,
        cases,
        tools,
        engine=engine,
        image=image,
        limits=limits,
        direct=asked.direct,
        reads=reads,
        script=script,
    )
    with core.store.write() as transaction:
        if turned_down := sandboxes.rejected(transaction, digest):
            raise _already_rejected(turned_down)
        _refuse_over(core, sandboxes.open_of(transaction, core.actor.name, _OPEN))
        return sandboxes.add(
            transaction,
            core.by(),
            id=core.new_id("sb"),
            author=core.actor.name,
            channel=core.actor.channel,
            actor=msgspec.json.encode(core.actor).decode(),
            cases=cases,
            command=tuple(asked.command),
            tools=msgspec.json.encode(tools).decode(),
            script=script,
            engine=engine,
            image=image,
            limits=msgspec.json.encode(limits).decode(),
            direct=asked.direct,
            reads=reads,
            digest=digest,
            state=(State.WAITING if config.approve_command else State.APPROVED).value,
            expires_at=None if config.approve_command else core.clock() + core.config.policy.approval.expires,
            wanted=asked.wanted or None,
        )


def refuse(found: Refusal | None) -> None:
    """Raises what policy says of a command."""
    if found is None:
        return
    kind = UsageError if found.code in {"command-missing", "command-invalid", "no-such-tool"} else Denied
    next = _HELP if kind is UsageError else "treegate config show"
    raise kind(found.sentence, code=found.code, hint=found.hint, next=next)


def tools_for(core: Core, named: Iterable[str], script: tuple[str, bytes] | None = None) -> list[Tool]:
    """The tools that a command sees: those that are named, or all; where policy lists hashes, of these only those."""
    where, only = tuple(core.workspace.folders.tools.split("/")), [_below(core, name) for name in named]
    there = only or (core.workspace.root.joinpath(*where)).is_dir()
    found = toolbox.listed(core.workspace.root, where, only) if there else []
    if script is not None:
        found = [*(tool for tool in found if tool.path != script[0]), toolbox.tool_of(*script)]
    listed = core.config.sandbox.tools
    if not listed:
        return found
    for tool in found:
        if tool.sha256 not in listed and (only or (script is not None and tool.path == script[0])):
            raise Denied(
                f"policy does not list '{visible(tool.path)}' as it is (SHA-256 {tool.sha256})",
                code="tool-not-listed",
                hint="ask an admin to look at it, and about sandbox.tools",
                next="treegate config show",
            )
    return [tool for tool in found if tool.sha256 in listed]


def _below(core: Core, name: str) -> str:
    """A tool by its path below the tools folder, however it was named."""
    folder = core.workspace.root / core.workspace.folders.tools
    for start in (f"{commands.TOOLS}/", f"{folder}/", f"{core.workspace.folders.tools}/"):
        if name.startswith(start):
            return name.removeprefix(start)
    return name.removeprefix("./")


def _check_cases(core: Core, cases: Sequence[str]) -> None:
    if not cases:
        raise UsageError("no case is named", code="case-missing", hint="name one: treegate run CASE -- COMMAND")
    core.actor.require(Action.PROPOSE, cases)
    for case in cases:
        core.check_case(case)
        check_case(case)
    if len(set(cases)) < len(cases):
        raise UsageError("a case is named twice", code="case-twice", hint="name each once", next=_HELP)


def _check_size(command: Sequence[str]) -> None:
    size = sum(len(os.fsencode(word)) + 1 for word in command)
    if len(command) > MOST_WORDS or size > MOST_BYTES:
        text = f"the command has {len(command):,} words and {size:,} bytes, more than can be passed on"
        raise UsageError(text, code="command-too-long", hint="put it into a script among the tools")


def _engine(core: Core, asked: str) -> str:
    configured = core.config.sandbox.engine
    if asked and asked not in ENGINES:
        hint = f"there are {', '.join(ENGINES)}"
        raise UsageError(f"there is no engine '{visible(asked)}'", code="engine-unknown", hint=hint)
    if asked not in {"", "auto", configured} and configured != "auto":
        text = f"commands run on {configured} here, and not on {asked}"
        raise Denied(text, code="engine-not-allowed", hint="an admin sets sandbox.engine")
    return configured if asked in {"", "auto"} else asked


def _exactly(core: Core, engine: str) -> tuple[str, str]:
    """The engine and the image of a command: where a person approves it, the very ones that it would run on now.

    A helper's image is its own to name.
    """
    config = core.config.sandbox
    if not config.approve_command or config.helper:
        return engine, config.image
    found = abilities.engine(engine, config.image)
    return found, (abilities.image_id(config.image) or config.image) if found == "docker" else config.image


def _check_direct(core: Core, cases: Sequence[str]) -> None:
    """Raises Denied or Busy where what a command does could not be applied at once."""
    if not core.config.sandbox.direct:
        raise Denied(
            "policy does not let a command take effect when it ends",
            code="direct-not-allowed",
            hint="leave out --direct: what it did becomes a plan; or ask an admin about sandbox.direct",
            next="treegate config show",
        )
    runs.require_for(core, cases)
    pauses.refuse(core.store, cases)


def _check_mounts(core: Core, cases: Sequence[str]) -> None:
    """Raises UsageError where something is mounted inside a case: a view of the case would show it empty."""
    for case in cases:
        inside = mounts.inside(str(core.workspace.case_path(case)))
        if inside:
            raise UsageError(
                f"'{visible(inside[0])}' is a filesystem of its own inside the case '{visible(case)}'",
                code="case-has-mount",
                hint="no command can be shown a case that has one; unmount it, or take it out of the case",
            )


def _seconds(timeout: float | None) -> float | None:
    if timeout is not None and not 0 < timeout < 1e9:
        raise UsageError("a timeout is a number of seconds above 0", code="timeout-invalid", next=_HELP)
    return timeout


def _refuse_over(core: Core, count: int) -> None:
    most = core.config.policy.limits.open_plans
    if count >= most:
        text = f"{core.actor.name} has {count:,} commands waiting already; policy.limits.open_plans allows {most:,}"
        raise openplans.TooMany(text, hint="wait until some have ended", next="treegate status")


def _already_rejected(found: Sandbox) -> Rejected:
    reason = f": {found.comment}" if found.comment else ""
    return Rejected(
        f"{found.decided_by} rejected exactly this command before, as {found.id}{reason}",
        code="already-rejected",
        hint="change what was objected to; the same command cannot be asked for again",
        next=f"treegate show {found.id}",
    )
