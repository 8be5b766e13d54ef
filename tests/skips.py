"""Which tests may be skipped, and why: tests/skips.toml has the list.

A pytest plugin. With `--listed-skips`, which `.ci/run` gives, a test run fails when something was skipped whose
reason is not in the list: nothing is left out unseen.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("skips.toml")
_FOUND = pytest.StashKey[list[tuple[str, str]]]()


def listed() -> dict[str, str]:
    """The list: a pattern that a whole reason must match, and why it may be."""
    return {row["reason"]: row["because"] for row in tomllib.loads(LIST.read_text())["skip"]}


def unlisted(reason: str, patterns: dict[str, str]) -> bool:
    """Whether no pattern matches a reason."""
    return not any(re.fullmatch(pattern, reason, re.DOTALL) for pattern in patterns)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--listed-skips", action="store_true", help="fail on a skip that tests/skips.toml does not list")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FOUND] = []
    config.pluginmanager.register(_Watching(config), "watching-skips")


class _Watching:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._patterns = listed()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look(report)

    def _look(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if unlisted(reason, self._patterns):
                self._config.stash[_FOUND].append((report.nodeid, reason))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._config.getoption("--listed-skips") and self._config.stash[_FOUND]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        found = self._config.stash[_FOUND]
        if found and self._config.getoption("--listed-skips"):
            terminalreporter.section("skipped for a reason that tests/skips.toml does not list", red=True)
            for name, reason in sorted(set(found)):
                terminalreporter.line(f"{name}: {reason}")
