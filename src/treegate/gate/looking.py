"""Looking into files: what an effect does to a text, line by line, and what its file holds, to decide on it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import closing
from typing import BinaryIO, NamedTuple

import msgspec

from treegate.engine.world import DiskWorld
from treegate.errors import NotFound, TreegateError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model import texts
from treegate.model.actors import Action
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import State


class TextDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What an effect does to the content of its file: lines of a unified difference, and what they leave out."""

    effect: Effect
    lines: list[str]
    note: str


class Content(NamedTuple):
    """The content of a file, open for reading; whoever is given it closes it."""

    file: BinaryIO
    size: int
    mark: str  # another one where the content is another


class _Seen(NamedTuple):
    """An effect as somebody may see it; `run` is the one that carried it out, "" before."""

    effect: Effect
    run: str


def text_difference(core: Core, prefix: str, id: str) -> TextDifference:
    """The difference that an effect (`e17`) makes to its file, read from the tree as it is now.

    Raises NotFound "no-such-effect".
    """
    seen = _seen(core, prefix, id)
    effect = seen.effect
    if effect.kind != "file":
        return TextDifference(effect=effect, lines=[], note="it is no file")
    if effect.effect in ("moved", "copied", "restored", "set"):
        return TextDifference(effect=effect, lines=[], note="its content stays as it is")
    with core.world() as world:
        try:
            lines, note = texts.difference(_old(core, world, seen), _new(core, world, seen))
        except OSError as error:
            lines, note = [], f"it cannot be read now: {error.strerror}"
    return TextDifference(effect=effect, lines=lines, note=note)


def content(core: Core, prefix: str, id: str, *, old: bool = False) -> Content:
    """What the file of an effect holds, wherever it is now, before the run or after; `old`: the file it replaces.

    Raises NotFound: "no-such-effect", "no-content" where there is none or it cannot be read.
    """
    seen = _seen(core, prefix, id)
    if seen.effect.kind != "file":
        raise _none("it is no file")
    if old and seen.effect.effect != "replaced":
        raise _none("it replaces no file")
    with core.world() as world:
        try:
            file = _opened(core, world, seen, old=old)
        except OSError as error:
            raise _none(f"it cannot be read now: {error.strerror}") from None
    facts = os.fstat(file.fileno())
    same = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return Content(file, facts.st_size, hashlib.sha256(repr(same).encode()).hexdigest()[:32])


def excerpts(core: Core, prefix: str, ids: Iterable[str]) -> dict[str, str]:
    """The first lines of those files of some effects that are texts, by the effects' ids."""
    found = {}
    for id in ids:
        with contextlib.suppress(TreegateError), content(core, prefix, id).file as file:
            if text := texts.beginning(file.read(texts.BEGINNING)):
                found[id] = text
    return found


def _seen(core: Core, prefix: str, id: str) -> _Seen:
    plan = core.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    run = core.store.run_of(plan.preview) if plan.state is State.APPLIED and plan.preview is not None else None
    return _Seen(_effect(core, plan.id, id), run.id if run else "")


def _effect(core: Core, plan: str, id: str) -> Effect:
    number = int(id[1:]) if id[:1] == "e" and id[1:].isascii() and id[1:].isdecimal() and len(id) < 16 else 0
    found = list(plans.effects_of(core, core.store.plan(plan), number - 1, 1)) if number else []
    if not found:
        raise NotFound(
            f"plan {plan} has no effect {id!r}", code="no-such-effect", next=f"treegate show {plan} --effects"
        )
    return found[0]


def _old(core: Core, world: DiskWorld, seen: _Seen) -> bytes | None:
    """What is at the place of a file that goes away."""
    return _head(core, world, seen, old=True) if seen.effect.effect in ("deleted", "replaced") else None


def _new(core: Core, world: DiskWorld, seen: _Seen) -> bytes | None:
    """What comes to be there."""
    return _head(core, world, seen) if seen.effect.effect != "deleted" else None


def _head(core: Core, world: DiskWorld, seen: _Seen, *, old: bool = False) -> bytes:
    with closing(_opened(core, world, seen, old=old)) as file:
        return file.read(texts.MOST_BYTES + 1)


def _opened(core: Core, world: DiskWorld, seen: _Seen, *, old: bool) -> BinaryIO:
    """The one way to a content: a regular file, reached from a held root, through no link."""
    effect, gone = seen.effect, old or seen.effect.effect == "deleted"
    if effect.sha256 and not gone:
        return core.blobs.open(effect.sha256)
    if seen.run:
        return world.tree.open(_in_vault(world, seen.run, effect.vault) if gone else untagged(effect.path))
    if gone:
        return world.tree.open(untagged(effect.path if effect.replaces is None else effect.replaces))
    source = untagged(effect.path if effect.source is None else effect.source)
    if source.startswith("vault:"):
        run, _, kept = source.removeprefix("vault:").partition("/")
        entry, _, below = kept.partition("/")
        source = "/".join(filter(None, (_in_vault(world, run, int(entry)), below)))
    return world.tree.open(source)


def _in_vault(world: DiskWorld, run: str, entry: int | None) -> str:
    """The place of what a run's vault keeps; FileNotFoundError once that was let go."""
    kept = None if entry is None else world.kept(run, entry)
    if kept is None:
        raise FileNotFoundError(errno.ENOENT, "the vault does not keep it any more")
    return f"/vault:{kept.volume}:{run}/{entry}"


def _none(text: str) -> NotFound:
    return NotFound(text, code="no-content")
