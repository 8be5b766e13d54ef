"""Files of a case with several names: an edit of one in a view shows at that name alone, which is said beforehand.

Only so long is looked for them: a command is not to wait for a case of a million files. Those that it touches are
told of afterwards in any case.
"""

from __future__ import annotations

import os
import time

from treegate.engine import handles
from treegate.engine.sandbox.order import Case

_PATIENCE = 0.010  # seconds
_NAMED = 5


def warnings(case: Case) -> tuple[str, ...]:
    """What is to be said of a case before a command sees it."""
    found, complete = _several_names(case, time.monotonic() + _PATIENCE)
    name, said = case.name, []
    if found:
        more = f" and {len(found) - _NAMED:,} more" * (len(found) > _NAMED)
        shown = ", ".join(repr(path) for path in found[:_NAMED])
        said.append(
            f"{name} has files with several names (hard links): {shown}{more}; what is written to one of them shows "
            "at that name alone"
        )
    if not complete:
        said.append(f"not all of {name} was searched for hard links beforehand; those that are changed are told of")
    return tuple(said)


def _several_names(case: Case, until: float) -> tuple[list[str], bool]:
    """Files with several names, and whether all were looked at in time."""
    found: list[str] = []
    todo = [""]
    with handles.closing(handles.open_root(case.folder)) as top:
        while todo:
            path = todo.pop()
            with handles.closing(handles.open_dir(top, path)) as fd, os.scandir(fd) as entries:
                for number, entry in enumerate(entries):
                    if not path and entry.name in case.hidden:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(os.path.join(path, entry.name))
                    elif entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink > 1:
                        found.append(os.path.join(path, entry.name))
                    if number % 64 == 63 and time.monotonic() > until:
                        return found, False
            if time.monotonic() > until:
                return found, not todo
    return sorted(found), True
