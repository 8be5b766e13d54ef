"""Engines that are broken on purpose: a harness is worth something if it fails on them.

    broken.install("no-directory-fsync")

breaks the engine of this process; call it in a child only (in_child, or a script's own process). Each break takes one
rule of the durability contract away and leaves everything else as it is.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Callable

from tests import stand_in

from treegate.engine import carry, course, journal, locate, piecemeal, posix, prepass
from treegate.engine import handles as held
from treegate.engine.store.runs import RunWrites
from treegate.gate import core, runs
from treegate.model import lifecycle
from treegate.model.lifecycle import Event, State
from treegate.model.tree import PACKED


def _no_directory_fsync() -> None:
    """What a step did is never made durable by itself: no sync of a folder, nor of the whole filesystem."""
    real = posix.fsync

    def fsync(fd: int) -> None:
        if not st.S_ISDIR(os.fstat(fd).st_mode):
            real(fd)

    posix.fsync = fsync
    posix.syncfs = lambda fd: None


def _no_no_clobber() -> None:
    """A rename takes the place of whatever stands at its target."""

    def rename(src_fd: int, src: held.Name, dst_fd: int, dst: held.Name) -> None:
        os.rename(held.raw(src), held.raw(dst), src_dir_fd=src_fd, dst_dir_fd=dst_fd)

    stand_in.in_python()
    posix.rename = posix.rename_checked = posix.rename_linked = rename


def _done_before_the_act() -> None:
    """A batch is told as done, durably, before its steps are made."""
    real = course.Course.append

    def append(self: course.Course, *records: journal.Record, sync: bool = True) -> None:
        told = [journal.Done(record.step) for record in records if isinstance(record, journal.Upto)]
        real(self, *records, *told, sync=sync)

    course.Course.append = append


def _trusts_the_journal() -> None:
    """Recovery believes what the journal says of the steps, and does not look where their entries are."""
    real, told = locate.Survey._judge, journal.Story()
    read = journal.read

    def remembered(*given):
        nonlocal told
        told = read(*given)
        return told

    def judge(self: locate.Survey) -> None:
        real(self)
        self.done = [number < told.done for number in range(len(self.steps))]

    journal.read, locate.Survey._judge = remembered, judge


def _forgets_the_direction() -> None:
    """A rollback that was interrupted is carried on forward."""
    real = journal.Story.take

    def take(self: journal.Story, record: journal.Record) -> None:
        if not isinstance(record, journal.Back):
            real(self, record)

    journal.Story.take = take


def _appends_to_a_torn_tail() -> None:
    """Recovery writes on behind whatever the last segment ends in."""

    def opened(self: journal.Journal, folder: int, reserve: int) -> None:
        if self.number == 1:
            return real(self, folder, reserve)
        self.number -= 1
        self._key = journal._key(self._run, self.number)
        self._fd = os.open(f"journal.{self.number}", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, dir_fd=folder)
        return None

    real = journal.Journal._open
    journal.Journal._open = opened


def _device_in_identities() -> None:
    """What is known of an entry has the device number in it, which changes with every mounting."""
    real_packed, real_listed, real_of = posix.packed, posix.packed_as_listed, posix.packed_of

    def marked(facts: bytes, device: int) -> bytes:
        fields = list(PACKED.unpack(facts))
        fields[-1] ^= device  # the birth time
        return PACKED.pack(*fields)

    posix.packed = lambda fd, name: marked(real_packed(fd, name), os.fstat(fd).st_dev)
    posix.packed_as_listed = lambda fd, name: marked(real_listed(fd, name), os.fstat(fd).st_dev)
    posix.packed_of = lambda fd: marked(real_of(fd), os.fstat(fd).st_dev)


def _approval_not_consumed() -> None:
    """An approval is good for another run, whatever became of the one that it began."""
    for state in (State.APPLIED, State.ROLLED_BACK, State.STALE):
        lifecycle.TABLE[state] = {**lifecycle.TABLE[state], Event.APPLY: State.APPLYING}
    RunWrites._run_of_digest = lambda self, plan, digest: None
    RunWrites._consume = lambda self, preview, run_id: None
    runs._earlier = lambda core, plan: None


def _fingerprints_not_checked() -> None:
    """A run begins whatever has become of the entries that it is of."""
    prepass.PrePass.all = lambda self: []


def _age_not_checked() -> None:
    """A database that is older than the tree is taken for the newest."""
    core.Core.check_age = lambda self: None


def _follows_links() -> None:
    """Folders are opened by their paths, through whatever links are on the way."""

    def opened(fd: int, path: held.Name) -> int:
        return os.open(path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)

    held.open_dir = held.walk_dir = held.open_mounted = held.open_below = opened


def _no_look_after_the_rename() -> None:
    """A run goes on with whatever came along when it renamed an entry."""
    carry.Carrier._put_back = lambda self, step, src, dst: None


def _folders_in_one_act() -> None:
    """A folder on a bucket mount is renamed as in one act, and what is at the new place is the whole of it."""

    def move(rename, src, old, dst, new, *, folder: bool) -> None:
        rename(src, old, dst, new)

    piecemeal.move = move
    piecemeal.finish = lambda rename, src, old, dst, new: posix.exists(dst, new)


def _under_way_is_made() -> None:
    """Recovery takes the step that was under way for made, where looking alone does not tell."""
    journal.Story.window = lambda self: (self.upto, self.upto)


def _sources_go_unread() -> None:
    """What is at the new place of an object is taken for a whole copy, whatever it holds."""
    real = piecemeal._bring

    def bring(rename, src, old, dst, new) -> None:
        if posix.exists(dst, new):
            return posix.unlink(src, old)
        return real(rename, src, old, dst, new)

    piecemeal._bring = bring


def _dates_are_lost() -> None:
    """An object keeps the date that the mount gave it when it was moved."""
    piecemeal.keep_time = lambda folder, name, was: None


BROKEN: dict[str, Callable[[], None]] = {
    "no-directory-fsync": _no_directory_fsync,
    "no-no-clobber": _no_no_clobber,
    "done-before-the-act": _done_before_the_act,
    "trusts-the-journal": _trusts_the_journal,
    "forgets-the-direction": _forgets_the_direction,
    "appends-to-a-torn-tail": _appends_to_a_torn_tail,
    "follows-links": _follows_links,
    "no-look-after-the-rename": _no_look_after_the_rename,
    "device-in-identities": _device_in_identities,
    "approval-not-consumed": _approval_not_consumed,
    "fingerprints-not-checked": _fingerprints_not_checked,
    "age-not-checked": _age_not_checked,
    "folders-in-one-act": _folders_in_one_act,
    "under-way-is-made": _under_way_is_made,
    "sources-go-unread": _sources_go_unread,
    "dates-are-lost": _dates_are_lost,
}


def install(name: str) -> None:
    """Break the engine of this process in one way; "" leaves it whole."""
    if name:
        BROKEN[name]()
