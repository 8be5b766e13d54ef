"""The life of a file: whatever runs moved, carried, made or took away, it is followed to where it came from."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.effects import Effect, untagged
from treegate.model.lifeline import is_own, lives

NAMES = st.sampled_from(["a", "b", "c"])


class World:
    """Files with identity in folders, on which random runs are carried out naively; their net effects are kept."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[int, str]] = {}  # path -> (entry, kind)
        self.effects: list[tuple[int, Effect]] = []
        self.truth: dict[int, list[tuple[int, str, str]]] = {}  # entry -> (run, before, after)
        self.vault: dict[int, dict[str, tuple[int, str]]] = {}  # run -> what it deleted, by its path then
        self._made = 0

    def find(self, path: str) -> list[tuple[int, Effect]]:
        return [
            (run, effect)
            for run, effect in self.effects
            if path in {untagged(text) for text in (effect.path, effect.source, effect.replaces) if text is not None}
        ]

    def kept(self, run: str, entry: int) -> tuple[int, Effect] | None:
        return next(done for done in self.effects if f"run_{done[0]}" == run and done[1].vault == entry)

    def taken(self, run: int, entry: int) -> list[tuple[int, Effect]]:
        return self.find(f"vault:run_{run}/{entry}")

    def make(self, run: int, path: str, kind: str) -> None:
        self._made += 1
        self.at[path] = (self._made, kind)
        self.truth[self._made] = [(run, "", path)]
        word = "made" if kind == "dir" else "created"
        self._tell(run, Effect(id=f"e{run}", effect=word, path=path, kind=kind))

    def move(self, run: int, source: str, to: str) -> None:
        kind = self.at[source][1]
        for path in [path for path in self.at if path == source or path.startswith(source + "/")]:
            after = to + path[len(source) :]
            entry = self.at[path][0]
            self.truth[entry].append((run, path, after))
            self.at[after] = self.at.pop(path)
        self._tell(run, Effect(id=f"e{run}", effect="moved", path=to, source=source, kind=kind))

    def delete(self, run: int, path: str) -> None:
        kind = self.at[path][1]
        self.vault[run] = {}
        for below in [below for below in self.at if below == path or below.startswith(path + "/")]:
            self.vault[run][below] = self.at.pop(below)
            self.truth[self.vault[run][below][0]].append((run, below, ""))
        self._tell(run, Effect(id=f"e{run}", effect="deleted", path=path, kind=kind, vault=1))

    def restore(self, run: int, deletion: int, to: str) -> None:
        kept = self.vault.pop(deletion)
        home = min(kept, key=len)
        for path, held in kept.items():
            after = to + path[len(home) :]
            self.at[after] = held
            self.truth[held[0]].append((run, "", after))
        source = f"vault:run_{deletion}/1"
        self._tell(run, Effect(id=f"e{run}", effect="restored", path=to, source=source, kind=kept[home][1]))

    def _tell(self, run: int, effect: Effect) -> None:
        self.effects.append((run, effect))


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_every_life_is_the_one_that_was_lived(data):
    """Of each path that ever was, all occupants are told, each with exactly the runs that concerned it."""
    world = World()
    for run in range(1, data.draw(st.integers(1, 14)) + 1):
        folders = ["", *(path for path, (_, kind) in world.at.items() if kind == "dir" and path.count("/") < 3)]
        into = data.draw(st.sampled_from(folders))
        free = "/".join(filter(None, (into, data.draw(NAMES))))
        act = data.draw(st.sampled_from(["make", "make", "move", "move", "delete", "restore"]))
        if act == "make" and free not in world.at:
            world.make(run, free, data.draw(st.sampled_from(["file", "dir"])))
        elif act == "move" and world.at:
            source = data.draw(st.sampled_from(sorted(world.at)))
            if free not in world.at and not free.startswith(source + "/") and free != source:
                world.move(run, source, free)
        elif act == "restore" and world.vault and free not in world.at:
            world.restore(run, data.draw(st.sampled_from(sorted(world.vault))), free)
        elif act == "delete" and world.at:
            world.delete(run, data.draw(st.sampled_from(sorted(world.at))))
    for path in _ever(world.truth.values()):
        lived = {
            entry: told
            for entry, told in world.truth.items()
            if any(path in (before, after) for _, before, after in told)
        }
        found = list(lives(path, world))
        told = [[(event.run, event.before, event.after) for event in life.events] for life in found]
        carried = [not any(is_own(event) for event in life.events) for life in found]
        assert all(life in told for life in lived.values())
        # A folder may have carried what no run ever made: only a look at the tree can say whether it did.
        assert all(life in lived.values() for life, only in zip(told, carried, strict=True) if not only)


def _ever(truth: Iterable[list[tuple[int, str, str]]]) -> set[str]:
    return {path for told in truth for _, before, after in told for path in (before, after) if path}
