"""The step compiler reaches every final tree by allowed steps only, in as few as slots need, and in good order."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treegate.model import tangles
from treegate.model.board import Step
from treegate.model.steps import compile_steps
from treegate.model.table import EXCHANGE, RENAME
from treegate.model.tree import Kind, Node


class World:
    """A plain in-memory model: who holds which slot; says no to everything a filesystem would refuse."""

    def __init__(self) -> None:
        self.root, self.new, self.vault, self.park = (Node(Kind.DIR, None, "") for _ in range(4))
        self.entries: list[Node] = []

    def entry(self, kind: Kind, home: Node, home_name: str) -> Node:
        node = Node(kind, home, home_name, home, home_name)
        self.entries.append(node)
        return node

    def folder(self, home: Node, name: str) -> Node:
        return self.entry(Kind.DIR, home, name)

    def file(self, home: Node, name: str) -> Node:
        return self.entry(Kind.FILE, home, name)

    def compile(self, exchange: bool = True) -> list[Step]:
        """The steps, after carrying them out and finding the final tree."""
        touched = [entry for entry in self.entries if entry.moved]
        steps = compile_steps(touched, lambda _: self.park, exchange=exchange)
        self.carry_out(steps, exchange)
        return steps

    def carry_out(self, steps: list[Step], exchange: bool) -> None:
        at = {entry: (entry.home, entry.home_name) for entry in self.entries}
        held = {slot: entry for entry, slot in at.items()}
        home = dict(held)
        moved: set[Node] = set()
        for step in steps:
            src, dst = (step.src, step.src_name), (step.dst, step.dst_name)
            assert at[step.entry] == src
            assert self.outside(at, step.dst, step.entry)
            assert step.first == (step.entry not in moved)
            assert step.free == (dst not in home)
            assert held.pop(src) is step.entry
            if step.kind == EXCHANGE:
                assert exchange
                assert step.other is not None
                assert held.pop(dst) is step.other
                assert self.outside(at, step.src, step.other)
                assert step.other_first == (step.other not in moved)
                at[step.other], held[src] = src, step.other
                moved.add(step.other)
            assert dst not in held
            at[step.entry], held[dst] = dst, step.entry
            moved.add(step.entry)
        assert at == {entry: (entry.parent, entry.name) for entry in self.entries}

    @staticmethod
    def outside(at: dict[Node, tuple[Node | None, str]], node: Node | None, folder: Node) -> bool:
        while node is not None and node is not folder:
            node = at[node][0] if node in at else None
        return node is not folder

    def put(self, entry: Node, parent: Node, name: str) -> Node:
        entry.parent, entry.name = parent, name
        return entry

    def remove(self, entry: Node) -> Node:
        return self.put(entry, self.vault, str(self.entries.index(entry)))


def told(steps: list[Step]) -> list[tuple[int, Node, Node | None]]:
    return [(step.kind, step.entry, step.other) for step in steps]


@st.composite
def worlds(draw: st.DrawFn, kinds: tuple[Kind, ...] = (Kind.FILE, Kind.LINK, Kind.DIR, Kind.DIR)) -> World:
    """Two random forests over the same entries, the second rich in slots that somebody has at home."""
    world = World()
    fixed = [world.folder(world.root, f"k{number}") for number in range(2)]
    amount = draw(st.integers(1, 12))
    for number in range(amount):
        folders = [world.root, world.new, *(entry for entry in world.entries if entry.kind is Kind.DIR)]
        world.entry(draw(st.sampled_from(kinds)), draw(st.sampled_from(folders)), f"n{number}")
    places = [world.root, *fixed]
    taken = {(entry.home, entry.home_name) for entry in fixed}
    for entry in draw(st.permutations(world.entries[2:])):
        slots = [(other.home, other.home_name) for other in world.entries if other.home in places]
        slots = [slot for slot in slots if slot not in taken and slot[0] is not world.new]
        fresh = [(place, f"x{entry.home_name}") for place in [*places, world.vault]]
        parent, name = draw(st.sampled_from(slots * 3 + fresh))
        assert parent is not None
        world.put(entry, parent, name)
        taken.add((parent, name))
        if entry.kind is Kind.DIR and parent is not world.vault:
            places.append(entry)
    return world


def bound(world: World, exchange: bool) -> int:
    """One step an entry; one less (without exchange: more) for each ring of slots."""
    wants = {(entry.home, entry.home_name): (entry.parent, entry.name) for entry in world.entries if entry.moved}
    steps, left = len(wants), set(wants)
    while left:
        slot = first = left.pop()
        while wants[slot] in left:
            slot = wants[slot]
            left.remove(slot)
        if wants[slot] == first:
            steps += -1 if exchange else 1
    return steps


@pytest.mark.parametrize("exchange", [True, False])
@given(data=st.data())
@settings(max_examples=700, deadline=None)
def test_every_final_tree_is_reached_by_allowed_steps(exchange: bool, data: st.DataObject) -> None:
    """Random trees of files, links and folders: the final tree is exact, no step is refused, none is saved unduly."""
    world = data.draw(worlds())
    steps = world.compile(exchange)
    moved = sum(entry.moved for entry in world.entries)
    assert bound(world, exchange) <= len(steps) <= 2 * moved


@pytest.mark.parametrize("exchange", [True, False])
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_where_only_files_move_the_steps_are_as_many_as_the_slots_need(exchange: bool, data: st.DataObject) -> None:
    """Each file once; a ring of n slots n-1 exchanges, or n+1 renames."""
    world = data.draw(worlds((Kind.FILE, Kind.LINK, Kind.OTHER)))
    assert len(world.compile(exchange)) == bound(world, exchange)


@pytest.mark.parametrize("exchange", [True, False])
@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_tangles_too_large_for_the_search_are_undone_too(exchange: bool, data: st.DataObject) -> None:
    """With the search switched off every tree is still reached by allowed steps, each entry parked once at most."""
    world = data.draw(worlds((Kind.FILE, Kind.DIR, Kind.DIR, Kind.DIR)))
    with patch.object(tangles, "EXACT", 0):
        steps = world.compile(exchange)
    parked = Counter(step.entry for step in steps if step.dst is world.park)
    assert bound(world, exchange) <= len(steps)
    assert max(parked.values(), default=0) <= 1


@pytest.mark.parametrize(("exchange", "steps"), [(True, 4), (False, 6)])
def test_a_ring_of_five_takes_four_exchanges_or_one_parking_place(exchange: bool, steps: int) -> None:
    """Rings of folders cost what rings of files cost."""
    for kind in (Kind.FILE, Kind.DIR):
        world = World()
        ring = [world.entry(kind, world.root, str(number)) for number in range(5)]
        for number, entry in enumerate(ring):
            world.put(entry, world.root, str((number + 1) % 5))
        written = world.compile(exchange)
        assert len(written) == steps
        assert sum(step.dst is world.park for step in written) == (not exchange)


def test_a_replaced_file_is_exchanged_with_its_successor_and_then_put_away() -> None:
    """The path is never missing, and it takes two steps, as it would without exchange."""
    world = World()
    new = world.put(world.file(world.new, "0"), world.root, "f")
    old = world.remove(world.file(world.root, "f"))
    assert told(world.compile()) == [(EXCHANGE, new, old), (RENAME, old, None)]
    assert told(world.compile(exchange=False)) == [(RENAME, old, None), (RENAME, new, None)]


def test_along_a_chain_the_replaced_file_is_handed_back() -> None:
    """No path of the chain is ever missing: c takes b's place, b that of a, and a goes to the vault from c's."""
    world = World()
    a = world.remove(world.file(world.root, "a"))
    b = world.put(world.file(world.root, "b"), world.root, "a")
    c = world.put(world.file(world.new, "0"), world.root, "b")
    assert told(world.compile()) == [(EXCHANGE, b, a), (EXCHANGE, c, a), (RENAME, a, None)]


def test_a_file_replaced_within_a_tangle_is_exchanged_too() -> None:
    """Folders that change places around it do not make a replaced file's path go missing."""
    world = World()
    a = world.folder(world.root, "a")
    b = world.folder(a, "b")
    old = world.remove(world.file(a, "f"))
    new = world.put(world.file(world.root, "g"), a, "f")
    world.put(b, world.root, "a")
    world.put(a, b, "x")
    steps = told(world.compile())
    assert len(steps) == 5
    assert steps.index((EXCHANGE, new, old)) < steps.index((RENAME, old, None))


def test_a_folder_never_takes_a_files_place_by_exchange() -> None:
    """What goes to the vault is exchanged only where both are files or links."""
    world = World()
    folder = world.put(world.folder(world.new, "0"), world.root, "f")
    old = world.remove(world.file(world.root, "f"))
    assert told(world.compile()) == [(RENAME, old, None), (RENAME, folder, None)]


@pytest.mark.parametrize("exchange", [True, False])
def test_folders_that_change_places_with_their_inside_need_one_parking_only_if_names_swap(exchange: bool) -> None:
    """a/b -> b/a is two steps with other names, three when each takes the other's."""
    for name, steps in (("b", 2), ("a", 3)):
        world = World()
        a = world.folder(world.root, "a")
        b = world.folder(a, "b")
        world.put(b, world.root, name)
        world.put(a, b, "a" if name == "b" else "b")
        assert len(world.compile(exchange)) == steps


def test_two_inversions_help_each_other() -> None:
    """One exchange between two tangles saves what parking in each would cost."""
    world = World()
    for one, two in (("a", "b"), ("c", "d")):
        outer = world.folder(world.root, one)
        inner = world.folder(outer, two)
        world.put(inner, world.root, one)
        world.put(outer, inner, two)
    assert len(world.compile()) == 5
    assert len(world.compile(exchange=False)) == 6


def test_tangles_of_two_filesystems_never_meet_in_an_exchange() -> None:
    """What does not share a parking area is never exchanged with each other."""
    world = World()
    volumes = [world.folder(world.root, name) for name in ("one", "two")]
    parks = {volume: Node(Kind.DIR, None, "") for volume in volumes}
    tops: dict[Node, Node] = {}
    for volume in volumes:
        outer = world.folder(volume, "a")
        inner = world.folder(outer, "b")
        world.put(inner, volume, "a")
        world.put(outer, inner, "b")
        tops |= {outer: volume, inner: volume}
    steps = compile_steps(list(tops), lambda entry: parks[tops[entry]], exchange=True)
    world.carry_out(steps, exchange=True)
    assert all(step.other is None or tops[step.other] is tops[step.entry] for step in steps)
    assert all(step.dst is parks[tops[step.entry]] for step in steps if step.dst in parks.values())


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("depth", [7, 40])
def test_a_deep_tangle_costs_one_parking_at_most(depth: int, exchange: bool) -> None:
    """A chain of folders turned by one place, too large to be searched: one step over the bound."""
    world = World()
    chain = [world.root]
    for number in range(depth):
        chain.append(world.folder(chain[-1], f"n{number}"))
    for number, entry in enumerate(chain[1:]):
        world.put(entry, chain[(number + 2) % (depth + 1)], f"n{(number + 1) % depth}")
    assert len(world.compile(exchange)) <= depth + 1


def test_an_early_move_never_locks_a_tangle() -> None:
    """home y/z and e/x, final y/e/x2/y2 where z has become y: no move shuts the others out."""
    world = World()
    y, e = world.folder(world.root, "y"), world.folder(world.root, "e")
    z, x = world.folder(y, "z"), world.folder(e, "x")
    world.put(z, world.root, "y")
    world.put(e, z, "e")
    world.put(x, e, "x2")
    world.put(y, x, "y2")
    assert len(world.compile()) == 4
    assert len(world.compile(exchange=False)) == 4


def test_new_folders_stand_before_anything_is_put_into_them() -> None:
    """Outer before inner, and then the files; a file that has to give way first is the exception."""
    world = World()
    files = [world.file(world.root, f"f{number}") for number in range(4)]
    inner, outer = world.folder(world.new, "0"), world.folder(world.new, "1")
    world.put(inner, world.put(outer, world.root, "outer"), "inner")
    for entry in files:
        world.put(entry, inner, entry.name)
    assert [step.entry for step in world.compile()] == [outer, inner, *files]


def test_a_file_may_make_room_for_the_folder_that_it_goes_into() -> None:
    """f becomes f/f: the new folder needs the file's slot, so the file goes first, without parking."""
    world = World()
    file = world.file(world.root, "f")
    folder = world.put(world.folder(world.new, "0"), world.root, "f")
    world.put(file, folder, "f")
    assert [step.entry for step in world.compile(exchange=False)] == [file, folder]


def test_removed_folders_go_last_and_inner_ones_before_outer_ones() -> None:
    """All that leaves a folder is out of it before it goes to the vault."""
    world = World()
    outer = world.folder(world.root, "outer")
    inner = world.folder(outer, "inner")
    file = world.file(inner, "file")
    world.remove(outer)
    world.remove(inner)
    kept = world.put(world.folder(world.new, "0"), world.root, "kept")
    world.put(file, kept, "file")
    assert [step.entry for step in world.compile()] == [kept, file, inner, outer]


def test_steps_of_one_pair_of_folders_stand_together_in_the_given_order() -> None:
    """Files that alternate between folders are written pair by pair."""
    world = World()
    folders = [world.folder(world.root, name) for name in "abcd"]
    for number in range(40):
        world.put(world.file(folders[number % 2], f"f{number}"), folders[2 + number % 2], f"g{number}")
    steps = world.compile()
    pairs = [(step.src, step.dst) for step in steps]
    assert sum(one != two for one, two in pairwise(pairs)) == 1
    assert [step.src_name for step in steps] == [f"f{n}" for n in (*range(0, 40, 2), *range(1, 40, 2))]


def test_the_same_trees_give_the_same_steps() -> None:
    """Nothing depends on where objects happen to lie in memory."""

    def written() -> list[tuple[object, ...]]:
        world = World()
        folders = [world.folder(world.root, f"n{number}") for number in range(9)]
        inner = [world.folder(folder, "i") for folder in folders]
        for number, (one, two) in enumerate(zip(folders, inner, strict=True)):
            world.put(two, world.root, f"n{(number + 1) % 9}")
            world.put(one, two, "i")
        return [(step.kind, step.src_name, step.dst_name, step.first) for step in world.compile()]

    first = written()
    ballast = [Node(Kind.FILE, None, "") for _ in range(1000)]
    assert all(written() == first for _ in range(5))
    assert ballast


def test_a_hundred_thousand_plain_moves_are_a_hundred_thousand_renames() -> None:
    """Each entry is renamed exactly once, whether its folder is new, old or its own."""
    world = World()
    inbox = world.folder(world.root, "inbox")
    target = world.put(world.folder(world.new, "0"), world.root, "archive")
    for number in range(100_000):
        world.put(world.file(inbox, f"f{number}"), (target, inbox)[number % 2], f"g{number}")
    steps = world.compile()
    assert len(steps) == 100_001
    assert max(Counter(step.entry for step in steps).values()) == 1
