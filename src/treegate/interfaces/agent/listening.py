"""Listening to a command in a sandbox: in the background, so that whoever asked may come back for the rest."""

from __future__ import annotations

import threading
from typing import Any

from treegate.errors import TreegateError
from treegate.gate.sandboxing.events import Finished, Output

HEAD, TAIL = 2000, 6000  # bytes of the output that are kept from its start and from its end


class Transcript:
    """What a command wrote, the beginning and the end where that is long, and what came of it."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self.finished: Finished | None = None
        self.left_out = 0  # bytes of the middle
        self._most_head, self._most_tail = head, tail
        self._head, self._tail = bytearray(), bytearray()

    def take(self, what: Any) -> None:
        """What it did next, as an event says."""
        if isinstance(what, Finished):
            self.finished = what
        elif isinstance(what, Output):
            self._keep(what.data)

    def output(self) -> str:
        """What it wrote, as a text."""
        if not self.left_out:  # a character may lie in both
            return bytes(self._head + self._tail).decode("utf-8", "replace")
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n… {self.left_out:,} bytes are left out here; the log has them …\n{tail}"

    def _keep(self, data: bytes) -> None:
        room = self._most_head - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        over = len(self._tail) - self._most_tail
        if over > 0:
            self.left_out += over
            del self._tail[:over]


class Listener:
    """One command that is listened to until its end."""

    def __init__(self, door: Any, id: str) -> None:
        self.transcript = Transcript()
        self.error: TreegateError | None = None
        self._door, self._id = door, id
        self._thread = threading.Thread(target=self._listen, name=f"listening to {id}", daemon=True)
        self._thread.start()

    @property
    def listens(self) -> bool:
        """Whether more may come."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Until it has ended, or so many seconds."""
        self._thread.join(seconds)

    def _listen(self) -> None:
        try:
            for event in self._door.follow_sandbox(self._id):
                self.transcript.take(event.what)
        except TreegateError as error:
            self.error = error


class Listeners:
    """Those that listen to commands by one door."""

    def __init__(self, door: Any) -> None:
        self._door = door
        self._known: dict[str, Listener] = {}
        self._lock = threading.Lock()

    def to(self, id: str) -> Listener:
        """The one that listens to a command already, or a new one."""
        with self._lock:
            self._known = {of: one for of, one in self._known.items() if one.listens}
            if id not in self._known:
                self._known[id] = Listener(self._door, id)
            return self._known[id]
