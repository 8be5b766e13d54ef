"""The world as a simulation sees it: the cases, the vaults and the blobs of one workspace, read-only."""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from treegate.engine import handles
from treegate.engine.scan import DiskTree
from treegate.engine.workspace import Workspace
from treegate.model.capabilities import Capabilities
from treegate.model.simulate import Kept
from treegate.model.tree import APPEND, IMMUTABLE, PACKED

_ATTRS = 4  # index in packed facts


class _Capabilities(Mapping[str, Capabilities]):
    """What each case's mount promises, found out when it is first asked."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __getitem__(self, case: str) -> Capabilities:
        if case not in self._workspace.cases():
            raise KeyError(case)
        return self._workspace.capabilities(case)

    def __contains__(self, case: object) -> bool:
        return case in self._workspace.cases()

    def __iter__(self) -> Iterator[str]:
        return iter(self._workspace.cases())

    def __len__(self) -> int:
        return len(self._workspace.cases())


class WorldTree(DiskTree):
    """The cases, and under paths that begin with `/` (a root key of the step table) the vaults of runs."""

    def __init__(self, projects: Path, single: str | None, hidden: frozenset[str], vault: Callable[[str], Path],
                 caps: Mapping[str, Capabilities]) -> None:  # fmt: skip
        super().__init__(str(projects), single=single, hidden=hidden, caps=caps)
        self._projects = projects
        self._single_case = single
        self._vault = vault
        self._vaults: dict[str, int] = {}  # held handles

    def close(self) -> None:
        for fd in self._vaults.values():
            handles.close(fd)
        self._vaults.clear()
        super().close()

    def _open(self, folder: str) -> int:
        if not folder.startswith("/"):
            return super()._open(folder)
        key, _, rest = folder[1:].partition("/")
        if key not in self._vaults:
            self._vaults[key] = handles.open_root(str(self._vault(key)))
        return handles.open_dir(self._vaults[key], rest)

    def free(self, folder: str) -> tuple[int, int]:
        """The bytes and inodes still free; (0 inodes: the filesystem does not count them)."""
        found = os.statvfs(self._disk_path(folder))
        return found.f_bavail * found.f_frsize, found.f_favail

    def obstacle(self, folder: str, name: str = "") -> tuple[str, str] | None:
        """What the operating system would say to a change of a folder's entries, or of one entry that is a folder."""
        path = self._disk_path(folder)
        try:
            return _entry_obstacle(path, folder, name) if name else self._folder_obstacle(path, folder)
        except FileNotFoundError:
            return None  # it went away: told as such where it is looked up

    def _folder_obstacle(self, path: Path, folder: str) -> tuple[str, str] | None:
        above, _, name = folder.rpartition("/")
        packed = super().facts(above, name)
        if packed is not None and PACKED.unpack(packed)[_ATTRS] & (IMMUTABLE | APPEND):
            return "immutable", f"the folder {folder!r} is marked immutable or append-only"
        try:
            allowed = os.access(path, os.W_OK | os.X_OK, effective_ids=True)
        except OSError as error:
            allowed = error.errno == errno.ENOSYS
        if allowed:
            return None
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return "read-only", f"{folder!r} is on a filesystem that is mounted read-only"
        return "no-permission", f"the folder {folder!r} may not be changed by this user"

    def _disk_path(self, folder: str) -> Path:
        if folder == self._single_case:
            return self._projects
        if self._single_case is not None and folder.startswith(self._single_case + "/"):
            return self._projects / folder[len(self._single_case) + 1 :]
        return self._projects / folder


def _entry_obstacle(path: Path, folder: str, name: str) -> tuple[str, str] | None:
    """A sticky folder lets only owners move; a folder that changes its parent must itself be writable."""
    if os.geteuid() == 0:
        return None
    above, own = os.lstat(path), os.lstat(path / name)
    if above.st_mode & st.S_ISVTX and os.geteuid() not in (above.st_uid, own.st_uid):
        return "no-permission", f"{folder + '/' + name!r} belongs to someone else, in a sticky folder"
    if st.S_ISDIR(own.st_mode) and not os.access(path / name, os.W_OK, effective_ids=True):
        return "no-permission", f"the folder {folder + '/' + name!r} may not be moved to another by this user"
    return None


class DiskWorld:
    """`model.simulate.World` over a workspace; a context manager, for its tree holds handles."""

    def __init__(
        self,
        workspace: Workspace,
        kept: Callable[[str, int], tuple[str, str] | None],
        blob_size: Callable[[str], int | None],
    ) -> None:
        self._workspace = workspace
        self._kept = kept  # (run, entry) -> (case, volume) of what the store says is still in the vault
        self._blob_size = blob_size
        self.cases: Mapping[str, Capabilities] = _Capabilities(workspace)
        self.volumes: Mapping[str, str] = workspace.cases()
        self.reserved = workspace.reserved
        self.tree = WorldTree(workspace.projects, workspace.single, workspace.hidden, self._vault, self.cases)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tree.close()

    def _vault(self, key: str) -> Path:
        _, volume, run = key.split(":")
        return self._workspace.vault(volume, run) / "entries"

    def kept(self, run: str, entry: int) -> Kept | None:
        """An entry of a run's vault, if the store and the disk both have it."""
        found = self._kept(run, entry)
        if found is None:
            return None
        case, volume = found
        try:
            facts = self.tree.facts(f"/vault:{volume}:{run}", str(entry))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if facts is None else Kept(facts, volume, case)

    def blob_size(self, sha256: str) -> int | None:
        return self._blob_size(sha256)
