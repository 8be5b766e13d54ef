"""Looking into files: what an effect does to a text, line by line, before somebody decides on it."""

from __future__ import annotations

import msgspec

from treegate.engine.world import DiskWorld
from treegate.errors import NotFound
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model import texts
from treegate.model.actors import Action
from treegate.model.effects import Effect, untagged


class TextDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What an effect does to the content of its file: lines of a unified difference, and what they leave out."""

    effect: Effect
    lines: list[str]
    note: str


def text_difference(core: Core, prefix: str, id: str) -> TextDifference:
    """The difference that an effect (`e17`) makes to its file, read from the tree as it is now.

    Raises NotFound "no-such-effect".
    """
    plan = core.store.find_plan(prefix)
    core.actor.require(Action.READ, plan.cases)
    effect = _effect(core, plan.id, id)
    if effect.kind != "file":
        return TextDifference(effect=effect, lines=[], note="it is no file")
    if effect.effect in ("moved", "copied", "restored", "set"):
        return TextDifference(effect=effect, lines=[], note="its content stays as it is")
    with core.world() as world:
        try:
            lines, note = texts.difference(_old(world, effect), _new(core, world, effect))
        except OSError as error:
            lines, note = [], f"it cannot be read now: {error.strerror}"
    return TextDifference(effect=effect, lines=lines, note=note)


def _effect(core: Core, plan: str, id: str) -> Effect:
    number = int(id[1:]) if id[:1] == "e" and id[1:].isascii() and id[1:].isdecimal() and len(id) < 16 else 0
    found = list(plans.effects_of(core, core.store.plan(plan), number - 1, 1)) if number else []
    if not found:
        raise NotFound(
            f"plan {plan} has no effect {id!r}", code="no-such-effect", next=f"treegate show {plan} --effects"
        )
    return found[0]


def _old(world: DiskWorld, effect: Effect) -> bytes | None:
    """What is at the place of a file that goes away."""
    if effect.effect not in ("deleted", "replaced"):
        return None
    return world.tree.head(
        untagged(effect.path if effect.replaces is None else effect.replaces), texts.MOST_BYTES + 1
    )


def _new(core: Core, world: DiskWorld, effect: Effect) -> bytes | None:
    """What comes to be there."""
    if effect.effect == "deleted":
        return None
    if effect.sha256:
        with core.blobs.open(effect.sha256) as file:
            return file.read(texts.MOST_BYTES + 1)
    source = untagged(effect.source if effect.source is not None else effect.path)  # from a vault: its place there
    return world.tree.head(source, texts.MOST_BYTES + 1)
