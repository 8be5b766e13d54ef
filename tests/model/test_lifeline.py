"""A file's life is told as it was: what is followed by looking up paths equals what a simulation remembers of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model.effects import Effect
from treegate.model.lifeline import Life, Touch, arrows, lives, places

NAMES = ["a", "b", "c"]


@dataclass(eq=False)
class Entry:
    """An entry with its place; `above` None: at the top, of the tree or of a vault (`/…`)."""

    name: str
    is_dir: bool
    above: Entry | None = None
    story: list[tuple[int, str]] = field(
        default_factory=list
    )  # (run, path) whenever its path was another after a run

    @property
    def path(self) -> str:
        return f"{self.above.path}/{self.name}" if self.above is not None else self.name

    @property
    def slot(self) -> tuple[Entry | None, str]:
        return self.above, self.name


class Simulated:
    """A tree whose entries remember where they were, and the effects of each run as a receipt has them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.touches: list[Touch] = []
        case = Entry("Case", True)
        self.entries.append(case)
        for name in NAMES[:2]:
            folder = Entry(name, True, case)
            self.entries += [folder, *(Entry(inner, False, folder) for inner in NAMES[:2])]
        self.note(-1)

    def note(self, run: int) -> None:
        for entry in self.entries:
            if not entry.story or entry.story[-1][1] != entry.path:
                entry.story.append((run, entry.path))

    def at(self, path: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.path == path), None)

    def run(self, number: int, operations: list[tuple[str, int, int, str]]) -> None:
        before = {entry: (entry.path, entry.slot) for entry in self.entries}
        kept = 0
        for word, which, where, name in operations:
            kept += self._carry_out(word, which, where, name, number, kept)
        effects = [effect for entry in self.entries for effect in self._effects(entry, before)]
        self.touches += [Touch(number, f"run_{number}", effect) for effect in effects]
        self.note(number)

    def _carry_out(self, word: str, which: int, where: int, name: str, number: int, kept: int) -> int:
        live = [entry for entry in self.entries if entry.path.startswith("Case/")]
        folders = [entry for entry in self.entries if entry.is_dir and (entry.path + "/").startswith("Case/")]
        folder = folders[where % len(folders)]
        if word == "make":
            if self.at(f"{folder.path}/{name}") is None:
                self.entries.append(Entry(name, which % 2 == 0, folder))
            return 0
        vaults = [entry for entry in self.entries if entry.path.startswith("/") and entry.above is None]
        chosen = vaults if word == "restore" else live
        if not chosen:
            return 0
        entry = chosen[which % len(chosen)]
        if word == "delete":
            if not entry.story:
                return 0
            entry.above, entry.name = None, f"/run_{number}/{kept}"
            return 1
        if word == "restore" and entry.name.startswith(f"/run_{number}/"):
            return 0
        inside = (folder.path + "/").startswith(entry.path + "/")
        if not inside and self.at(f"{folder.path}/{name}") is None:
            entry.above, entry.name = folder, name
        return 0

    def _effects(self, entry: Entry, before: dict[Entry, tuple[str, tuple[Entry | None, str]]]) -> list[Effect]:
        kind = "dir" if entry.is_dir else "file"
        if entry not in before:
            return [Effect(id="e", effect="made", path=entry.path, kind=kind)]
        path, slot = before[entry]
        if slot == entry.slot:
            return []
        if entry.path.startswith("/") and entry.above is None:
            return [Effect(id="e", effect="deleted", path=path, kind=kind, vault=int(entry.name.rpartition("/")[2]))]
        if path.startswith("/"):
            return [Effect(id="e", effect="restored", path=entry.path, kind=kind, source=f"vault:{path[1:]}")]
        return [Effect(id="e", effect="moved", path=entry.path, kind=kind, source=path)]

    def find(self, path: str) -> list[Touch]:
        return [touch for touch in self.touches if path in places(touch)]


OPERATION = st.tuples(
    st.sampled_from(["make", "move", "move", "delete", "restore"]),
    st.integers(0, 20),
    st.integers(0, 10),
    st.sampled_from(NAMES),
)


def told(life: Life) -> list[tuple[int, str]]:
    """A life as the simulation remembers one: where it was first, and each change of its path with its run."""
    found = [(-1, life.began)]
    for step in life.steps:
        if step.before is None:
            found = [(step.touch.order, step.after)]
        elif found[-1][1] != step.after:
            found.append((step.touch.order, step.after))
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(OPERATION, min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_lives_are_those_that_a_simulation_remembers(runs, data):
    """Of every file that was ever at a path the whole life is found, and nothing that was never there is certain."""
    world = Simulated()
    for number, operations in enumerate(runs):
        world.run(number, operations)
    paths = sorted({path for entry in world.entries for _, path in entry.story if not path.startswith("/")})
    path = data.draw(st.sampled_from(paths))
    expected = [entry.story for entry in world.entries if any(was == path for _, was in entry.story)]
    found = lives(path, world.find)
    assert sorted(told(life) for life in found if told(life) in expected) == sorted(expected)
    assert [told(life) for life in found if told(life) not in expected and life.certain] == []


def moved(order: int, source: str, path: str, **more: object) -> Touch:
    return Touch(order, f"run_{order}", Effect(id="e", effect="moved", path=path, kind="file", source=source, **more))


def finder(*touches: Touch):
    return lambda path: [touch for touch in touches if path in places(touch)]


def test_two_files_that_change_places_keep_their_own_lives():
    """Both were at the path; each is told apart from the other."""
    swap = finder(moved(0, "C/a", "C/b"), moved(0, "C/b", "C/a"))
    assert [(life.began, life.now) for life in lives("C/a", swap)] == [("C/a", "C/b"), ("C/b", "C/a")]


def test_what_replaced_by_content_is_told_after_what_was_there():
    """The history of a path that is written anew goes back to the file that was first moved there."""
    new = Effect(id="e", effect="replaced", path="C/b", kind="file", vault=0, by="replace")
    away = moved(2, "C/b", "C/c")
    found = lives("C/c", finder(moved(0, "C/a", "C/b"), Touch(1, "run_1", new), away))
    assert [(life.began, life.now) for life in found] == [("C/a", "/run_1/0"), ("C/b", "C/c")]


def test_looks_that_are_set_in_a_folder_that_moved_by_the_same_run_are_told():
    """The receipt names the path after the run."""
    looks = Touch(0, "run_0", Effect(id="e", effect="set", path="C/e/x", kind="file", mode="0600"))
    (life,) = lives("C/e/x", finder(moved(0, "C/d", "C/e"), looks))
    assert [(step.before, step.after, step.above) for step in life.steps] == [
        ("C/d/x", "C/e/x", "C/d"),
        ("C/e/x", "C/e/x", ""),
    ]


def test_what_was_taken_back_outside_goes_the_other_way():
    """rollback.sh has no receipt of its own: the run's effects are gone the way they came."""
    there = moved(0, "C/a", "C/b")
    back = there._replace(order=1, back=True)
    (life,) = lives("C/a", finder(there, back))
    assert [step.after for step in life.steps] == ["C/b", "C/a"]
    assert arrows(back) == [("C/b", "C/a")]
