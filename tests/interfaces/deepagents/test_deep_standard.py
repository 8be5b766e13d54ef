"""The published tests of langchain-tests for sandboxes of deepagents, run on treegate's.

They look with commands at what they wrote a moment before, so the sandbox here has a person beside it who approves
everything at once: before a command the pending changes, after it the plan of what it did.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_tests")

from deepagents.backends.protocol import ExecuteResponse
from deepwork import Office, decided, settled
from langchain_tests.integration_tests.sandboxes import SandboxIntegrationTests
from test_deep_sandbox import SMALL, runnable

from treegate.interfaces.deepagents.sandbox import TreegateSandbox

ROOT = "/ops"
NAMES = "FileInfo.path is always absolute, and globs match no folders"
LINES = "a window keeps the ends of its lines, so that pages join to the file"
OUTDATED = {  # by what deepagents 0.7 itself says of its backends
    "test_glob": NAMES,
    "test_glob_basic_pattern": NAMES,
    "test_glob_with_directories": NAMES,
    "test_glob_hidden_files_explicitly": NAMES,
    "test_glob_with_character_class": NAMES,
    "test_glob_with_question_mark": NAMES,
    "test_write_existing_file_fails": "write overwrites a file that exists",
    "test_edit_multiple_occurrences_without_replace_all": "perform_string_replacement says how many there are",
    "test_ls_lists_nested_directories": "folders end in a slash, as in StateBackend and FilesystemBackend",
    "test_write_read_download_large_text_with_escaped_content": LINES,
    "test_awrite_aread_adownload_large_text_with_escaped_content": LINES,
    "test_aread_large_text_payload_paginated_roundtrip": LINES,
}


class Attended(TreegateSandbox):
    """A sandbox whose plans are approved and carried out at once."""

    def __init__(self, office: Office) -> None:
        super().__init__(office.gate, "Smith")
        self._office, self._person = office, threading.Lock()

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        with self._person:
            if self.pending()["operations"]:
                told = settled(self._office, self)
                assert "error" not in told, told
                assert self.status()["changes"] == 0
        found = super().execute(command.replace(ROOT, f"/case{ROOT}"), timeout=timeout)
        output, is_plan, plan = found.output.rpartition("\ntreegate: what it did is plan ")
        if not is_plan:
            return found
        with self._person:
            decided(self._office, plan.split(",")[0])
            self._office.gate.apply(plan.split(",")[0])
        return ExecuteResponse(output=output, exit_code=found.exit_code, truncated=found.truncated)


@runnable
class TestStandard(SandboxIntegrationTests):
    @property
    def sandbox_root_dir(self) -> str:
        return ROOT

    @pytest.fixture(scope="class")
    @classmethod
    def sandbox(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attended]:
        folder = tmp_path_factory.mktemp("attended")
        office = Office(folder / "office", folder / "state")
        office.configure(**SMALL)
        yield Attended(office)
        office.close()

    @pytest.fixture(autouse=True)
    def outdated(self, request: pytest.FixtureRequest) -> None:
        name: Any = request.node.name.partition("[")[0]
        if name in OUTDATED:
            pytest.skip(f"deepagents says otherwise now: {OUTDATED[name]}")


for name, twin in inspect.getmembers(SandboxIntegrationTests, inspect.iscoroutinefunction):
    setattr(TestStandard, name, pytest.mark.asyncio(twin))
