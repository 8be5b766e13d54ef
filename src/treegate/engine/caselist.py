"""The cases of a workspace, each looked at once somebody asks for it: there may be many, and a plan names one."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from treegate.errors import NotFound, UsageError


class Unreadable(UsageError):
    """The workspace is there, and cannot be read: a mount whose server is gone, say."""

    code, http_status, retry_after = "workspace-unreadable", 503, 10


def unreadable(path: Path, error: OSError) -> Unreadable:
    """The error for a workspace of which something is there, and cannot be read."""
    hint = "if its mount has gone, unmount what is left and mount it again"
    return Unreadable(f"{path}: {error.strerror}", hint=hint, next="treegate doctor")


class Away(NotFound):
    """The workspace is not there now: a mount that is gone leaves an empty folder, or an error."""

    http_status, retry_after = 503, 10


class CaseList(Mapping[str, str]):
    """Every case and the volume it is on: "" for the workspace's own, else its own name. Raises Away, Unreadable."""

    def __init__(self, folder: Path, hidden: Collection[str], own_device: Callable[[], int]) -> None:
        self._folder, self._hidden, self._own_device = folder, hidden, own_device
        self._seen: dict[str, str | None] = {}  # None: no case
        with self._reading():
            self._names = frozenset(os.listdir(folder))  # exact, where lstat would find "CASE" for "case"
        self._whole = False

    def __getitem__(self, case: str) -> str:
        if case not in self._seen:
            self._seen[case] = self._look(case)
        volume = self._seen[case]
        if volume is None:
            raise KeyError(case)
        return volume

    def __iter__(self) -> Iterator[str]:
        if not self._whole:
            self._look_at_all()
        # a copy, for other threads may ask for one meanwhile
        return iter([case for case, volume in list(self._seen.items()) if volume is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _look(self, case: str) -> str | None:
        if case not in self._names or case in self._hidden:
            return None
        with self._reading():
            try:
                found = os.lstat(self._folder / case)
            except FileNotFoundError:
                return None
            return self._volume(case, found) if st.S_ISDIR(found.st_mode) else None

    def _look_at_all(self) -> None:
        looked: dict[str, str | None] = {}
        with self._reading(), os.scandir(self._folder) as entries:
            for entry in entries:  # asking the entries is several times as fast
                if entry.name not in self._hidden and entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # gone meanwhile
                        looked[entry.name] = self._volume(entry.name, entry.stat(follow_symlinks=False))
        self._seen, self._whole = {**looked, **self._seen}, True

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise Away(
                f"{self._folder} is not there",
                code="projects-missing",
                hint="is the workspace mounted? mount it, then look again",
                next="treegate doctor",
            ) from None
        except OSError as error:
            raise unreadable(self._folder, error) from None

    def _volume(self, case: str, found: os.stat_result) -> str:
        return "" if found.st_dev == self._own else case

    @cached_property
    def _own(self) -> int:
        return self._own_device()
