"""Placements: the fewest moves from one arrangement of things in slots to another; a slot may lie in a thing.

Things and slots are small integers here. Best-first search (A*), with a bound that counts the rings of the
permutation: exact, and meant for a handful of things.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, count
from typing import NamedTuple

PARKED = -1
State = tuple[int, ...]  # the slot of each entry, by number; PARKED is room for all


class Move(NamedTuple):
    """A step of the search: an entry goes to a slot, or (then without one) changes places with another (-1: none)."""

    entry: int
    slot: int
    other: int = -1


def fewest(start: State, goal: State, around: list[int], exchange: bool) -> list[Move]:
    """The fewest moves from one placement to another, by best-first search (A*).

    `around[slot]` is the entry that the slot lies in, or -1.
    """
    cost = {start: 0}
    came: dict[State, tuple[State, Move]] = {}
    least = _bound(start, goal, exchange)
    agenda: list[list[State]] = [[start]]  # by how many moves more than the bound are needed at least
    done: set[State] = set()
    for extra in count():
        while len(agenda) <= extra + 2:
            agenda.append([])
        while agenda[extra]:
            state = agenda[extra].pop()
            if state == goal:
                return _way(came, goal)
            if state in done:
                continue
            done.add(state)
            for move, after in _moves(state, goal, around, exchange):
                spent = cost[state] + 1
                if spent < cost.get(after, spent + 1):
                    cost[after] = spent
                    came[after] = state, move
                    agenda[spent + _bound(after, goal, exchange) - least].append(after)
    raise AssertionError("every placement can be reached by parking all")


def never_missing(moves: list[Move], replaced: dict[int, int], goal: State) -> list[Move]:
    """As many moves, but a replaced file leaves by exchange with its successor, where nothing stands against it."""
    for old, new in replaced.items():
        gone = next(place for place, move in enumerate(moves) if old in (move.entry, move.other))
        taking = Move(new, goal[new])
        if moves[gone] != Move(old, goal[old]) or taking not in moves[gone:]:
            continue
        taken = moves.index(taking, gone)
        between = moves[gone + 1 : taken]
        if not any(move.slot == goal[new] or old in (move.entry, move.other) for move in between):
            moves[gone : taken + 1] = [*between, Move(new, PARKED, old), moves[gone]]
    return moves


def _way(came: dict[State, tuple[State, Move]], state: State) -> list[Move]:
    way = []
    while state in came:
        state, move = came[state]
        way.append(move)
    return way[::-1]


def _bound(state: State, goal: State, exchange: bool) -> int:
    """How many moves it takes at least: one an entry, one less (without exchange: more) a ring."""
    holder = {slot: entry for entry, slot in enumerate(state) if slot != PARKED and slot != goal[entry]}
    astray = sum(slot != goal[entry] for entry, slot in enumerate(state))
    rings = 0
    while holder:
        first, entry = holder.popitem()
        while goal[entry] in holder:
            entry = holder.pop(goal[entry])
        rings += goal[entry] == first
    return astray - rings if exchange else astray + rings


def _moves(state: State, goal: State, around: list[int], exchange: bool) -> Iterator[tuple[Move, State]]:
    """Every allowed move, the plainest last, for that is looked at first."""
    free = [slot for slot in range(PARKED, len(around)) if slot == PARKED or slot not in state]
    entries = range(len(state))
    for entry in entries:
        for slot in free:
            if slot != state[entry] and not _within(state, around, slot, entry):
                yield Move(entry, slot), (*state[:entry], slot, *state[entry + 1 :])
    for entry, other in combinations(entries, 2) if exchange else ():
        if not _within(state, around, state[entry], other) and not _within(state, around, state[other], entry):
            after = list(state)
            after[entry], after[other] = state[other], state[entry]
            gets_home = after[entry] == goal[entry]
            yield (Move(entry, PARKED, other) if gets_home else Move(other, PARKED, entry)), tuple(after)


def _within(state: State, around: list[int], slot: int, entry: int) -> bool:
    """Whether a slot lies in an entry."""
    while slot != PARKED and around[slot] >= 0:
        if around[slot] == entry:
            return True
        slot = state[around[slot]]
    return False
