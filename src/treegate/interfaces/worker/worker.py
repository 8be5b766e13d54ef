"""The worker's day: look at what stirred, take what was dropped, heed what was decided, let runs be carried out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from treegate.engine.caselist import Away
from treegate.engine.configfile import SECRETS
from treegate.engine.dropbox import PAUSED, PENDING, SHELVES
from treegate.engine.mounts import mount_of
from treegate.engine.workspace import DATABASE
from treegate.errors import NotFound, TreegateError
from treegate.gate import Gate
from treegate.gate.queue.heeding import Heeded
from treegate.gate.queue.intake import Taken
from treegate.gate.queue.shelving import STATUS
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.crew.runner import PAUSE, Runner
from treegate.interfaces.notify.doors import Doors
from treegate.interfaces.worker.scripts import Scripts
from treegate.interfaces.worker.taking import LATER, SOON, Taking
from treegate.interfaces.worker.watching import Watching
from treegate.interfaces.worker.writing import Writing
from treegate.model.actors import Actor, Role

OURSELVES = Actor(name="the worker", role=Role.OPERATOR, channel="queue", via="os")
HIDDEN = frozenset({"TREEGATE_TOKEN", *SECRETS})
QUIET = 600.0  # seconds between two looks for jobs: whoever writes to the database is noticed, and see `_look`
TOLD = 36  # times as seldom is everything looked through where the system tells what changes
_log = logging.getLogger("treegate.worker")


class Worker:
    """One worker on one workspace; several of them get along, and a service beside them."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        """`environ` has the secrets, which nobody else who works for us is given."""
        secrets, environ = environ, {key: value for key, value in environ.items() if key not in HIDDEN}
        self._opened = Gate.open(root, environ)
        self._opened.core.store.remember()
        self._gate = self._opened.acting_as(OURSELVES)
        config = self._gate.core.config.queue
        self._takers, self._hands = Crew(root, environ, owing=self._owing), Crew(root, environ, owing=self._owing)
        self._runner = Runner(self._gate, self._hands, OURSELVES, QUIET, many=True)
        self._writing = Writing(self._gate, self._takers)
        self._taking = Taking(self._gate, self._takers, self._taken, lambda: self._writing.expected)
        size = self._gate.core.config.sandbox.at_once
        self._players = Crew(root, environ, size, first="keep_ready")  # begun once a script is dropped
        self._scripts = Scripts(self._gate, self._players, QUIET)
        self._clerks = Crew(root, environ)  # begun once a door needs them; what they do is seen in the files at once
        self._doors = Doors(self._opened, self._clerks, secrets, self._wake)
        self.folder = self._gate.make_queue()
        log = self._gate.state / f"{DATABASE}-wal"
        self._watching = Watching(self.folder, log, self._wake)
        mount = mount_of(str(self.folder))
        self._poll, self._told = config.poll / 1000, not (mount.is_fuse or mount.is_network)
        self._unheeded: set[str] = set()  # plans whose status file is to be looked at once more
        self._stamps: dict[str, tuple[int, ...]] = {}  # of the status files, when all were looked at last
        self._whole = float("-inf")  # when all was looked through last
        self._paused = False
        self._ending = False

    def attending(self) -> AbstractContextManager[None]:
        """Held while it works."""
        return self._gate.attended()

    def end(self) -> None:
        """Told to end: nothing new is begun."""
        self._ending = True
        self._runner.rest()
        self._scripts.rest()
        self._watching.stirred.set()

    def take_back(self) -> None:
        """Told again: what runs is taken back."""
        self._hands.cancel()
        self._players.cancel()

    async def prepare(self) -> None:
        """Starts its processes, so that the first plan waits for none of them."""
        begun = [one for crew in (self._takers, self._hands) for one in crew.warm("rehearse")]
        await asyncio.gather(*map(asyncio.wrap_future, begun), return_exceptions=True)

    async def run(self) -> None:
        """Works until told to end."""
        self._watching.start()
        self._writing.start()
        self._runner.start()
        self._scripts.start()
        self._doors.notifier.start()
        try:
            while not self._ending:
                changed: set[Path] | None = self._watching.changed()
                if self._watching.blind:
                    self._runner.stirring.pause = self._scripts.stirring.pause = PAUSE
                every = self._every()
                if time.monotonic() - self._whole >= every:
                    self._whole, changed = time.monotonic(), None
                again = await self._look(changed)
                await self._rest(min(again, self._whole + every - time.monotonic()))
        finally:
            await self._close()

    def _every(self) -> float:
        """Seconds between two looks at everything."""
        return self._poll * (TOLD if self._told and not self._watching.blind else 1)

    async def once(self) -> None:
        """Does what there is to do now, and whatever follows from it."""
        self._writing.start()
        self._runner.start()
        self._scripts.start()
        try:
            while not self._ending:
                again = await self._look(None)
                if not (self._unheeded or self._taking.busy or self._writing.busy or await self._busy()):
                    await self._doors.notifier.once()
                    return
                await asyncio.sleep(LATER if again == LATER else SOON)  # what waits for its minute, say
        finally:
            await self._close()

    async def _rest(self, seconds: float) -> None:
        """Waits until something stirs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._watching.stirred.wait()

    async def _close(self) -> None:
        await self._doors.close()
        await self._watching.stop()
        await self._taking.stop()
        await self._scripts.stop()
        await self._runner.stop()
        await self._writing.stop()
        for crew in (self._takers, self._hands, self._clerks, self._players):
            await asyncio.to_thread(crew.close)
        self._opened.close()

    def _taken(self, taken: Taken) -> None:
        """A plan was made of what was dropped."""
        if taken.asked:
            self._writing.expect(taken.id)
        self._wake()

    def _wake(self) -> None:
        """Runs or scripts may be due."""
        self._runner.wake()
        self._scripts.wake()

    async def _busy(self) -> bool:
        """Whether runs or scripts are under way, or due."""
        return await self._runner.busy() or await self._scripts.busy()

    def _owing(self, plans: list[str] | None) -> None:
        """Something is to be said of these plans; None: of some or other, so that all are looked at anew."""
        if plans is None:
            self._stamps, self._whole = {}, float("-inf")
            self._watching.stirred.set()
            return
        self._writing.owe(plans)
        self._taking.feed()

    async def _look(self, changed: set[Path] | None) -> float:
        """Looks at what changed, None for everything; the seconds after which one should look again."""
        try:
            await asyncio.to_thread(self._decide, changed)
            if changed is None:  # at one go, for what lies idle is slow to begin
                self._runner.wake()
            again = await self._taking.look(_drops_in(changed), everything=changed is None)
            return min(again, SOON) if self._unheeded else again
        except (TreegateError, OSError) as error:  # the workspace is away, and its queue with it
            self._whole = float("-inf")  # what stirred meanwhile is looked at with all the rest
            _log.warning("the queue cannot be looked at: %s", getattr(error, "code", type(error).__name__))
            return LATER

    def _decide(self, changed: set[Path] | None) -> None:
        """Heeds status files, and PAUSED."""
        if changed is None or Path(PAUSED) in changed:
            self._paused = self._gate.hold(self._paused)
        due, self._unheeded = self._unheeded | self._written(changed), set()
        for id in sorted(due):
            found = self._heed(id, bring=changed is None)
            if found is None:
                self._stamps.pop(id, None)  # so that one looks again, once all is looked through
            elif found is Heeded.LATER:
                self._unheeded.add(id)
            elif found is Heeded.DECIDED:
                self._runner.wake_from_afar()

    def _written(self, changed: set[Path] | None) -> set[str]:
        """The plans whose status files were written since they were looked at last."""
        old = self._stamps
        if changed is not None:
            old.update(self._gate.stamps(found := _plans_in(changed)))
            return found
        now = self._gate.stamps()
        if self._stamps is old:  # else all are to be looked at anew
            self._stamps = now
        self._watching.look_around()
        return {id for id, stamp in now.items() if old.get(id) != stamp}

    def _heed(self, id: str, *, bring: bool) -> Heeded | None:
        """What came of a look at a status file; None if it could not be looked at."""
        try:
            return self._gate.heed(id, bring=bring)
        except Away:
            return None
        except NotFound:  # a folder that is of no plan
            return Heeded.NOTHING
        except TreegateError as error:
            _log.warning("the status of %s was not looked at: %s", id, error.code)
        except OSError as error:
            _log.warning("the status of %s cannot be read: %s", id, error.strerror)
        return None


def _plans_in(changed: set[Path]) -> set[str]:
    """The plans whose status files changed."""
    return {
        path.parts[1]
        for path in changed
        if len(path.parts) == 3
        and path.parts[0] == PENDING
        and path.parts[1].startswith("pl_")
        and path.name == STATUS
    }


def _drops_in(changed: set[Path] | None) -> bool:
    """Whether something may have been dropped."""
    return changed is None or any(
        len(path.parts) == 1 and path.name not in SHELVES and not path.name.startswith(".") for path in changed
    )
