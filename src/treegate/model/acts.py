"""The acts: what each operation does to the virtual tree."""

from __future__ import annotations

import calendar
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from treegate.model import matching, nearglob, paths
from treegate.model.forest import Fault
from treegate.model.operations import (
    Copy,
    Create,
    Delete,
    Mkdir,
    Move,
    Rename,
    Replace,
    Restore,
    Set,
    Symlink,
    inline_content,
)
from treegate.model.plan import Plan
from treegate.model.simulate import Kept, Outcome, Simulation, World
from treegate.model.transfer import make_room, numbered, transfer
from treegate.model.tree import DIR, FILE, LINK, PACKED, Kind, Made, Node, kind_of


def simulate(plan: Plan, world: World) -> Outcome:
    """The outcome of a plan on the tree as it is now."""
    return Simulation(plan, world).run(ACTS)


def _mkdir(sim: Simulation, operation: Mkdir) -> None:
    folder, name, path = sim.destination(operation.path.removesuffix("/"), "path")
    there = sim.forest.child(folder, name)
    if there is not None and there.kind is DIR:
        if there.made is not None and there.made.implied:
            there.made.implied = False
            sim.forest.touch(there, sim.number)
            return
        by = there.operations[0] if there.made is not None else 0
        code = "work-done-twice" if by else "destination-exists"
        text = f"the folder {operation.path!r} " + (f"is made by operation {by} already" if by else "exists already")
        raise Fault(code, text, key="path", path=path, drop=True, also=(by,) if by else ())
    if there is not None:
        raise Fault("destination-exists", f"there is a {there.kind} at {operation.path!r}", key="path", path=path)
    sim.check_name(folder, name, path, "path")
    sim.forest.touch(sim.forest.make(DIR, folder, name, Made("made")), sim.number)


def _move(sim: Simulation, operation: Move) -> None:
    if operation.match is not UNSET:
        matching.transfer_all(sim, operation)
        return
    assert operation.source is not UNSET
    try:
        node = sim.existing(operation.source, "from")
    except Fault as fault:
        raise nearglob.meant_as_glob(sim, operation, "from", _maybe_done(sim, operation, fault)) from None
    if operation.expect is not UNSET:
        sim.expect(node, operation.expect, operation.source)
    transfer(sim, node, operation.to, operation)


def _maybe_done(sim: Simulation, operation: Move, fault: Fault) -> Fault:
    """A source that an earlier operation took to this very destination was moved twice, not lost."""
    if fault.code != "source-taken" or fault.changes is None or not isinstance(operation.source, str):
        return fault
    name = paths.split(operation.source)[1] if operation.to.endswith("/") else ""
    if paths.joined(sim.base, fault.changes["from"]) != sim.text(operation.to + name, "to"):
        return fault
    text = f"operation {fault.also[0]} moves {operation.source!r} there already"
    return Fault("work-done-twice", text, key="from", path=fault.path, drop=True, also=fault.also)


def _copy(sim: Simulation, operation: Copy) -> None:
    if operation.match is not UNSET:
        matching.transfer_all(sim, operation)
        return
    assert operation.source is not UNSET
    try:
        node = sim.existing(operation.source, "from")
    except Fault as fault:
        raise nearglob.meant_as_glob(sim, operation, "from", fault) from None
    if operation.expect is not UNSET:
        sim.expect(node, operation.expect, operation.source)
    transfer(sim, node, operation.to, operation)


def _rename(sim: Simulation, operation: Rename) -> None:
    node = sim.existing(operation.path, "path")
    sim.expect(node, operation.expect, operation.path)
    above, _ = paths.split(operation.path)
    if "/" in sim.text(operation.name, "name")[len(sim.base) + 1 if sim.base else 0 :]:
        raise Fault(
            "path-malformed", f"{operation.name!r} is a path, not a name", key="name", path=node.path(),
            instead=moved_instead(operation), hint="to give it another folder too, use `move`",
        )  # fmt: skip
    transfer(sim, node, paths.joined(above, operation.name), operation)


def moved_instead(operation: Rename) -> dict[str, Any]:
    """The move that a rename with a path for a name stands for."""
    made: dict[str, Any] = msgspec.to_builtins(operation)
    rest = {key: value for key, value in made.items() if key not in ("op", "path", "name")}
    return {"op": "move", "from": operation.path, "to": operation.name, **rest}


def _content(sim: Simulation, operation: Create | Replace, made: Made) -> None:
    data = inline_content(operation)
    if data is not None:
        made.blob, made.size = hashlib.sha256(data).hexdigest(), len(data)
    else:
        assert operation.blob is not UNSET
        made.blob = operation.blob.removeprefix("sha256:")
        size = sim.world.blob_size(made.blob)
        if size is None:
            path = sim.text(operation.path, "path")
            raise Fault("blob-missing", f"there is no blob {operation.blob[:19]}…", key="blob", path=path)
        made.size = size
    made.mode = None if operation.mode is UNSET else int(operation.mode, 8)
    _refuse_special_bits(made.mode, operation.path)
    made.mtime = None if operation.mtime is UNSET else nanoseconds(operation.mtime, "mtime")


def _create(sim: Simulation, operation: Create) -> None:
    made = Made("created")
    _content(sim, operation, made)
    place(sim, FILE, made, operation.path, operation)


def _symlink(sim: Simulation, operation: Symlink) -> None:
    made = Made("linked")
    try:
        made.target = paths.from_raw(operation.target) if sim.raw else operation.target
    except paths.Malformed as error:
        raise Fault(error.code, error.message, key="target", path=operation.path) from None
    if not made.target or "\0" in made.target:
        raise Fault("path-malformed", "a link needs a target without a NUL", key="target", path=operation.path)
    place(sim, LINK, made, operation.path, operation)


def place(sim: Simulation, kind: Kind, made: Made, given: str, operation: Any) -> None:
    """Puts something that the plan makes at a path that is free, or made free."""
    folder, name, path = sim.destination(given, "path")
    there = sim.forest.child(folder, name)
    if there is not None:
        if there.kind is DIR:
            hint = "name a file in it, or another path"
            raise Fault("destination-is-folder", f"{given!r} is a folder", key="path", path=path, hint=hint)
        name = make_room(sim, there, folder, name, operation, None, "path")
    sim.check_name(folder, name, path, "path")
    if there is not None and name == there.name:
        sim.forest.remove(there, sim.number)
    node = sim.forest.make(kind, folder, name, made)
    if there is not None and there.parent is not folder:
        sim.replaced[node] = there
    sim.forest.touch(node, sim.number)


def _replace(sim: Simulation, operation: Replace) -> None:
    node = sim.existing(operation.path, "path")
    if node.kind is not FILE:
        raise Fault("type-mismatch", f"{operation.path!r} is a {node.kind}", key="path", path=node.path())
    sim.expect(node, operation.expect, operation.path)
    made = Made("created")
    _content(sim, operation, made)
    if node.made is not None:
        _rewrite(sim, node.made, made)
        sim.forest.touch(node, sim.number)
        return
    folder, name = node.parent, node.name
    assert folder is not None
    made.like = node
    if made.mode is None and node.setting is not None:
        made.mode = node.setting[0]
    sim.forest.packed(node)
    ops = node.ops
    sim.forest.remove(node, sim.number)
    new = sim.forest.make(FILE, folder, name, made)
    sim.replaced[new] = node
    for number in (ops,) if isinstance(ops, int) else ops:
        if number:
            sim.forest.touch(new, number)
    sim.forest.touch(new, sim.number)


def _rewrite(sim: Simulation, made: Made, new: Made) -> None:
    """Gives something that the plan itself makes other content; its mode stays, if not said anew."""
    source = made.source
    if source is not None and made.mode is None:
        made.mode = sim.forest.facts(source)[0] & 0o7777
    made.effect = "created"
    made.blob, made.size, made.source = new.blob, new.size, None
    made.mode = made.mode if new.mode is None else new.mode
    made.mtime = new.mtime


def _delete(sim: Simulation, operation: Delete) -> None:
    if operation.match is not UNSET:
        matching.delete_all(sim, operation)
        return
    assert operation.path is not UNSET
    try:
        node = sim.existing(operation.path.removesuffix("/"), "path")
    except Fault as fault:
        if fault.code == "source-taken" and fault.changes is None:
            fault.code, fault.drop = "work-done-twice", True
        raise nearglob.meant_as_glob(sim, operation, "path", fault) from None
    sim.expect(node, operation.expect, operation.path)
    matching.delete(sim, node, operation)


def _restore(sim: Simulation, operation: Restore) -> None:
    kept = sim.world.kept(operation.run, operation.entry)
    folder, name, path = sim.destination(operation.to.removesuffix("/"), "to")
    if kept is None:
        text = f"the vault has no entry {operation.entry} of {operation.run!r}"
        raise Fault("vault-missing", text, key="entry", path=path)
    node = _kept_node(sim, kept, operation, path)
    there = sim.forest.child(folder, name)
    if there is not None:
        better = sim.shown(paths.joined(paths.split(path)[0], numbered(sim, folder, name)))
        text = f"there is already a {there.kind} at {operation.to!r}"
        raise Fault("destination-exists", text, key="to", path=path, better=better)
    if sim.forest.volume(folder) != kept.volume:
        text = f"the vault of {operation.run!r} is on another filesystem than {operation.to!r}"
        raise Fault("other-filesystem", text, key="to", path=path, hint=f"restore it into {kept.case!r}")
    sim.check_name(folder, name, path, "to")
    sim.forest.put(node, folder, name)
    sim.forest.touch(node, sim.number)


def _kept_node(sim: Simulation, kept: Kept, operation: Restore, path: str) -> Node:
    """The node of a vault entry, which leaves the vault once."""
    key = operation.run, operation.entry
    area = sim.forest.area(f"vault:{kept.volume}:{operation.run}")
    node = sim.kept.get(key)
    if node is None:
        name = str(operation.entry)
        node = Node(kind_of(PACKED.unpack(kept.facts)[0]), area, name, area, name, kept.facts)
        node.where = f"{area.where}/{name}"
        sim.kept[key] = node
    elif node.ops:
        by = node.operations[0]
        text = f"operation {by} restores entry {operation.entry} of {operation.run!r} already"
        raise Fault("work-done-twice", text, key="entry", path=path, drop=True, also=(by,))
    return node


def _set(sim: Simulation, operation: Set) -> None:
    node = sim.existing(operation.path.removesuffix("/"), "path")
    sim.expect(node, operation.expect, operation.path)
    mode = None if operation.mode is UNSET else int(operation.mode, 8)
    mtime = None if operation.mtime is UNSET else nanoseconds(operation.mtime, "mtime")
    if node.kind is LINK and mode is not None:
        raise Fault(
            "type-mismatch", f"{operation.path!r} is a link; links have no mode", key="mode", path=node.path()
        )
    _refuse_special_bits(mode, operation.path)
    if node.made is not None:
        node.made.mode = node.made.mode if mode is None else mode
        node.made.mtime = node.made.mtime if mtime is None else mtime
    else:
        was = node.setting or (None, None)
        node.setting = (was[0] if mode is None else mode, was[1] if mtime is None else mtime)
        sim.forest.packed(node)
    sim.forest.touch(node, sim.number)


def _refuse_special_bits(mode: int | None, path: str) -> None:
    if mode is not None and mode & 0o6000:
        text = "set-user-id and set-group-id bits are not a plan's to give"
        raise Fault("wrong-type", text, key="mode", path=path, better=f"{mode & 0o1777:04o}")


_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")
_DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def nanoseconds(text: str, key: str) -> int:
    """Nanoseconds since 1970 of a UTC time (RFC 3339), exact; raises Fault for a day that does not exist."""
    found = _TIME.fullmatch(text)
    assert found is not None, "the decoder let nothing else through"
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    leap = calendar.isleap(year)
    exists = 1 <= month <= 12 and 1 <= day <= _DAYS[month] and not (month == 2 and day == 29 and not leap)
    if not (exists and hour < 24 and minute < 60 and second < 60 and year >= 1):
        raise Fault("wrong-type", f"there is no such time as {text!r}", key=key)
    seconds = calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0))
    return seconds * 1_000_000_000 + int((found.group(7) or "0").ljust(9, "0"))


ACTS: Mapping[type, Callable[[Simulation, Any], None]] = {
    Mkdir: _mkdir,
    Move: _move,
    Rename: _rename,
    Copy: _copy,
    Create: _create,
    Replace: _replace,
    Delete: _delete,
    Restore: _restore,
    Symlink: _symlink,
    Set: _set,
}
