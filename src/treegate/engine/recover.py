"""Ending a run that was interrupted: forward to its end, or back to its beginning.

The journal says what may have happened and which way the run goes; the tree says what has. Nothing is touched
unless every step that is left can be made.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum

from treegate.engine import handles, journal, posix
from treegate.engine.carry import Carrier, flipped
from treegate.engine.context import APPLIED, NOTHING, ROLLED_BACK, Result, RunContext
from treegate.engine.course import Course, Numbered
from treegate.engine.durable import SyncFailed, must_be_mounted_anew
from treegate.engine.halting import halted, stuck
from treegate.engine.journal import Journal, Story
from treegate.engine.locate import Survey, is_same, same_looks
from treegate.engine.places import Places, Slot
from treegate.engine.prepass import SHOWN, Finding, PrePass
from treegate.engine.staging import clear
from treegate.engine.unhurried import unhurried_gc
from treegate.errors import NeedsRecovery, NotVerified, RolledBack
from treegate.model.table import EXCHANGE, Step
from treegate.model.tree import Kind, Level, same, unpack


class Way(StrEnum):
    """What a recovery does."""

    NOTHING = "nothing"  # the run never began
    ENDED = "ended"  # it had ended; only the database does not know
    FORWARD = "forward"
    BACK = "back"
    REFUSE = "refuse"  # the tree fits neither state


def decide(story: Story, wish: bool | None, *, built: bool, forward: bool, back: bool) -> Way:
    """Which way a run goes, from what its journal tells and what the tree allows.

    `wish`: True asks for back, False for forward only. `built`: all that was to be built is. `forward`, `back`:
    whether everything could be made, or taken back.
    """
    if story.begin is None:
        return Way.NOTHING
    if story.outcome:
        return Way.ENDED
    if story.back or wish or not built:
        return Way.BACK if back else Way.REFUSE
    if forward:
        return Way.FORWARD
    return Way.BACK if back and wish is None else Way.REFUSE


def recover(ctx: RunContext, back: bool | None = None) -> Result:
    """Finish an interrupted run, or with `back` take it back; the caller holds the locks of its cases.

    "nothing-happened" if it never began. Raises NotVerified (journal or table damaged), NeedsRecovery with code
    "remount-needed", "misplaced" (the tree fits neither state and was left alone), "sync-failed" and the like.
    """
    start = time.monotonic()
    try:
        story = journal.read(ctx.directory, ctx.run)
        if story.begin is None:
            return Result(NOTHING, None, {}, time.monotonic() - start, 0)
        if story.begin.table != ctx.table.digest:
            raise NotVerified("the journal is of another step table", code="journal-damaged")
        with ctx.places() as places, unhurried_gc():
            must_be_mounted_anew(ctx.directory, _mounts(ctx, places))
            return _Recovery(ctx, places, story, start).run(back)
    except SyncFailed as failed:
        raise halted(ctx.directory, failed) from failed
    except OSError as error:
        raise stuck(error) from error


def _mounts(ctx: RunContext, places: Places) -> Iterator[int]:
    """The mounts that a run lies on: those of its folders, and that of its journal."""
    for root in places.roots():
        yield posix.mount_id(places.handle(root))
    with handles.closing(handles.open_root(str(ctx.directory))) as folder:
        yield posix.mount_id(folder)


class _Recovery:
    def __init__(self, ctx: RunContext, places: Places, story: Story, start: float) -> None:
        self.ctx = ctx
        self.places = places
        self.story = story
        self.start = start

    def run(self, wish: bool | None) -> Result:
        ctx, story = self.ctx, self.story
        if story.outcome:
            return self._ended()
        self.places.doubling.update(self._mounted_anew())
        built = story.all_built or not ctx.table.staged
        for entry in story.built.values():
            self.places.expect(entry.number, entry.facts)
        steps = [step for chunk in ctx.table.chunks() for step in chunk] if built else []
        survey = Survey(self.places, steps, story.built, self._told(steps), ctx.aide)
        ahead = self._ahead(survey) if built else []
        way = decide(story, wish, built=built, forward=not ahead, back=True)
        behind = survey.obstacles(survey.made(), back=True) if way is Way.BACK else []
        if behind or way is Way.REFUSE:
            raise misplaced(behind if story.back or wish or not built else ahead)
        reason = _why_back(story, wish, built, ahead) if way is Way.BACK else None
        return self._go(survey, reason)

    def _mounted_anew(self) -> Iterator[int]:
        """The roots that are not on the mounts on which the run began: the power may have been cut since."""
        begin = self.story.begin
        for root, key in self.places.roots().items():
            mounted = None if begin is None or begin.boot != posix.boot_id() else begin.mounts.get(key)
            if posix.mount_id(self.places.handle(root)) != mounted:
                yield root

    def _ended(self) -> Result:
        reason = None
        if self.story.outcome == ROLLED_BACK:
            clear(self.ctx, self.places, self.story.built)
            reason = RolledBack("it had gone back when it was interrupted")
        return self._result(self.story.outcome, reason, self.ctx.table.header.steps)

    def _result(self, outcome: str, reason: Exception | None, steps: int) -> Result:
        made = steps if outcome == APPLIED else 0
        return Result(outcome, reason, self.story.built, time.monotonic() - self.start, made)

    def _told(self, steps: Sequence[Step]) -> int:
        """How many steps are made where looking alone does not tell: as the journal has it, and the step that was
        under way is finished, if it had begun. The places are as those steps left them."""
        if not self.places.unstable:
            return 0
        finish = Carrier(self.ctx, self.places, self.story.built).finish
        sure, upto = self.story.window()
        for number, step in enumerate(steps[:upto]):
            if self.places.root(step.dst) in self.places.unstable:
                # a step that was being taken back goes on that way, for there the old folders are the whole ones
                if number >= sure and (finish(flipped(step)) if self.story.behind is not None else not finish(step)):
                    return number
                self.places.moved(step.entry, step.dst, step.dst_name)
                self.places.moved(step.other, step.src, step.src_name)
        return upto

    # -- may it go forward?

    def _ahead(self, survey: Survey) -> list[Finding]:
        """What forbids going forward: what is in the way, or is not as it was approved."""
        found = survey.obstacles(survey.remaining(), back=False)
        if found or self.story.back:
            return found
        look = PrePass(self.ctx, self.places)
        if not self.story.upto:
            return look.all()
        if self.ctx.table.checks:
            touched = self._touched_by(survey)
            for check in self.ctx.table.checks:
                if (check.place, check.name) not in touched:
                    look.check(check)
        return look.found + self._changed(survey)

    def _touched_by(self, survey: Survey) -> set[Slot]:
        """What the steps that were made moved, and every folder above it: their facts changed with that."""
        home = {row.number: (row.parent, row.name) for row in self.ctx.table.places}
        steps = [survey.steps[number] for number in survey.made()]
        touched = {(step.src, step.src_name) for step in steps} | {(step.dst, step.dst_name) for step in steps}
        for place in {place for step in steps for place in (step.src, step.dst)}:
            while place in home and home[place] not in touched:
                touched.add(home[place])
                place = home[place][0]
        return touched

    def _changed(self, survey: Survey) -> list[Finding]:
        """Entries not moved yet that are not as they were approved."""
        found = []
        for number in survey.remaining():
            if survey.plain[number]:
                continue
            step = survey.steps[number]
            looks = [(step.entry, step.src, step.src_name, step.facts, step.level)]
            if step.kind == EXCHANGE:
                looks.append((step.other, step.dst, step.dst_name, step.other_facts, step.other_level))
            for entry, place, name, facts, level in looks:
                if level and not self._as_approved(survey, place, name, facts, level):
                    found.append(Finding(self.places.shown(place, name), "was changed", entry))
        return found

    def _as_approved(self, survey: Survey, place: int, name: bytes, facts: bytes, level: int) -> bool:
        seen = survey.facts.get((place, name))
        if seen == facts:
            return True
        was, now = unpack(facts), None if seen is None else unpack(seen)
        if self.places.root(place) in self.places.unstable:
            return same_looks(was, now) and (now is None or was.kind == Kind.DIR or was.mtime == now.mtime)
        assert now is not None
        # The run's own steps change a folder's times, and the ctime of another name of the same inode.
        gentle = Level.IDENTITY if was.kind == Kind.DIR else Level.CONTENT if was.nlink > 1 else Level.EXACT
        return same(facts, now, min(Level(level), gentle))

    # -- going

    def _go(self, survey: Survey, reason: Exception | None) -> Result:
        """Forward, or with a reason back."""
        log = Journal.resume(self.ctx.directory, self.ctx.run, self.story)
        course = Course(self.ctx, self.places, log, self.story.built)
        try:
            self._undouble(survey)
            if reason is None:
                reason = self._forward(course, survey)
            elif not self.story.back:
                course.turn(None)
            if reason is not None:
                self._back(course, survey, survey.made())
        finally:
            course.log.close()
        return self._result(APPLIED if reason is None else ROLLED_BACK, reason, len(survey.steps))

    def _undouble(self, survey: Survey) -> None:
        """Finish a rename that left both its names: the first is one too many, if it still is that."""
        for place, name in survey.doubled:
            handle = self.places.handle(place)
            with contextlib.suppress(FileNotFoundError):
                now = posix.packed(handle, name)
                if is_same(survey.facts[place, name], now) and unpack(now).nlink > 1:
                    posix.unlink(handle, name)

    def _forward(self, course: Course, survey: Survey) -> Exception | None:
        """All that remains, and the end; or the reason why it turned back, durably."""
        remaining = survey.remaining()
        try:
            course.forward(self._batches(survey, remaining), len(remaining))
            # Also what was made before the crash: it may be in the page cache only.
            course.carrier.sync_all()
            self.story.setting = True
            course.set()
        except SyncFailed:
            raise
        except Exception as error:
            course.turn(error)
            for number in remaining[: course.made]:
                survey.done[number] = True
            return error
        course.end(APPLIED)
        return None

    def _batches(self, survey: Survey, numbers: Sequence[int]) -> Iterator[Numbered]:
        for low in range(0, len(numbers), self.ctx.stride):
            some = numbers[low : low + self.ctx.stride]
            yield some[-1] + 1, [survey.steps[number] for number in some]

    def _back(self, course: Course, survey: Survey, made: Sequence[int]) -> None:
        size = self.ctx.stride
        chunks = ([survey.steps[n] for n in made[low : low + size]] for low in range(0, len(made), size))
        try:
            course.back(chunks, len(made), was_set=self.story.setting)
            course.carrier.sync_all()
            course.end(ROLLED_BACK)
        except (SyncFailed, NeedsRecovery):
            raise
        except Exception as error:
            raise stuck(error) from error


def _why_back(story: Story, wish: bool | None, built: bool, ahead: list[Finding]) -> Exception:
    """Why an interrupted run goes back."""
    if story.back:
        return RolledBack("it was on its way back when it was interrupted")
    if wish:
        return RolledBack("it was asked to go back")
    if not built:
        return RolledBack("it was interrupted before all that it was to create was there")
    return RolledBack("it could not go on: " + "; ".join(_named(ahead)))


def _named(found: list[Finding]) -> list[str]:
    lines = [f"{f.path}: {f.text}" for f in found[:SHOWN]]
    return [*lines, f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else lines


def misplaced(found: list[Finding]) -> NeedsRecovery:
    """The error for a tree that fits neither state, naming what does not fit."""
    return NeedsRecovery(
        "\n  ".join(["the run cannot be ended, and nothing was touched, because", *_named(found)]),
        code="misplaced",
        hint="put these entries where they were before the run, or where it was to bring them, then recover again",
        next="treegate recover",
        path=found[0].path if found else "",
    )
