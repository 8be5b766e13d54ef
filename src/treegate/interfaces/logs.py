"""The log: one line of JSON for each thing, on stderr; never a content, a query, a token, or what an error says.

An error's own words may hold a name or a content, those of a library above all. So of an error that nobody foresaw
the log has its kind and the places in the code that it came through, and the id that its answer carries.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

ERRORS = logging.getLogger("treegate.errors")
_ACCESS = logging.getLogger("treegate.access")
_DEEPEST = 30  # places in the code, of each error in a chain


class Lines(logging.Formatter):
    """A record as a line of JSON; what it is about is its `extra` "facts"."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "says": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            told["error"] = chain(record.exc_info[1])
        try:
            return msgspec.json.encode(told).decode()
        except UnicodeEncodeError:  # a name that is not UTF-8
            return json.dumps(told)


def access(facts: dict[str, Any]) -> None:
    """Logs a request; without a search for the place in the code that says so, which costs more than all else."""
    if _ACCESS.isEnabledFor(logging.INFO):
        told = {"facts": facts}
        _ACCESS.handle(_ACCESS.makeRecord(_ACCESS.name, logging.INFO, "", 0, "request", (), None, extra=told))


def chain(error: BaseException) -> list[dict[str, Any]]:
    """An error and what it came from, outermost first, each with the places it came through."""
    found: list[dict[str, Any]] = []
    at: BaseException | None = error
    while at is not None and len(found) < 10:
        places = traceback.extract_tb(at.__traceback__)[-_DEEPEST:]
        kind = f"{type(at).__module__}.{type(at).__qualname__}"
        found.append({"kind": kind, "through": [f"{one.filename}:{one.lineno} {one.name}" for one in places]})
        at = at.__cause__ or at.__context__
    return found


def begin() -> None:
    """From now on what we and the server we run on have to say goes to stderr, as lines."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells them
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    told = logging.WARNING if sys.stderr.isatty() else logging.INFO  # at a terminal, only what somebody has to see
    for name, level in (("treegate", told), ("uvicorn", logging.WARNING), ("mcp", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
