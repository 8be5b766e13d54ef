"""The full list of effects: written once, in display order, digested and counted on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from treegate.model.effects import Effect
from treegate.model.lines import Lines
from treegate.model.net import Net, new_below
from treegate.model.preview import CHUNK, Counts

Keep = Callable[[list[bytes]], None]
encode = msgspec.json.Encoder(order="sorted").encode


class Listing(NamedTuple):
    """What the full list comes to."""

    digest: str  # hex SHA-256 over every effect and the facts of what it touches
    counts: Counts


def write(lines: Lines, keep: Keep) -> Listing:
    """Writes the full list; `keep` is given each chunk of encoded effects."""
    digest = hashlib.sha256()
    tally = _Tally()
    nodes, every = lines.nodes(), iter(lines)
    while effects := list(islice(every, CHUNK)):
        encoded = list(map(encode, effects))
        keep(encoded)
        digest.update(b"\n".join(encoded))
        digest.update(b"\0facts".join([node.facts or b"" for node in islice(nodes, CHUNK)]))
        tally.take(effects)
    _digest_rest(lines.net, digest.update)
    new_bytes = sum(lines.net.held(node).size for node in lines.net.new)
    return Listing(digest.hexdigest(), tally.counts(new_bytes, len(lines.crossings)))


class _Tally:
    """How many effects there are of each kind, with how many files and bytes."""

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = {}

    def take(self, effects: Iterable[Effect]) -> None:
        """Adds some effects."""
        found = self._found
        for effect in effects:
            sums = found.get(effect.effect)
            if sums is None:
                sums = found[effect.effect] = [0, 0, 0]
            sums[0] += 1
            sums[1] += effect.files
            sums[2] += effect.size

    def counts(self, new_bytes: int, crossing: int) -> Counts:
        """What it all comes to."""
        found = self._found
        nothing = [0, 0, 0]
        _, moved_files, moved_bytes = found.get("moved", nothing)
        _, deleted_files, deleted_bytes = found.get("deleted", nothing)
        return Counts(
            **{kind: count for kind, (count, _, _) in found.items()},
            effects=sum(count for count, _, _ in found.values()),
            files=sum(files for _, files, _ in found.values()),
            moved_files=moved_files,
            deleted_files=deleted_files,
            moved_bytes=moved_bytes,
            deleted_bytes=deleted_bytes,
            new_bytes=new_bytes,
            bytes=sum(size for _, _, size in found.values()),
            crossing=crossing,
        )


def _digest_rest(net: Net, update: Callable[[bytes], object]) -> None:
    """What the effects rest on besides their own facts: replaced files, deleted folders, copies, `expect`s."""
    for node, old in net.replaced.items():
        update(b"\0replaced%d" % node.number + (old.facts or b""))
    for node, totals in net.totals.items():
        if net.is_removed(node):
            update(b"\0folder%d" % node.number + totals.digest)
    for node in net.new:
        for each in (node, *new_below(node)):
            made = each.made
            if made is not None and made.source is not None:
                update(b"\0source%d" % node.number + (made.source.facts or b""))
    for node, sha256 in net.outcome.expected.items():
        update(b"\0expect%d" % node.number + sha256.encode())
