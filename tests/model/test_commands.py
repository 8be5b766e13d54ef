"""Claims about commands: how one may begin, and what its digest is of."""

from __future__ import annotations

import pytest

from treegate.model.commands import Tool, digest_of, line_of, refusal, title_of

SORT, COUNT = Tool("sort.py", "a" * 64), Tool("deep/count", "b" * 64)
PROGRAMS = ("python", "python3", "sh")


def code(*command: str, tools: tuple[Tool, ...] = (SORT, COUNT), listed: tuple[str, ...] = ()) -> str:
    found = refusal(command, tools, PROGRAMS, listed)
    return "" if found is None else found.code


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["python", "/tools/sort.py", "--root", "/case"], ""),
        (["/usr/bin/python3", "-c", "print(1)"], ""),
        (["/bin/sh", "-c", ":"], ""),
        (["perl", "x"], "interpreter-not-allowed"),
        (["env", "python3"], "interpreter-not-allowed"),
        (["/case/python"], "interpreter-not-allowed"),
        (["./python"], "interpreter-not-allowed"),
        (["/usr/bin/../../case/python"], "interpreter-not-allowed"),
        (["/tools/deep/count"], "interpreter-not-allowed"),
        (["/tools/other"], "no-such-tool"),
        (["/tools/../case/python"], "no-such-tool"),
        ([""], "command-missing"),
        ([], "command-missing"),
        (["sh", "a\0b"], "command-invalid"),
    ],
)
def test_a_command_begins_with_a_program_that_policy_lists(command: list[str], said: str):
    """By its bare name, or in a folder of programs: a file of a case that is called python is none."""
    assert code(*command) == said


def test_a_tool_may_be_run_itself_by_name_or_by_hash():
    """Whoever lists its name, or its hash, means it."""
    assert refusal(["/tools/deep/count"], [COUNT], ("count",), ()) is None
    assert code("/tools/deep/count", listed=("b" * 64,)) == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["python", "/tools/sort.py", "-x"], ""),
        (["python", "-c", "print(1)"], "tool-not-listed"),
        (["python"], "tool-not-listed"),
        (["python", "/case/x.py"], "tool-not-listed"),
        (["python", "-I", "/tools/sort.py"], "tool-not-listed"),
        (["sh", "-c", "/tools/sort.py"], "tool-not-listed"),
    ],
)
def test_where_hashes_are_listed_only_listed_tools_run(command: list[str], said: str):
    """No text of a program on the command line, and no script of a case."""
    assert code(*command, tools=(SORT,), listed=("a" * 64,)) == said


def digest(**changed: object) -> str:
    given = {
        "command": ("sh", "x"), "cases": ("A",), "tools": [SORT], "engine": "auto", "image": "i",
        "limits": {"seconds": 1.0}, "direct": False, "reads": False, "script": None,
    }  # fmt: skip
    return digest_of(**{**given, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"command": ("sh x",)},
        {"cases": ("A", "B")},
        {"tools": []},
        {"tools": [Tool("sort.py", "c" * 64)]},
        {"engine": "docker"},
        {"image": "j"},
        {"limits": {"seconds": 2.0}},
        {"direct": True},
        {"reads": True},
        {"script": b""},
        {"command": ("sh", "\udcff")},
    ],
)
def test_a_digest_is_of_all_that_says_what_would_run(changed: dict[str, object]):
    """Change one, and an approval is of something else."""
    assert digest(**changed) != digest()
    assert digest(**changed) == digest(**changed)


def test_what_people_read_of_a_command_is_inert():
    """An escape in it does not reach a terminal, and a long one is cut."""
    assert "\x1b" not in line_of(["sh", "\x1b[31m"])
    assert title_of(["python", "/tools/a.py"]) == "What `python /tools/a.py` did"
    assert len(title_of(["sh", "x" * 1000])) < 200
