"""What holds for everybody here: the settings that doors speak of, and, for who looks after it, all of them."""

from __future__ import annotations

import msgspec

from treegate.engine import configfile, configpages
from treegate.engine.configpages import Shown
from treegate.gate.core import Core
from treegate.model.actors import Action, Role


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How this workspace decides and keeps; times in milliseconds, sizes in bytes, None where there is no limit."""

    now: int  # by the clock that counts here
    apply_on_approval: bool  # the last approval starts the run
    typed_deletes: int  # of more files that go away the number is typed, where a page approves
    keep: int | None  # how long the vault keeps
    max_size: int | None  # of the vault
    case_max_size: int | None  # of what the vault keeps of one case


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting as it holds, and the file that it can be set in, on the machine of the workspace."""

    path: str
    settings: list[Shown]


def terms(core: Core) -> Terms:
    """What holds for everybody here."""
    vault, policy = core.config.vault, core.config.policy
    return Terms(
        now=core.clock(),
        apply_on_approval=policy.apply.on_approval,
        typed_deletes=policy.approval.typed_deletes,
        keep=vault.keep,
        max_size=vault.max_size,
        case_max_size=vault.case_max_size,
    )


def settings(core: Core) -> Settings:
    """Every setting, for whoever looks after the workspace."""
    core.actor.require_everywhere(Action.TEND, by=[Role.REVIEWER])
    return Settings(path=str(core.state / configfile.FILE), settings=configpages.show(core.config))
