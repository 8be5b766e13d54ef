"""A workspace on disk: its marker, its cases, and the folders of treegate's own.

The workspace holds `.treegate/workspace.json` with two ids, its own and that of
the state directory that owns it. Without the marker nothing is done: a bucket
that is not mounted looks like an empty folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from treegate.engine import handles, mounts, posix
from treegate.engine.caselist import Away, CaseList, unreadable
from treegate.engine.config import Config
from treegate.engine.probe import assume, probe
from treegate.errors import NotFound, NotVerified, UsageError
from treegate.model.capabilities import Capabilities
from treegate.model.document import UNREADABLE

AREA = ".treegate"
MARKER = "workspace.json"
DATABASE = "treegate.db"  # in the state directory
FORMAT = 1


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `.treegate/workspace.json` says."""

    format: int
    workspace: str
    state: str


def new_marker() -> Marker:
    """A marker with fresh ids."""
    return Marker(FORMAT, f"ws_{secrets.token_hex(8)}", f"st_{secrets.token_hex(8)}")


def find(start: Path, environ: Mapping[str, str]) -> Path:
    """The workspace that a folder is in: TREEGATE_WORKSPACE, or the nearest one upwards with a marker."""
    if named := environ.get("TREEGATE_WORKSPACE"):
        return Path(named)
    for folder in (start, *start.parents):
        try:
            if (folder / AREA / MARKER).is_file():
                return folder
        except OSError as error:
            raise unreadable(folder, error) from None
    raise NotFound(
        f"{start} is not inside a workspace",
        code="no-workspace",
        hint="change into one, name it with --workspace, mount it if it is on a mount, or make one",
        next="treegate init DIR",
    )


def state_directory(workspace: str, environ: Mapping[str, str]) -> Path:
    """Where the state of a workspace (its id) is kept: TREEGATE_STATE, or the system's place for such things."""
    if named := environ.get("TREEGATE_STATE"):
        return Path(named)
    if os.geteuid() == 0 and "XDG_STATE_HOME" not in environ:
        return Path("/var/lib/treegate") / workspace
    home = Path(environ.get("XDG_STATE_HOME") or Path(environ.get("HOME", "/")) / ".local/state")
    return home / "treegate" / workspace


def read_marker(root: Path) -> Marker:
    """The marker of a workspace; raises Away, Unreadable or NotVerified."""
    path = root / AREA / MARKER
    try:
        return msgspec.json.decode(path.read_bytes(), type=Marker)
    except FileNotFoundError:
        hint = "is the bucket mounted? An unmounted one looks like an empty folder; if it is none yet, make it one"
        text = f"{root} has no {AREA}/{MARKER}"
        raise Away(text, code="marker-missing", hint=hint, next="treegate init --help") from None
    except UNREADABLE as error:
        raise NotVerified(f"{path} cannot be read: {error}", code="marker-damaged") from None
    except OSError as error:
        raise unreadable(path, error) from None


def write_marker(root: Path, marker: Marker) -> None:
    """Writes the marker durably; the folders on the way are made."""
    area = root / AREA
    area.mkdir(mode=0o700, exist_ok=True)
    replace_file(area / MARKER, json.dumps(msgspec.to_builtins(marker), indent=2).encode() + b"\n")


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Puts a whole file in place durably, or leaves the old one: written aside, synced, renamed."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            posix.write(fd, data)
            posix.fsync(fd)
        finally:
            handles.close(fd)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Makes durable which entries a folder has; raises OSError."""
    with handles.closing(handles.open_root(str(folder))) as fd:
        posix.fsync(fd)


class Workspace:
    """An open workspace: where its cases and treegate's own folders are."""

    def __init__(self, root: Path, marker: Marker, state: Path, config: Config) -> None:
        self.root = root
        self.marker = marker
        self.state = state
        self.config = config
        self.folders = config.workspace
        self.projects = root if self.folders.projects == "." else root / self.folders.projects
        self._capabilities: dict[str, Capabilities] = {}
        self._cases: Mapping[str, str] | None = None

    @property
    def id(self) -> str:
        return self.marker.workspace

    def check_marker(self) -> None:
        """Raises NotFound or NotVerified where the folder is no longer what was opened: unmounted meanwhile, say."""
        if read_marker(self.root) != self.marker:
            text = f"{self.root} is another workspace than the one that was opened"
            raise NotVerified(text, code="state-mismatch", hint="was something else mounted there meanwhile?")

    @property
    def single(self) -> str | None:
        """The name of the one case, where the projects folder itself is it."""
        return self.projects.resolve().name if self.folders.single else None

    @property
    def hidden(self) -> frozenset[str]:
        """Names directly in the projects folder that are treegate's own: no case, and no plan's to see."""
        folders = self.folders
        if folders.projects != ".":
            return frozenset({AREA})
        beside = (folders.reports, folders.database, folders.tools)
        return frozenset({AREA, *(path.partition("/")[0] for path in beside)})

    @property
    def reserved(self) -> frozenset[str]:
        """Names directly in a case that no plan may make."""
        return frozenset({AREA}) if self.single is None else self.hidden

    def cases(self) -> Mapping[str, str]:
        """Every case and the volume it is on, as `CaseList` tells them; raises Away and Unreadable."""
        if self._cases is None:
            single = self.single
            here = self.projects, self.hidden, self._own_device
            self._cases = {single: ""} if single is not None else CaseList(*here)
        return self._cases

    def look_again(self) -> None:
        """The cases are listed anew when they are asked for next: people make some while a service runs."""
        self._cases = None

    def _own_device(self) -> int:
        """The filesystem of treegate's own folder; where there is none yet, that of the workspace."""
        try:
            return (self.root / AREA).stat().st_dev
        except FileNotFoundError:
            return self.root.stat().st_dev

    def case_path(self, case: str) -> Path:
        """The folder of a case."""
        return self.projects if case == self.single else self.projects / case

    def place(self, path: str) -> str:
        """Where a path that begins with its case is."""
        case, _, rest = path.partition("/")
        return str(self.case_path(case) / rest) if rest else str(self.case_path(case))

    def area(self, volume: str) -> Path:
        """The `.treegate` of a volume."""
        return (self.case_path(volume) if volume else self.root) / AREA

    def volume(self, case: str) -> str:
        """The volume that a case is on."""
        return self.cases().get(case, "")

    def vault(self, volume: str, run: str) -> Path:
        """Where a run's vault is on a volume; its kept entries are in `entries/` there."""
        return self.area(volume) / "vault" / run

    def make_areas(self, volumes: list[str], run: str, kinds: Collection[str]) -> None:
        """Makes the areas that a run needs (of new, park, vault), durably; fine if they are there."""
        for volume in volumes:
            area = self.area(volume)
            made = [area / "runs" / run / kind for kind in ("new", "park") if kind in kinds]
            made += [area / "vault" / run / "entries"] if "vault" in kinds else []
            for path in made:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in sorted({above for path in made for above in (path.parent, path.parent.parent, area)}):
                sync_names(folder)

    def open_root(self, key: bytes, run: str) -> int:
        """A handle of the folder that a root key of the step table (model.table) names, for a run."""
        kind, _, rest = os.fsdecode(key).partition(":")
        if kind == "case":
            return handles.open_root(str(self.case_path(rest)))
        if kind == "vault":
            volume, _, other = rest.partition(":")
            return handles.open_root(str(self.vault(volume, other or run) / "entries"))
        return handles.open_root(str(self.area(rest) / "runs" / run / kind))

    # What the mounts promise

    def capabilities(self, case: str, *, anew: bool = False) -> Capabilities:
        """What the mount of a case promises; found out once per mount and boot, and remembered in the state."""
        volume = self.volume(case)
        if anew or volume not in self._capabilities:
            self._capabilities[volume] = self._probed(volume, anew)
        found = self._capabilities[volume]
        rules = self.config.policy.names.rules
        return found if rules == "auto" else msgspec.structs.replace(found, name_rules=tuple(rules))

    def _probed(self, volume: str, anew: bool) -> Capabilities:
        folder = self.case_path(volume) if volume else self.projects
        key = self._mount_key(folder)
        path = self.state / "probe.json"
        remembered = _remembered(path)
        if not anew and key in remembered:
            return remembered[key]
        area = self.area(volume)
        try:
            area.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            return assume(str(folder))
        found = probe(str(area), str(folder))
        if found.writable:
            kept = {name: caps for name, caps in remembered.items() if name.startswith(posix.boot_id())}
            replace_file(path, msgspec.json.encode({**kept, key: found}))
        return found

    def _mount_key(self, folder: Path) -> str:
        fd = handles.open_root(str(folder))
        try:
            return f"{posix.boot_id()} {posix.mount_id(fd)} {folder}"
        finally:
            handles.close(fd)


def _remembered(path: Path) -> dict[str, Capabilities]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Capabilities])
    except (FileNotFoundError, *UNREADABLE):
        return {}  # it is only a memory: the next probe writes it anew


_DIGITS = 16  # of a number of runs: one that is as long as the last can be written over it
GENERATION = "generation"  # in the workspace's area: how many runs its tree has seen begin


def generation(root: Path) -> int:
    """How many runs the tree has seen begin; a database that knows of fewer is older than the tree."""
    try:
        return int((root / AREA / GENERATION).read_text())
    except (FileNotFoundError, ValueError):
        return 0
    except OSError as error:
        raise unreadable(root / AREA / GENERATION, error) from None


def note_generation(root: Path, number: int) -> None:
    """Notes at the tree, before a run's first step, its number: written over the last one, where both are as long."""
    path, data = root / AREA / GENERATION, f"{number:0{_DIGITS}}\n".encode()
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        replace_file(path, data)
        return
    with handles.closing(fd):
        with suppress(OSError):  # not every mount has locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        old = os.pread(fd, len(data) + 1, 0)
        if len(old) == len(data):
            if old < data:  # a run of another case may have begun since
                os.pwrite(fd, data, 0)
            posix.fdatasync(fd)
            return
    replace_file(path, data)


def refuse_remote_state(state: Path) -> None:
    """Raises UsageError where the state directory would lie on FUSE or a network filesystem."""
    if not mounts.is_local(str(state)):
        text = f"the state directory {state} is not on a local disk"
        hint = "journals and the database need one: name another with --state DIR or TREEGATE_STATE"
        raise UsageError(text, code="state-not-local", hint=hint)
