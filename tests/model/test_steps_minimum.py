"""The step compiler never writes more steps than a brute-force search of all configurations finds necessary.

A tree is written as numbers: `home` and `final` give each entry's slot, (parent, name), where a parent is the
number of a folder or one of the areas below, and names are numbers too. The search knows nothing of the compiler:
it tries every rename to every slot that occurs (and to parking), and every exchange, untouched entries included.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

from treegate.model.board import Step
from treegate.model.steps import compile_steps
from treegate.model.table import EXCHANGE
from treegate.model.tree import Kind, Node

ROOT, NEW, VAULT, PARK = -1, -2, -3, -4
Slot = tuple[int, int]
Config = tuple[Slot, ...]


def valid(config: Config, folders: frozenset[int]) -> bool:
    """No slot is held twice, only folders hold things, nothing lies in itself."""
    if len(set(config)) < len(config) or any(parent >= 0 and parent not in folders for parent, _ in config):
        return False
    return all(not inside(config, entry, config[entry][0]) for entry in range(len(config)))


def inside(config: Config, folder: int, node: int) -> bool:
    """Whether `node` is `folder`, or lies in it (a ring counts as inside)."""
    for _ in range(len(config) + 1):
        if node == folder:
            return True
        if node < 0:
            return False
        node = config[node][0]
    return True


def compile_config(home: Config, final: Config, folders: frozenset[int], exchange: bool) -> tuple[list[Step], Config]:
    """The compiler's steps, and the configuration they lead to; each is checked as it is carried out."""
    nodes = {area: Node(Kind.DIR, None, "") for area in (ROOT, NEW, VAULT, PARK)}
    for entry in range(len(home)):
        nodes[entry] = Node(Kind.DIR if entry in folders else Kind.FILE, None, "")
    for entry, (here, there) in enumerate(zip(home, final, strict=True)):
        node = nodes[entry]
        node.home, node.home_name, node.parent, node.name = (
            nodes[here[0]],
            f"n{here[1]}",
            nodes[there[0]],
            f"n{there[1]}",
        )
    touched = [nodes[entry] for entry in range(len(home)) if home[entry] != final[entry]]
    steps = compile_steps(touched, lambda _: nodes[PARK], exchange=exchange)
    return steps, carry_out(steps, nodes, home, exchange)


def carry_out(steps: list[Step], nodes: dict[int, Node], home: Config, exchange: bool) -> Config:
    number = {node: entry for entry, node in nodes.items()}

    def slot(node: Node, name: str) -> Slot:
        return number[node], int(name.removeprefix("n"))

    now = list(home)
    for step in steps:
        entry, src, dst = number[step.entry], slot(step.src, step.src_name), slot(step.dst, step.dst_name)
        assert now[entry] == src
        assert not inside(tuple(now), entry, dst[0])
        if step.kind == EXCHANGE:
            assert exchange
            other = number[step.other]
            assert now[other] == dst
            assert not inside(tuple(now), other, src[0])
            now[other] = src
        else:
            assert dst not in now
        now[entry] = dst
    return tuple(now)


def bound(home: Config, final: Config, exchange: bool) -> int:
    """A step for each entry that is astray; a ring of slots takes one less by exchange, and one more without.

    No step lowers it by more than one, which `fewer_are_enough` asserts of each step it tries: so no way is shorter.
    """
    there = {home[entry]: entry for entry in range(len(home))}
    astray = {entry for entry in range(len(home)) if home[entry] != final[entry]}
    steps = len(astray)
    while astray:
        entry = first = astray.pop()
        while (after := there.get(final[entry])) is not None and after in astray:
            astray.remove(after)
            entry = after
        if final[entry] == home[first]:
            steps += -1 if exchange else 1
    return steps


def fewer_are_enough(home: Config, final: Config, exchange: bool, limit: int) -> bool:
    """Whether `limit` steps are enough: every way is tried, breadth first, that the bound does not rule out."""
    slots = sorted(set(home) | set(final))
    ways = {home: bound(home, final, exchange)}
    seen = set(ways)
    for left in range(limit, -1, -1):
        ways = {config: least for config, least in ways.items() if least <= left}
        if final in ways:
            return True
        after: dict[Config, int] = {}
        for config, least in ways.items():
            for following in steps_from(config, slots, exchange):
                if following not in seen:
                    seen.add(following)
                    after[following] = bound(following, final, exchange)
                    assert after[following] >= least - 1
        ways = after
    return False


def steps_from(config: Config, slots: list[Slot], exchange: bool) -> Iterator[Config]:
    entries = range(len(config))
    for entry in entries:
        for slot in [*slots, (PARK, entry)]:
            if slot not in config and not inside(config, entry, slot[0]):
                yield (*config[:entry], slot, *config[entry + 1 :])
    if exchange:
        for one, two in itertools.combinations(entries, 2):
            if not inside(config, one, config[two][0]) and not inside(config, two, config[one][0]):
                after = list(config)
                after[one], after[two] = config[two], config[one]
                yield tuple(after)


def assert_fewest(home: Config, final: Config, folders: frozenset[int], exchange: bool) -> int:
    steps, reached = compile_config(home, final, folders, exchange)
    assert reached == final
    over = len(steps) - bound(home, final, exchange)
    if over:
        shorter = fewer_are_enough(home, final, exchange, len(steps) - 1)
        assert not shorter, (home, final, sorted(folders), exchange, len(steps))
    return over


def homes(entries: int) -> Iterator[tuple[Config, frozenset[int]]]:
    """Every tree, up to the order of its entries: parents come first; each entry has a name of its own."""
    seen = set()
    for parents in itertools.product(range(NEW, entries), repeat=entries):
        if any(parent >= entry for entry, parent in enumerate(parents)):
            continue
        holders = set(parents) - {ROOT, NEW}
        for kinds in itertools.product((False, True), repeat=entries):
            folders = frozenset(entry for entry in range(entries) if kinds[entry])
            if holders <= folders and (shape := canonical(parents, folders)) not in seen:
                seen.add(shape)
                yield tuple((parent, entry) for entry, parent in enumerate(parents)), folders


def canonical(parents: tuple[int, ...], folders: frozenset[int]) -> str:
    def shape(node: int) -> str:
        inner = sorted(shape(entry) for entry, parent in enumerate(parents) if parent == node)
        return ("d" if node in folders else "f") + "(" + "".join(inner) + ")"

    return shape(ROOT) + shape(NEW)


def finals(home: Config, folders: frozenset[int]) -> Iterator[Config]:
    """Every final tree: each entry goes to somebody's home slot or to a fresh one, under any folder or the vault."""
    fresh = [ROOT, VAULT, *sorted(folders)]
    choices = [[*home, *((parent, 10 + entry) for parent in fresh)] for entry in range(len(home))]
    for final in itertools.product(*choices):
        if valid(final, folders) and not any(
            parent == NEW and (parent, name) != home[entry] for entry, (parent, name) in enumerate(final)
        ):
            yield final


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("entries", [1, 2, 3, 4])
def test_every_tree_of_at_most_four_entries_takes_the_fewest_steps(entries: int, exchange: bool) -> None:
    """All homes and all finals of so many entries: no shorter way exists."""
    over = [
        assert_fewest(home, final, folders, exchange)
        for home, folders in homes(entries)
        for final in finals(home, folders)
    ]
    assert entries < 2 or max(over) >= 1


def sampled(entries: int, amount: int, seed: int) -> Iterator[tuple[Config, Config, frozenset[int]]]:
    """Random pairs of trees, most of them with many folders and many wanted slots."""
    choose = random.Random(seed)
    while amount:
        folders = frozenset(entry for entry in range(entries) if choose.random() < 0.85)
        places = [ROOT, *sorted(folders)]
        home = tuple((choose.choice(places if choose.random() < 0.9 else [NEW]), entry) for entry in range(entries))
        if not valid(home, folders):
            continue
        reuse = choose.random()
        final = tuple(pick(choose, home, places, entry, reuse) for entry in range(entries))
        if valid(final, folders) and all(slot[0] != NEW or slot == home[e] for e, slot in enumerate(final)):
            amount -= 1
            yield home, final, folders


def pick(choose: random.Random, home: Config, places: list[int], entry: int, reuse: float) -> Slot:
    if choose.random() < reuse:
        return choose.choice(home)
    return choose.choice([*places, VAULT]), 10 + entry


@pytest.mark.parametrize("exchange", [True, False])
def test_trees_of_five_entries_take_the_fewest_steps(exchange: bool) -> None:
    """A random sample of homes and finals: no shorter way exists."""
    over = [assert_fewest(*each, exchange) for each in sampled(5, 3000, 5)]
    assert max(over) >= 1


PARTS = 16


@pytest.mark.faults
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("part", range(PARTS))
def test_every_tree_of_five_entries_takes_the_fewest_steps(part: int, exchange: bool) -> None:
    """All homes and all finals of five entries, in parts: no shorter way exists."""
    for home, folders in itertools.islice(homes(5), part, None, PARTS):
        for final in finals(home, folders):
            assert_fewest(home, final, folders, exchange)


def grown(entries: int, choose: random.Random) -> tuple[Config, Config, frozenset[int]]:
    """Two random forests of any size over the same entries."""
    folders = frozenset(entry for entry in range(entries) if choose.random() < 0.8)
    home: dict[int, Slot] = {}
    final: dict[int, Slot] = {}
    reuse = choose.random()
    for slots in (home, final):
        places = [ROOT]
        for entry in choose.sample(range(entries), entries):
            wanted = [slot for slot in home.values() if slot[0] in places and slot not in final.values()]
            if slots is home:
                slots[entry] = choose.choice(places), entry
            elif wanted and choose.random() < reuse:
                slots[entry] = choose.choice(wanted)
            else:
                slots[entry] = choose.choice([*places, VAULT]), 100 + entry
            if entry in folders:
                places.append(entry)
    return tuple(home[e] for e in range(entries)), tuple(final[e] for e in range(entries)), folders


@pytest.mark.faults
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_large_trees_come_near_the_bound_without_any_search(
    seed: int, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 26 entries, most of them folders: all steps are allowed and few are more than the slots need."""
    monkeypatch.setattr("treegate.model.tangles.EXACT", 0)
    choose = random.Random(seed)
    over = []
    for _ in range(3000):
        home, final, folders = grown(choose.randint(8, 26), choose)
        steps, reached = compile_config(home, final, folders, exchange)
        assert reached == final
        over.append(len(steps) - bound(home, final, exchange=True))
    if exchange:
        assert sum(over) / len(over) < 0.3
