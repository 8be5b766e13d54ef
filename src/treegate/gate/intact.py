"""Whether vaults still hold what runs put there, as they put it: what was edited in a vault is not put back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from treegate.engine import handles, posix, receipts, tablefile
from treegate.engine.journal import Entry
from treegate.engine.locate import still
from treegate.engine.scan import totals_of
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.engine.tablefile import Table
from treegate.errors import NotFound
from treegate.gate.core import Core
from treegate.model.tree import Facts, Kind, pack, unpack


def facts_after(table: Table, built: Mapping[int, Entry]) -> dict[int, bytes]:
    """The packed facts by which each touched entry is known after its run, by number; of what it made, as `built`."""
    facts = {number: entry.facts for number, entry in built.items()}
    for step in table.steps():
        if step.facts:
            facts[step.entry] = step.facts
        if step.other_facts:
            facts[step.other] = step.other_facts
    times: dict[int, int] = {}  # by inode: a time that is set shows under each name of the file
    for setting in table.settings():
        facts.setdefault(setting.entry, setting.facts)
        if setting.mtime is not None:
            times[unpack(setting.facts).ino] = setting.mtime
    return {number: _timed(packed, times) for number, packed in facts.items()} if times else facts


def facts_of_built(table: Table, built: Mapping[int, Entry]) -> dict[int, bytes]:
    """The same of what the run made alone; the step table has the others."""
    if table.header.settings and built:
        known = facts_after(table, built)
        return {number: known[number] for number in built}
    return {number: entry.facts for number, entry in built.items()}


def _timed(packed: bytes, times: dict[int, int]) -> bytes:
    known = unpack(packed)
    return pack(known._replace(mtime=times[known.ino])) if known.ino in times else packed


class Altered(NamedTuple):
    """A kept entry that is not as its run put it into the vault."""

    kept: Kept
    text: str


def altered(core: Core, run: Run, wanted: Collection[int] | None = None) -> list[Altered]:
    """Which of the entries that a run's vault should still hold (all, or the `wanted` numbers) are not as they were.

    Kind, inode, size and mtime are compared, and for folders all that is below; a file edited in place whose time was
    put back by hand is not noticed. The time of a file with other names may be set through those, and what was out of
    the vault since (`rollback.sh` put it back) may have been touched there: of these the size must do.
    """
    rows = [
        kept
        for kept in core.store.vault(run=run.id)
        if kept.state is VaultState.KEPT and (wanted is None or kept.entry in wanted)
    ]
    if not rows:
        return []
    table = kept_table(core, run)
    known = facts_after(table, {})
    copied = {row.number: row.source_facts for row in table.backups()}
    was = _Was(known, copied, _held_then(core, run) if any(kept.kind == Kind.DIR.value for kept in rows) else {})
    by_volume = sorted(((core.workspace.volume(kept.case), kept) for kept in rows), key=lambda pair: pair[0])
    return [
        found
        for volume, pairs in groupby(by_volume, key=lambda pair: pair[0])
        for found in _on_volume(core, volume, run.id, [kept for _, kept in pairs], was)
    ]


def kept_table(core: Core, run: Run) -> Table:
    """The step table of an ended run, kept beside its receipt; raises NotFound or NotVerified."""
    try:
        return tablefile.read(core.state / "receipts" / f"{run.id}.table", run.table_digest)
    except FileNotFoundError:
        text = f"the step table of {run.id} is gone: what its vault held cannot be compared"
        raise NotFound(text, code="table-missing", hint="restore the state directory's backup") from None


class _Was(NamedTuple):
    """The kept entries as their run left them, by number."""

    facts: dict[int, bytes]
    copied: dict[int, bytes]  # of a backup: the facts of the file that it is a copy of
    held: dict[int, str]  # the digest of what a folder holds


def _held_then(core: Core, run: Run) -> dict[int, str]:
    lines = receipts.read_lines(core.state / "receipts" / f"{run.id}.lines")
    return {line.effect.vault: line.held for line in lines if line.effect.vault is not None and line.held}


def held(core: Core, run: Run, table: Table, kept: Iterable[Kept]) -> dict[int, str]:
    """A digest (hex) of what each folder holds that a run, just ended, put into the vault; by number.

    It is the one that the run itself checked, or where the run took something out of the folder, of what is there. A
    folder that cannot be read has none: that is no reason to call a run unfinished.
    """
    folders = {one.entry: one for one in kept if one.kind == Kind.DIR.value}
    found = _undisturbed(table, folders) if folders else {}
    for number in folders.keys() - found.keys():
        case = folders[number].case
        exact = core.workspace.capabilities(case).stable_inodes
        with contextlib.suppress(OSError):
            root = core.workspace.open_root(os.fsencode(f"vault:{core.workspace.volume(case)}:{run.id}"), run.id)
            with handles.closing(root), handles.closing(handles.open_child(root, str(number))) as inside:
                found[number] = totals_of(inside, exact=exact).digest.hex()
    return found


def _undisturbed(table: Table, wanted: Collection[int]) -> dict[int, str]:
    """The digests in a table of those wanted folders out of which, and inside of which, it moves nothing."""
    digests = {(check.place, check.name): check.digest for check in table.checks if check.digest}
    above: dict[int, int] = {}  # place -> the wanted folder that it is or is in
    for place in table.places:
        number = place.number if place.number in wanted else above.get(place.parent)
        if number is not None:
            above[place.number] = number
    disturbed = {above.get(row.place) for row in table.settings()}
    found: dict[int, str] = {}
    for step in table.steps():
        disturbed |= {above.get(step.src), above.get(step.dst)}
        digest = digests.get((step.src, step.src_name))
        if digest is not None and step.entry in wanted:
            found[step.entry] = digest.hex()
    return {number: digest for number, digest in found.items() if number not in disturbed}


def _on_volume(core: Core, volume: str, run: str, rows: list[Kept], was: _Was) -> Iterator[Altered]:
    stable = core.workspace.capabilities(rows[0].case).stable_inodes
    try:
        folder = core.workspace.open_root(os.fsencode(f"vault:{volume}:{run}"), run)
    except OSError as error:
        yield from (Altered(kept, f"cannot be looked at: {error.strerror}") for kept in rows)
        return
    with handles.closing(folder):
        for kept in rows:
            text = _difference(folder, kept, was, stable)
            if text:
                yield Altered(kept, text)


def _difference(folder: int, kept: Kept, was: _Was, stable: bool) -> str:
    name, facts = str(kept.entry), was.facts.get(kept.entry)
    try:
        now = posix.facts(folder, name.encode())
        times = kept.by_run is None and now.nlink == 1
        if facts is not None and not _alike(unpack(facts), now, stable, times):
            return "was changed there"
        if kept.entry in was.copied and not _alike(unpack(was.copied[kept.entry]), now, False, times):
            return "was changed there"
        if now.kind is not Kind.DIR:
            return ""
        with handles.closing(handles.open_child(folder, name)) as inside:
            totals = totals_of(inside, exact=stable)
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    digest = was.held.get(kept.entry)
    if digest and kept.by_run is None and not totals.multilinks:
        return "" if totals.digest.hex() == digest else "holds something else than it did"
    return "" if (totals.files, totals.size) == (kept.files, kept.size) else "holds more or less than it did"


def _alike(was: Facts, now: Facts, stable: bool, times: bool) -> bool:
    if now.kind is Kind.DIR:
        return still(was, now, stable)
    same_time = was.mtime == now.mtime or not times
    return was.kind is now.kind and was.size == now.size and same_time and (was.ino == now.ino or not stable)


def named(found: list[Altered]) -> str:
    """Altered entries in words, at most three of them."""
    shown = ", ".join(f"entry {kept.entry} ({kept.path!r}) {text}" for kept, text in found[:3])
    return shown + (f", and {len(found) - 3} more" if len(found) > 3 else "")
