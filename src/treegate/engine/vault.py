"""A run's vault on disk: what it keeps, the manifest that says so, and the script that takes the run back.

`.treegate/vault/{run}/` holds `entries/{number}` (placed by the run itself), `manifest.json`, `rollback.data` and
`rollback.sh`; and, once that script was used, `undone/` and the mark `rolled-back`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources

import msgspec

from treegate.engine import handles, posix
from treegate.engine.aide import ALONE, Aide
from treegate.engine.clearing import clear_tree
from treegate.engine.context import Result
from treegate.engine.journal import Entry
from treegate.engine.pieces import Content, blocks, lay
from treegate.engine.rollback import Ground, Reversal
from treegate.engine.store.records import Kept, VaultState
from treegate.engine.tablefile import Table
from treegate.engine.wire import MakeData
from treegate.engine.workspace import Workspace
from treegate.errors import Denied, NotVerified
from treegate.model.document import UNREADABLE, inert
from treegate.model.effects import Text, tagged
from treegate.model.table import ROOT

FORMAT = 1
ENTRIES, MANIFEST, DATA, SCRIPT = "entries", "manifest.json", "rollback.data", "rollback.sh"
UNDONE, MARK = "undone", "rolled-back"
RESTORED = VaultState.RESTORED
_KNOWN = re.compile(r"(manifest\.json|rollback\.(data|sh))(\.new)?|rolled-back|phase\.[1-4]")
_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True, gc=False):
    """One thing the vault keeps, as the manifest has it: a line of its own there."""

    entry: int
    case: str
    path: Text  # from `projects/`
    kind: str
    files: int
    size: int  # bytes


class Manifest(msgspec.Struct, frozen=True):
    """What a run put into the vault of one volume, and until when it is kept (None: for good)."""

    format: int
    run: str
    workspace: str
    created: str  # UTC, as 20260131T120000.123Z
    until: str | None
    entries: list[Line]


def timestamp(milliseconds: int) -> str:
    """A time (milliseconds since 1970) as files carry it: `20260131T120000.123Z`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{milliseconds % 1000:03d}Z"


# -- written when a run has ended


def order_data(workspace: Workspace, run: str, table: Table, aide: Aide) -> None:
    """Has the aide write rollback.data on each volume, where it follows from the step table alone."""
    if table.staged:
        return
    grounds = _grounds(workspace, run, table)
    volumes = _volumes(grounds)
    stable = [(os.fsencode(volume), _stable(workspace, table, volume)) for volume in volumes]
    where = {key: (os.fsencode(ground.volume), ground.path) for key, ground in grounds.items()}
    task = MakeData(run, os.fsencode(table.path), table.digest, where, stable)
    aide.order(DATA, task, [workspace.area(volume) for volume in volumes])


def write(
    workspace: Workspace, run: str, table: Table, result: Result, kept: Iterable[Kept], now: int, aide: Aide = ALONE
) -> dict[str, str]:
    """Writes manifest and rollback script of an applied run, durably, on every volume where it did something.

    Doing it again does no harm. `now` is in milliseconds since 1970. Returns the SHA-256 (hex) of each script and its
    data, by path from the workspace. Raises OSError.
    """
    sums: dict[str, str] = {}
    by_volume: dict[str, list[Kept]] = {}
    for one in sorted(kept, key=lambda one: one.entry):
        by_volume.setdefault(workspace.volume(one.case), []).append(one)
    data = _data_by(aide, workspace, run, table) or _data(workspace, run, table, result, by_volume)
    for volume in sorted(data):
        found = _write(workspace, run, volume, by_volume.get(volume, []), data[volume], now)
        place = workspace.vault(volume, run).relative_to(workspace.root)
        sums |= {str(place / name): sha256 for name, sha256 in found.items()}
    return sums


def _data_by(aide: Aide, workspace: Workspace, run: str, table: Table) -> dict[str, Content]:
    """rollback.data by volume, if an aide wrote it: from the table alone, which names all that the run then kept."""
    volumes = _volumes(_grounds(workspace, run, table))
    return {volume: file for volume, file in zip(volumes, aide.files(DATA), strict=False) if file is not None}


def _data(workspace: Workspace, run: str, table: Table, result: Result, kept: Iterable[str]) -> dict[str, Content]:
    """rollback.data of each volume on which something is to be taken back, or is kept."""
    reversal = _reversal(workspace, run, table, result.built)
    volumes = {*kept, *reversal.volumes()}
    return {volume: reversal.lines(volume, stable=_stable(workspace, table, volume)) for volume in volumes}


def _write(workspace: Workspace, run: str, volume: str, kept: list[Kept], data: Content, now: int) -> dict[str, str]:
    path = workspace.vault(volume, run)
    (path / ENTRIES).mkdir(mode=0o700, parents=True, exist_ok=True)
    with handles.closing(handles.open_root(str(path))) as folder:
        posix.set_mode(folder, 0o700)
        # The manifest is last, for it says that the others are there.
        manifest = _manifest(run, workspace.id, timestamp(now), _until(kept), map(line, kept))
        sums = _put_all(folder, {DATA: data, SCRIPT: [script()], MANIFEST: manifest})
        posix.fsync(folder)
    with handles.closing(handles.open_root(str(path.parent))) as above:
        posix.fsync(above)
    return {name: sums[name] for name in (DATA, SCRIPT)}


def _reversal(workspace: Workspace, run: str, table: Table, built: Mapping[int, Entry]) -> Reversal:
    return Reversal(run, table, built, _grounds(workspace, run, table).__getitem__)


def _grounds(workspace: Workspace, run: str, table: Table) -> dict[bytes, Ground]:
    """Where the folder of each root key of a table is."""
    return {row.name: _ground(workspace, row.name, run) for row in table.places if row.parent == ROOT}


def _volumes(grounds: Mapping[bytes, Ground]) -> list[str]:
    return sorted({ground.volume for ground in grounds.values()})


@cache
def script() -> bytes:
    """The rollback script, the same for every run."""
    return resources.files("treegate.engine").joinpath(SCRIPT).read_bytes()


def _put(folder: int, name: str, pieces: Iterable[bytes]) -> str:
    """Puts a whole file in place, or leaves what was there. Its SHA-256 (hex)."""
    return _put_all(folder, {name: pieces})[name]


def _put_all(folder: int, contents: Mapping[str, Content]) -> dict[str, str]:
    """Puts whole files in place, in this order: written aside, synced, renamed. The SHA-256 (hex) of each."""
    sums: dict[str, str] = {}
    with contextlib.ExitStack() as held:
        written: list[int] = []
        for name, content in contents.items():
            fd, _, sums[name] = lay(folder, f"{name}.new", content)
            written.append(held.enter_context(handles.closing(fd)))
        for fd in written:  # together, for what the first of them makes the disk write is not written again
            posix.fsync(fd)
    for name in contents:
        os.replace(f"{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)
    return sums


def _manifest(run: str, workspace: str, created: str, until: str | None, lines: Iterable[Line]) -> Iterator[bytes]:
    """The manifest as JSON, a line an entry."""
    head = _encode(Manifest(FORMAT, run, workspace, created, until, []))
    yield inert(head).removesuffix(b"]}") + b"\n"
    between = b""
    for line in lines:
        yield between + inert(_encode(line))
        between = b",\n"
    yield b"\n]}\n"


def line(kept: Kept) -> Line:
    """A kept entry as the manifest tells it."""
    return Line(kept.entry, kept.case, tagged(kept.path), kept.kind, kept.files, kept.size)


def _until(kept: list[Kept]) -> str | None:
    return timestamp(kept[0].until) if kept and kept[0].until is not None else None


def _ground(workspace: Workspace, key: bytes, run: str) -> Ground:
    """Where the folder that a root key of the table names is: `Workspace.open_root` as a path in its volume."""
    kind, _, rest = os.fsdecode(key).partition(":")
    if kind == "case":
        volume, path = workspace.volume(rest), workspace.case_path(rest)
    elif kind == "vault":
        volume, _, other = rest.partition(":")
        path = workspace.vault(volume, other or run) / ENTRIES
    else:
        volume, path = rest, workspace.area(rest) / "runs" / run / kind
    return Ground(volume, os.fsencode(path.relative_to(workspace.area(volume).parent)))


def _stable(workspace: Workspace, table: Table, volume: str) -> bool:
    """Whether entries on a volume can be known by their inode numbers."""
    cases = [case for case in table.header.cases if workspace.volume(case) == volume]
    return all(workspace.capabilities(case).stable_inodes for case in cases)


# -- made anew, where it was lost or edited


def rewrite_manifest(workspace: Workspace, volume: str, run: str, kept: list[Kept], created: int) -> None:
    """Writes the manifest of what is still kept on a volume, durably; `created` in milliseconds. Raises OSError."""
    with _opened(workspace, volume, run) as folder:
        _put(folder, MANIFEST, _manifest(run, workspace.id, timestamp(created), _until(kept), map(line, kept)))
        posix.fsync(folder)


def rollback_data(
    workspace: Workspace, volume: str, run: str, table: Table, built: Mapping[int, Entry]
) -> Iterator[bytes]:
    """What `rollback.data` holds, made anew; KeyError if `built` lacks something that the run made."""
    stable = _stable(workspace, table, volume)
    yield from _reversal(workspace, run, table, built).lines(volume, stable=stable)


def rewrite(
    workspace: Workspace, volume: str, run: str, name: str, pieces: Callable[[], Iterable[bytes]], sha256: str
) -> bool:
    """Writes a file about a vault again, durably, if `pieces` are what it held (`sha256`); whether they are."""
    digest = hashlib.sha256()
    for block in blocks(pieces()):
        digest.update(block)
    if digest.hexdigest() != sha256:
        return False
    with _opened(workspace, volume, run) as folder:
        _put(folder, name, pieces())
        posix.fsync(folder)
    return True


@contextlib.contextmanager
def _opened(workspace: Workspace, volume: str, run: str) -> Iterator[int]:
    with (
        handles.closing(handles.open_root(str(workspace.area(volume) / "vault"))) as vault,
        handles.closing(handles.open_child(vault, run)) as folder,
    ):
        yield folder


# -- what became of it


def manifest(workspace: Workspace, volume: str, run: str) -> Manifest | None:
    """The manifest of a run's vault, None if there is none; raises NotVerified if it cannot be read."""
    path = workspace.vault(volume, run) / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise NotVerified(f"{path} cannot be read: {error}", code="manifest-damaged") from None


def mark_of(workspace: Workspace, volume: str, run: str) -> str | None:
    """When `rollback.sh` took the run back on this volume (UTC, `20260131T120000Z`); None if it did not."""
    try:
        return (workspace.vault(volume, run) / MARK).read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def runs(workspace: Workspace, volume: str) -> list[str]:
    """The runs that have a vault folder on a volume."""
    try:
        return sorted(os.listdir(workspace.area(volume) / "vault"))
    except FileNotFoundError:
        return []


def entries(workspace: Workspace, volume: str, run: str) -> set[str]:
    """The names of what is kept in a run's vault on a volume."""
    try:
        return set(os.listdir(workspace.vault(volume, run) / ENTRIES))
    except FileNotFoundError:
        return set()


def bare(workspace: Workspace, volume: str, run: str) -> bool:
    """Whether a run's vault holds only the files about it: nothing kept, nothing that `rollback.sh` set aside."""
    with os.scandir(workspace.vault(volume, run)) as found:
        return all(
            _KNOWN.fullmatch(one.name) or (one.name in (ENTRIES, UNDONE) and not os.listdir(one.path))
            for one in found
        )


def remove(workspace: Workspace, volume: str, run: str, entries: Iterable[int]) -> None:
    """Removes kept entries for good, then the run's vault folder if nothing is left in it; durably.

    What is gone already is fine. Nothing outside the vault is touched, no link followed, no mount crossed. Raises
    Denied "vault-entry-stays" if something could not be removed; all else is removed by then. OSError ELOOP where
    a link stands for one of the vault's own folders.
    """
    try:
        vault = handles.open_root(str(workspace.area(volume) / "vault"))
    except FileNotFoundError:
        return
    with handles.closing(vault), contextlib.suppress(FileNotFoundError):
        with handles.closing(handles.open_child(vault, run)) as folder:
            failed = _remove_entries(folder, list(entries))
            found = manifest(workspace, volume, run)
            if found is not None:
                _shorten(folder, found)
            posix.fsync(folder)
            empty = _clear_out(folder)
        if empty:
            posix.rmdir(vault, run)
            posix.fsync(vault)
        if failed:
            raise _stays(run, failed)


def _remove_entries(folder: int, entries: list[int]) -> list[tuple[int, OSError]]:
    failed = []
    with contextlib.suppress(FileNotFoundError), handles.closing(handles.open_child(folder, ENTRIES)) as kept:
        for entry in entries:
            try:
                clear_tree(kept, b"%d" % entry)
            except OSError as error:
                failed.append((entry, error))
        posix.fsync(kept)
    return failed


def _shorten(folder: int, found: Manifest) -> None:
    """Leaves the manifest of what is still there."""
    with handles.closing(handles.open_child(folder, ENTRIES)) as kept:
        there = {line.entry for line in found.entries if posix.exists(kept, str(line.entry))}
    if len(there) < len(found.entries):
        left = (line for line in found.entries if line.entry in there)
        _put(folder, MANIFEST, _manifest(found.run, found.workspace, found.created, found.until, left))


def _clear_out(folder: int) -> bool:
    """Takes away the files about the entries once there are none, and nothing that rollback.sh set aside."""
    for name in (UNDONE, ENTRIES):
        try:
            posix.rmdir(folder, name)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    names = sorted(os.listdir(folder))
    if any(_KNOWN.fullmatch(name) is None for name in names):
        return False
    for name in names:
        posix.unlink(folder, name)
    return True


def _stays(run: str, failed: list[tuple[int, OSError]]) -> Denied:
    entry, error = failed[0]
    more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
    return Denied(
        f"entry {entry} of {run} could not be removed from the vault: {error.strerror}{more}",
        code="vault-entry-stays",
        hint="see to permissions, immutable files and mounts under .treegate/vault, and remove what is left there",
    )
