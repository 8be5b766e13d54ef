"""What a pattern that matches nothing may have meant, and what a path that is a pattern means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from treegate.model import paths
from treegate.model.forest import Fault
from treegate.model.globs import Glob, PatternError
from treegate.model.operations import Copy, Delete, Move
from treegate.model.simulate import Simulation

MAGIC = frozenset("*?[")


class _Guess(NamedTuple):
    pattern: str
    hint: str
    changes: dict[str, Any] = {}
    wider: bool = False


def no_match(sim: Simulation, operation: Move | Copy | Delete, matches: Callable[[str], bool]) -> Fault:
    """The fault of a glob that matches nothing, with the nearest one that `matches` something."""
    pattern = str(operation.match)
    fault = Fault("no-match", f"{pattern!r} matches nothing", key="match", path=paths.joined(sim.base, pattern))
    if sim.may_search():
        for guess in _guesses(sim, operation, pattern):
            if guess.pattern != pattern and matches(guess.pattern):
                fault.hint = f"{guess.hint}: {guess.pattern!r} matches"
                if not (guess.wider and isinstance(operation, Delete)):  # to delete more than was said is no repair
                    fault.changes = {**guess.changes, "match": guess.pattern}
                break
    return fault


def _guesses(sim: Simulation, operation: Move | Copy | Delete, pattern: str) -> Iterator[_Guess]:
    changes = restated(sim, operation)
    yield _Guess(changes["match"], "paths start at the case", changes)
    folder = _literal(pattern)
    near = sim.nearest(paths.joined(sim.base, folder)) if folder else ""
    if near:
        yield _Guess(sim.shown(near) + pattern[len(folder) :], f"the nearest folder is {sim.shown(near)!r}")
    yield _Guess(_in_any_case(pattern), "the names differ in upper and lower case")
    if "**" not in pattern:
        yield _Guess(f"**/{pattern}", "it is further down", wider=True)


def restated(sim: Simulation, operation: Move | Copy | Delete) -> dict[str, Any]:
    """An operation's patterns as they are written from the case on."""
    changes: dict[str, Any] = {"match": paths.from_case(str(operation.match).lstrip("/"), sim.base)}
    if operation.exclude is not UNSET:
        changes["except"] = [paths.from_case(each.lstrip("/"), sim.base) for each in operation.exclude]
    return changes


def _literal(pattern: str) -> str:
    """The folders at the beginning of a pattern that are plain names."""
    parts = pattern.split("/")[:-1]
    end = next((index for index, part in enumerate(parts) if MAGIC & set(part)), len(parts))
    return "/".join(parts[:end])


def _in_any_case(pattern: str) -> str:
    """The pattern with the letters of its last extension (or name) in either case."""
    above, _, name = pattern.rpartition("/")
    if "[" in name:
        return pattern
    ext = paths.extension(name) or name
    letters = "".join(f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else c for c in ext)
    return paths.joined(above, name[: len(name) - len(ext)] + letters)


def refuse_restated(sim: Simulation, operation: Move | Copy) -> None:
    """Raises Fault for a template that names the case, or the folder of cases, once more."""
    better = paths.from_case(operation.to.lstrip("/"), sim.base)
    first = operation.to.lstrip("/").partition("/")[0]
    if not sim.base or better == operation.to or sim.is_there(paths.joined(sim.base, first)):
        return
    text = f"paths start at the case, and {operation.to!r} does not"
    raise Fault("near-miss", text, key="to", path=operation.to, better=better)


def meant_as_glob(operation: Move | Copy | Delete, key: str, fault: Fault) -> Fault:
    """The fault of a path that names nothing, which is a near miss where it is a pattern: `match` takes those."""
    given = str(operation.path if isinstance(operation, Delete) else operation.source)
    if fault.code != "source-missing" or not MAGIC & set(given) or operation.raw is True or not _parses(given):
        return fault
    made = msgspec.to_builtins(operation)
    instead = {"op": made["op"], "match": given, **{k: v for k, v in made.items() if k not in ("op", key, "expect")}}
    if "to" in instead and not instead["to"].endswith("/"):
        instead["to"] += "/"
    hint = "a pattern is written as `match`, and goes into a folder or to a template"
    return Fault("near-miss", fault.message, key=key, path=fault.path, hint=hint, instead=instead)


def _parses(pattern: str) -> bool:
    try:
        Glob.parse(pattern)
    except PatternError:
        return False
    return True
