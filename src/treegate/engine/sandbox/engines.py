"""Engines: the two ways in which a runner has a command run, each made ready before the command is known."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Sequence
from typing import Protocol

from treegate.engine import handles
from treegate.engine.sandbox import bounds, bubblewrap, docker, leftovers, seccomp
from treegate.engine.sandbox.bubblewrap import Inside, Shown
from treegate.engine.sandbox.cgroups import Group
from treegate.engine.sandbox.launching import Launched
from treegate.engine.sandbox.order import Limits, Order
from treegate.engine.sandbox.pump import Child
from treegate.engine.sandbox.view import Owner
from treegate.engine.sandbox.views import View, inside


class Engine(Protocol):
    """What has one command run; made beforehand, then told what to run, and closed in any case."""

    @property
    def child(self) -> Child:
        """The command under way."""
        ...

    @property
    def weaker(self) -> Sequence[str]:
        """What is not kept to the full here, in words."""
        ...

    def begin(self, order: Order, view: View) -> None:
        """Has the command run; raises TreegateError, OSError."""
        ...

    def out_of_memory(self) -> bool:
        """Whether some of it was killed for want of memory."""
        ...

    def close(self) -> None:
        """Ends what still runs, and gives everything back."""
        ...


class Bubblewrap:
    """The embedded engine: namespaces and a control group of this machine's own."""

    def __init__(self, area: str, limits: Limits) -> None:
        self._area = area
        self._group = Group.make(os.path.basename(area), limits)
        self.weaker = bounds.weaker(limits, self._group)
        self._filter = seccomp.opened()
        self.child = Launched(self._group, self._filter)

    def begin(self, order: Order, view: View) -> None:
        """Has the command run."""
        accounts = _accounts(self._area, view.user)
        folder = "/case" if len(order.cases) == 1 else "/cases"
        first = bounds.on_starting(order.limits, self._group)
        place = Inside(shown(order, view), folder, view.user, order.limits, accounts, first)
        arguments = bubblewrap.arguments(order.command, place, self.child.tell, self._filter)
        self.child.go(arguments, bounds.of_each(order.limits, self._group))

    def out_of_memory(self) -> bool:
        """Whether some of it was killed for want of memory."""
        return self._group.out_of_memory()

    def close(self) -> None:
        """Ends what still runs, and gives everything back."""
        self.child.kill()
        with contextlib.suppress(TimeoutError):  # what will not end is for the sweep
            self.child.status()
        self.child.close()
        self._group.remove()
        if self._filter >= 0:
            handles.close(self._filter)


class Container:
    """A container of Docker's, which a process beside this one holds."""

    weaker = ()

    def __init__(self, area: str) -> None:
        self._area, self._note = area, ""
        self._hand = docker.prepare()
        self.child = _Held(self._hand)

    def begin(self, order: Order, view: View) -> None:
        """Has the command run."""
        self._hand.go(
            docker.Spec(
                name=f"treegate-{order.id}-{secrets.token_hex(4)}",
                image=order.image or docker.IMAGE,
                command=order.command,
                user=f"{view.user.uid}:{view.user.gid}",
                folder="/case" if len(order.cases) == 1 else "/cases",
                mounts=self._mounts(order, view),
                environment={key: value for key, value in bubblewrap.environment().items() if key != "PATH"},
                labels={docker.SANDBOX_LABEL: order.id, docker.STATE_LABEL: leftovers.above(self._area)},
                limits=order.limits,
                seccomp=seccomp.docker_profile(),
            )
        )

    def _mounts(self, order: Order, view: View) -> tuple[docker.Mount, ...]:
        if order.elsewhere:
            return self._of_daemon(view)
        self._note = leftovers.note(self._area, order.id)
        accounts = _accounts(self._area, view.user)
        seen = [*shown(order, view), *(Shown(f"{accounts}/{name}", f"/etc/{name}") for name in ("passwd", "group"))]
        return tuple(docker.Mount(source=one.here, inside=one.there, read_only=not one.writable) for one in seen)

    def _of_daemon(self, view: View) -> tuple[docker.Mount, ...]:
        from treegate.engine.sandbox.daemonview import DaemonView

        assert isinstance(view, DaemonView)
        view.when_full(self.child.kill)
        return view.mounts()

    def out_of_memory(self) -> bool:
        """Whether some of it was killed for want of memory."""
        return self.child.out_of_memory

    def close(self) -> None:
        """Ends what still runs, and gives everything back."""
        if self._hand.end() and self._note:
            with contextlib.suppress(FileNotFoundError):  # a sweep, by others, was quicker
                os.unlink(self._note)
        self.child.close()


class _Held:
    """A container under way, as the pump has it."""

    def __init__(self, hand: docker.Hand) -> None:
        self.out_of_memory = False
        self._hand = hand
        self._pidfd = os.pidfd_open(hand.pid)
        self._killed = False
        self.stdout, self.stderr = hand.stdout.fileno(), hand.stderr.fileno()

    def fileno(self) -> int:
        """A handle that can be read from once the container has ended and is removed."""
        return self._pidfd

    def kill(self) -> None:
        """Has the container ended, with all that is in it."""
        if not self._killed:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)

    def status(self) -> int:
        """The command's exit status; raises what kept it from being run."""
        done = self._hand.wait()
        self.out_of_memory = done.out_of_memory
        return done.status

    def close(self) -> None:
        """Gives the handle back."""
        handles.close(self._pidfd)


def shown(order: Order, view: View) -> list[Shown]:
    """What a command sees of this machine, besides what its engine gives it: its cases, and the tools."""
    found = [Shown(view.folder(case), inside(case, order.cases), True) for case in order.cases]
    if order.tools and not order.only_tools:
        found.append(Shown(order.tools, "/tools"))
    found += [Shown(os.path.join(order.tools, name), f"/tools/{name}") for name in order.only_tools]
    return found


def _accounts(area: str, user: Owner) -> str:
    folder = os.path.join(area, "accounts")
    bubblewrap.write_accounts(folder, user)
    return folder
