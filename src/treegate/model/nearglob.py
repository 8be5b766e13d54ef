"""What a pattern that matches nothing may have meant, and what a path that is a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from treegate.model import paths
from treegate.model.forest import Fault
from treegate.model.globs import Glob, PatternError
from treegate.model.matches import matches
from treegate.model.operations import Copy, Delete, Move
from treegate.model.simulate import Simulation

MAGIC = frozenset("*?[")


class _Guess(NamedTuple):
    pattern: str
    hint: str
    wider: bool = False  # it means more than what was written, were that there


def no_match(sim: Simulation, operation: Move | Copy | Delete) -> Fault:
    """The fault of a glob that matches nothing, with the nearest one that matches something."""
    pattern = str(operation.match)
    fault = Fault("no-match", f"{pattern!r} matches nothing", key="match", path=paths.joined(sim.base, pattern))
    if not sim.search.may_search():
        return fault
    anew = sim.search.restated(operation)
    excluded, better = anew.get("except", operation.exclude or ()), anew.get("match", pattern)
    if excluded and _count(sim, better) and not _count(sim, better, excluded):
        fault.hint = "`except` leaves out all that it matches"
        return fault
    for guess in _guesses(sim, pattern, better):
        if guess.pattern != pattern and _count(sim, guess.pattern, excluded):
            fault.hint = f"{guess.hint}: {guess.pattern!r} matches"
            if not (guess.wider and isinstance(operation, Delete)):  # to delete more than was said is no repair
                fault.changes = {"match": guess.pattern}
            break
    return fault


def _count(sim: Simulation, pattern: str, excluded: Iterable[str] = (), most: int = 1) -> int:
    """How many entries a glob that nobody wrote matches, counted up to `most`."""
    try:
        found = matches(sim, Glob.parse(pattern), [Glob.parse(each) for each in excluded])
        return sum(1 for _ in islice(found, most))
    except (PatternError, Fault):
        return 0


def _guesses(sim: Simulation, given: str, pattern: str) -> Iterator[_Guess]:
    """What a pattern may have meant, the likeliest first; `given` is how it was written."""
    if pattern != given:
        yield _Guess(pattern, "paths start at the case" if sim.base else "that is the nearest case")
    folder, hint = _literal(pattern), "the names differ in upper and lower case"
    now = _whereabouts(sim, folder)
    if now not in ("", folder):
        pattern, hint = now + pattern[len(folder) :], f"the nearest folder is {now!r}"
        yield _Guess(pattern, hint)
    tail = pattern[len(now) :] if now else pattern
    for any_case in (_extension_in_any_case(tail), _in_any_case(tail)):
        yield _Guess(now + any_case, hint)
    if not MAGIC & set(pattern.rpartition("/")[2]):
        yield _Guess(f"{pattern}/", "a folder is meant by a `/` at the end", wider=True)
    if "**" not in pattern:
        for deeper in (pattern, _extension_in_any_case(pattern)):
            yield _Guess(f"**/{deeper}" if sim.base else _below_case(deeper), "it is further down", wider=True)


def _below_case(pattern: str) -> str:
    case, _, rest = pattern.partition("/")
    return f"{case}/**/{rest}"


def _whereabouts(sim: Simulation, folder: str) -> str:
    """Where a folder is by now, or the nearest one there is; or ''."""
    path = paths.joined(sim.base, folder)
    return sim.shown(sim.search.now_at(path) or sim.search.nearest(path)) if folder else ""


def _literal(pattern: str) -> str:
    """The folders at the beginning of a pattern that are plain names."""
    parts = pattern.split("/")[:-1]
    end = next((index for index, part in enumerate(parts) if MAGIC & set(part)), len(parts))
    return "/".join(parts[:end])


def _extension_in_any_case(pattern: str) -> str:
    """The pattern with the letters of its last extension in either case."""
    name = pattern.rpartition("/")[2]
    ext = paths.extension(name)
    return pattern[: len(pattern) - len(ext)] + _in_any_case(ext)


def _in_any_case(pattern: str) -> str:
    """The pattern with all its letters in either case; one with classes stays as it is."""
    if "[" in pattern:
        return pattern
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isascii() and c.isalpha() else c for c in pattern)


def refuse_restated(sim: Simulation, operation: Move | Copy) -> None:
    """Raises Fault for a template that names the case, or the folder of cases, once more; or a case that is not."""
    first = operation.to.partition("/")[0]
    plain = first not in ("", "projects", sim.base) if sim.base else first in sim.forest.cases
    if plain or "{" in first:
        return
    better = sim.search.restated(operation).get("to", "")
    if better:
        text = f"paths start at {'the' if sim.base else 'a'} case, and {operation.to!r} does not"
        raise Fault("near-miss", text, key="to", path=operation.to, better=better)


def meant_as_glob(sim: Simulation, operation: Move | Copy | Delete, key: str, fault: Fault) -> Fault:
    """The fault of a path that names nothing, which is a near miss where it is a pattern: `match` takes those.

    A name with a bracket in it may be misspelled: the nearest name goes before a pattern that matches nothing.
    """
    given = str(operation.path if isinstance(operation, Delete) else operation.source)
    if fault.code not in ("source-missing", "path-malformed") or not MAGIC & set(given) or sim.raw:
        return fault
    anew = sim.search.restated(operation)
    pattern = anew.get(key, given)
    if not _parses(pattern) or (fault.code == "path-malformed" and pattern == given):
        return fault
    count = _count(sim, pattern, most=2) if sim.search.may_search() else 2
    if count == 0 and fault.changes and fault.code == "source-missing":
        return fault
    made = {**msgspec.to_builtins(operation), **anew}
    instead = {
        "op": made["op"],
        "match": pattern,
        **{k: v for k, v in made.items() if k not in ("op", key, "expect")},
    }
    hint = "a pattern is written as `match`"
    if "to" in instead:
        hint += ", and goes into a folder or to a template"
        instead["to"] = _for_several(instead["to"], count)
    return Fault("near-miss", fault.message, key=key, path=fault.path, hint=hint, instead=instead)


def _for_several(to: str, count: int) -> str:
    """A destination that several entries can go to, a folder or a template; one entry may also get a file's name."""
    named = "{" in to or (count == 1 and paths.extension(to.rpartition("/")[2]))
    return to if named or to.endswith("/") else f"{to}/"


def _parses(pattern: str) -> bool:
    try:
        Glob.parse(pattern)
    except PatternError:
        return False
    return True
