"""Readiness: in a process that runs one command after another, a runner is kept ready for the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from treegate.engine import sandboxes
from treegate.engine.sandbox import abilities
from treegate.engine.sandbox.session import Ready
from treegate.engine.sandbox.standby import Standby
from treegate.errors import UsageError
from treegate.gate.core import Core


def keep(core: Core) -> None:
    """Keeps a runner ready in this process from now on."""
    core.standby = Standby(core.state / "sandboxes", core.state / "locks")
    _fill(core)


@contextmanager
def lent(core: Core) -> Iterator[Ready | None]:
    """The runner that is ready, if there is one, for one command; then the next one is made ready."""
    if core.standby is None:
        yield None
        return
    with core.standby.lent() as ready:
        yield ready
    _fill(core)


def _fill(core: Core) -> None:
    config = core.config.sandbox
    if core.standby is not None and not config.helper:
        with suppress(UsageError):  # no engine works: whoever runs a command is told
            engine = abilities.engine(config.engine, config.image)
            elsewhere = engine == "docker" and bool(config.known_to_docker("here")[1])
            core.standby.fill(engine, config.limits.of_order(), elsewhere=elsewhere)


def wanted(core: Core) -> bool:
    """Whether commands are run here at all: a runner that is ready takes disk space."""
    return sandboxes.last_begun(core.store) > 0
