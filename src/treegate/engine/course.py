"""The course of a run once its journal is open: batches forward, the turn, the way back, the end.

Used alike by a first run (engine.apply) and by the recovery of one (engine.recover).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from treegate.engine import journal, settings, staging
from treegate.engine.carry import Carrier, flipped
from treegate.engine.context import ROLLED_BACK, RunContext
from treegate.engine.halting import stuck
from treegate.engine.journal import Entry, Journal
from treegate.engine.piecemeal import GONE
from treegate.engine.places import Places
from treegate.errors import NeedsRecovery
from treegate.model.table import Step

Numbered = tuple[int, Sequence[Step]]  # a batch, and the number that must be announced for it


def batches(chunks: Iterable[list[Step]], size: int) -> Iterator[list[Step]]:
    """The same steps in lists of `size`."""
    waiting: list[Step] = []
    for chunk in chunks:
        waiting = waiting + chunk if waiting else chunk
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def _go_on() -> None:
    """What goes back is not stopped."""


class Course:
    """One way through one run; ends with `end`, or raises and leaves the rest to a recovery."""

    def __init__(self, ctx: RunContext, places: Places, log: Journal, built: dict[int, Entry]) -> None:
        self.ctx = ctx
        self.places = places
        self.log = log
        self.built = built
        self.carrier = Carrier(ctx, places, built)
        self.made = 0  # steps made by `forward`

    def append(self, *records: journal.Record, sync: bool = True) -> None:
        """Write to the journal, in a new segment if an earlier write failed."""
        if not self.log.usable:
            self.log = self.log.successor()
        self.log.append(*records, sync=sync)

    def _must_append(self, record: journal.Record) -> None:
        try:
            self.append(record)
        except OSError as error:
            raise stuck(error) from error

    # -- forward

    def forward(self, work: Iterable[Numbered], total: int) -> None:
        """Make these steps, batch by batch: announced, made, durable."""
        self.ctx.aide.begin()
        for upto, steps in work:
            staging.stop_if_cancelled(self.ctx)
            self.ctx.pace(len(steps), partial(staging.stop_if_cancelled, self.ctx))
            self.append(journal.Upto(upto))
            try:
                self.carrier.carry(steps)
            except Exception:
                # The step that failed is made after all where its entry has arrived.
                self.made += self.carrier.made + self.carrier.arrived(steps[self.carrier.made])
                raise
            self.made += len(steps)
            self.carrier.sync(steps)
            self.append(journal.Done(upto), sync=False)
            self.ctx.progress(self.made, total)

    def set(self) -> None:
        """Modes and times, after the last step."""
        if settings.wanted(self.ctx):
            self.append(journal.Set())
            self.places.forget()
            settings.make(self.ctx, self.places)
            self.carrier.sync_all()

    # -- back

    def turn(self, error: Exception | None) -> None:
        """Make it durable that the run goes back. Where nothing can be written, it stays unfinished instead."""
        if isinstance(error, NeedsRecovery):
            raise error
        if isinstance(error, OSError) and error.errno in GONE:
            raise NeedsRecovery(
                f"the run was interrupted, for what was mounted there is gone: {error.strerror}",
                code="halted-mount-gone",
                hint="unmount what is left, mount it again, then recover; the run goes on where it was",
                next="treegate recover",
            ) from error
        if isinstance(error, OSError) and error.errno == errno.EROFS:
            raise NeedsRecovery(
                f"the run was interrupted, for the filesystem became read-only: {error}",
                code="halted-read-only",
                hint="check the disk, mount it writable again, then recover; the run goes on where it was",
                next="treegate recover",
            ) from error
        self._must_append(journal.Back())

    def back(self, chunks: Iterable[Sequence[Step]], made: int, *, was_set: bool) -> None:
        """Take back the `made` steps there are, given the last one first."""
        self.places.forget()
        if was_set:
            settings.take_back(self.ctx, self.places)
            self.carrier.sync_all()
        elif staging.has_exact_folders(self.ctx):
            staging.unfinish(self.ctx, self.places)
        for chunk in batches(map(list, chunks), self.ctx.stride):
            self.ctx.pace(len(chunk), _go_on)
            steps = [flipped(step) for step in chunk]
            self._tell_behind(made - len(steps))
            self.carrier.carry(steps)
            self.carrier.sync(steps)
            made -= len(steps)

    def _tell_behind(self, number: int) -> None:
        """Where looking alone does not tell how far the way back came, the journal has to."""
        if self.places.unstable:
            self._must_append(journal.Upto(number))

    # -- the end

    def end(self, outcome: str) -> None:
        """The last record; then, after a way back, what was built is cleared away."""
        self._must_append(journal.End(outcome))
        self.log.close()
        self.places.forget()
        if outcome == ROLLED_BACK:
            staging.clear(self.ctx, self.places, self.built)
