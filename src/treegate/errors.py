"""The exception tree: what went wrong, as a stable code with advice and an exit status.

    TreegateError              1   internal
    ├── UsageError             2   the command line, configuration or environment
    ├── PlanError              3   not a plan, or a plan with errors
    ├── Denied                 4   not allowed
    ├── Stale                  5   the tree or the digest moved on
    ├── RolledBack             6   the run failed and the tree is as before
    ├── NeedsRecovery          7   a run is unfinished
    ├── Busy                   8   locked or paused
    ├── NotFound               9   no such plan, run, entry, token
    ├── NotVerified           10   a signature, hash or chain does not hold
    ├── Waiting               11   not decided, or not applied, yet
    ├── Rejected              12
    ├── Expired               13
    └── Unreachable           14   the service does not answer

A problem *in a plan* is a value (model/problems.py), not an exception.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

FULL = (errno.ENOSPC, errno.EDQUOT)  # what the system says where a disk is full


class TreegateError(Exception):
    """Base of all: `code` is stable and kebab-case, `hint` says what to change, `next` is a command to type."""

    code = "internal"
    exit_status = 1
    http_status = 500
    retry_after: int | None = None  # seconds after which to ask again, where that may help

    def __init__(
        self, message: str, *, code: str | None = None, hint: str = "", next: str = "", path: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.hint = hint
        self.next = next
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors go from worker processes to whoever asked, whole."""
        return _again, (type(self), self.message, self.__dict__)


class UsageError(TreegateError):
    """The command line, the configuration or the surroundings are not as they must be."""

    code, exit_status, http_status = "usage", 2, 400


class PlanError(TreegateError):
    """The document is not a plan, or the plan has errors; `problems` lists them as plain objects."""

    code, exit_status, http_status = "plan-invalid", 3, 422

    def __init__(self, message: str, *, problems: list[Any] | None = None, **kwargs: str) -> None:
        super().__init__(message, **kwargs)
        self.problems = problems or []


class Denied(TreegateError):
    """Policy, role or file permissions do not allow it."""

    code, exit_status, http_status = "denied", 4, 403


class Stale(TreegateError):
    """The tree no longer matches the preview, or the digest is not the current one."""

    code, exit_status, http_status = "stale", 5, 409


class RolledBack(TreegateError):
    """The run could not begin, or failed midway and everything it had done was taken back."""

    code, exit_status, http_status = "rolled-back", 6, 500


class NeedsRecovery(TreegateError):
    """A run is unfinished; `treegate recover` finishes it or takes it back."""

    code, exit_status, http_status = "needs-recovery", 7, 409


class Busy(TreegateError):
    """Another process holds the lock, or work is paused."""

    code, exit_status, http_status = "locked", 8, 409

    def __init__(self, message: str, **named: str) -> None:
        super().__init__(message, **named)
        if self.retry_after is None and self.code in _SOON_OVER:
            self.retry_after = 2


class NotFound(TreegateError):
    """There is no plan, run, vault entry or token of that name."""

    code, exit_status, http_status = "not-found", 9, 404


class NotVerified(TreegateError):
    """A checksum, signature, chain or identity does not hold."""

    code, exit_status, http_status = "not-verified", 10, 409


class Waiting(TreegateError):
    """What was waited for has not come yet."""

    code, exit_status, http_status = "still-waiting", 11, 408


class Rejected(TreegateError):
    """A reviewer said no to exactly this."""

    code, exit_status, http_status = "rejected", 12, 409


class Expired(TreegateError):
    """The approval was given, and its time ran out."""

    code, exit_status, http_status = "expired", 13, 409


class Unreachable(TreegateError):
    """The service cannot be reached, or what answers is no service of ours."""

    code, exit_status, http_status = "server-unreachable", 14, 502


def retold(told: Mapping[str, Any]) -> TreegateError:
    """The error that was told as a document at another door, in the class that its exit status names."""
    ours = [kind for kind in TreegateError.__subclasses__() if kind.__module__ == __name__]
    kinds = {kind.exit_status: kind for kind in ours}
    kind = kinds.get(told.get("exit_status", 1), TreegateError)
    said = {name: str(told.get(name) or "") for name in ("hint", "next")}
    return kind(str(told.get("message", "")), code=str(told.get("code") or kind.code), **said)


# What passes by itself within seconds; a pause, say, does not.
_SOON_OVER = frozenset({"locked", "case-locked", "workspace-locked", "database-locked", "too-busy", "worker-died"})


def _again(kind: type[TreegateError], message: str, holds: dict[str, Any]) -> TreegateError:
    """An error made again in another process."""
    error = kind.__new__(kind)
    error.args = (message,)
    error.__dict__.update(holds)
    return error


def of_system(error: OSError) -> TreegateError:
    """What the system refused, as an error of ours; 507 (RFC 4918, section 11.5) where a disk is full."""
    path = os.fsdecode(error.filename) if error.filename is not None else ""
    text = error.strerror or str(error)
    if error.errno not in FULL:
        return TreegateError(f"{path}: {text}" if path else text, code="system-error", next="treegate doctor")
    where = f" at {path}" if path else ""
    hint = "make room there, or in the state directory, and ask again; nothing of the tree was changed by this"
    full = RolledBack(f"the disk is full{where}", code="disk-full", hint=hint, next="treegate doctor", path=path)
    full.http_status = 507
    return full
