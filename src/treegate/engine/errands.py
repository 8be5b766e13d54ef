"""What an aide writes: files that follow from a plan's effects, or from its step table, and from nothing else.

Nothing is synced here: a sync beside a run makes the run's renames wait (by 2 us each, on ext4).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from treegate.engine import receipts, tablefile, wire
from treegate.engine.packing import unpacked
from treegate.engine.pieces import put
from treegate.engine.rollback import Ground, Reversal


def lines(effects: int, target: int) -> wire.Written | None:
    """The lines of a receipt; None where the run has more to tell of an effect than its preview had."""
    try:
        return _written(target, map(_as_lines, _chunks(effects)))
    except _Other:
        return None


class _Other(Exception):
    """An effect of which its preview does not say all."""


def _as_lines(chunk: bytes) -> bytes:
    made = receipts.moves_as_lines(chunk)
    if made is None or receipts.OF_FOLDERS in chunk:
        raise _Other
    return made + b"\n"


def _chunks(effects: int) -> Iterator[bytes]:
    with open(effects, "rb", closefd=False) as file:
        file.seek(0)
        while head := file.read(wire.LENGTH.size):
            yield unpacked(file.read(*wire.LENGTH.unpack(head)))


def data(task: wire.MakeData, targets: Sequence[int]) -> list[wire.Written | None]:
    """rollback.data of each volume; None for one on which nothing is to be taken back."""
    table = tablefile.read(Path(os.fsdecode(task.table)), task.digest)
    grounds = {key: Ground(os.fsdecode(volume), path) for key, (volume, path) in task.grounds.items()}
    reversal = Reversal(task.run, table, {}, grounds.__getitem__)
    found = reversal.volumes()
    return [
        _written(target, reversal.lines(os.fsdecode(volume), stable=stable)) if os.fsdecode(volume) in found else None
        for target, (volume, stable) in zip(targets, task.volumes, strict=True)
    ]


def _written(target: int, pieces: Iterator[bytes]) -> wire.Written:
    return wire.Written(*put(target, pieces))
