"""Places: which case an argument of some tool names, and the same argument with another folder in its stead."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Places:
    """The folder that holds the cases, and the paths that agents write of it."""

    def __init__(self, projects: Path) -> None:
        self.projects = Path(os.path.abspath(projects))
        self._real = os.path.realpath(projects)

    def case_of(self, text: str) -> str:
        """The case that a path lies in; "" for any other text."""
        rest = self._below(text)
        return rest.partition("/")[0] if rest else ""

    def cases(self, value: Any) -> set[str]:
        """The cases that an argument names, at any depth."""
        return {case for text in _texts(value) if (case := self.case_of(text))}

    def within(self, value: Any) -> bool:
        """Whether an argument names this folder, or something in it."""
        tops = (str(self.projects), self._real)
        paths = [os.path.abspath(text) for text in _texts(value) if text.startswith(("/", "~", "."))]
        return any(path == top or path.startswith(f"{top}/") for path in paths for top in tops)

    def moved(self, value: Any, case: str, folder: Path) -> Any:
        """An argument that names another folder instead of a case."""
        return _mapped(value, lambda text: self._moved(text, case, folder))

    def _moved(self, text: str, case: str, folder: Path) -> str:
        if self.case_of(text) != case:
            return text
        rest = self._below(text)[len(case) :].lstrip("/")
        return str(folder / rest) + ("/" if text.endswith("/") else "")

    def named_in(self, line: str) -> set[str]:
        """The cases whose folders a command line names."""
        return {match["case"] for match in self._in_line().finditer(line)}

    def seen_inside(self, line: str, cases: list[str]) -> str:
        """A command line with the places at which a sandbox shows the cases."""

        def inside(match: re.Match[str]) -> str:
            case = match["case"]
            if case not in cases:
                return match[0]
            return "/case" if len(cases) == 1 else f"/cases/{case}"

        return self._in_line().sub(inside, line)

    def _in_line(self) -> re.Pattern[str]:
        tops = "|".join(re.escape(top) for top in {str(self.projects), self._real, "projects", "./projects"})
        return re.compile(rf"(?<![\w./-])(?:{tops})/(?P<case>[^/\s'\";|&<>()]+)")

    def _below(self, text: str) -> str:
        """A path below the folder of cases, "" for what is none."""
        if not text or len(text) > 4096 or "\n" in text or "\0" in text:
            return ""
        path = os.path.abspath(text)
        for top in (str(self.projects), self._real):
            if path.startswith(top + "/"):
                return path[len(top) + 1 :]
        if text.startswith(("projects/", "./projects/")):  # as people say it, wherever the process happens to be
            return os.path.normpath(text).partition("/")[2]
        return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(one, change) for one in value]
    return value
