"""The middleware: other tools change copies and not cases, shells run in sandboxes, and the rest is refused."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from graphwork import BEGIN, THREAD, agent, call, said, tool_messages
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.types import Command
from tests.interfaces.agent.toolwork import Bureau

from treegate.langgraph import TreegateMiddleware, treegate_tools
from treegate.model.lifecycle import State


@tool
def write_file(file_path: str, text: str, append: bool = False) -> str:
    """Writes a file."""
    with open(file_path, "a" if append else "w") as file:
        file.write(text)
    return f"written to {file_path}"


@tool
def read_file(file_path: str) -> str:
    """Reads a file."""
    return Path(file_path).read_text()


@tool
def tidy(folder: str) -> str:
    """Sorts a folder by itself: of what it does nobody knows beforehand."""
    target = Path(folder, "Sorted")
    target.mkdir()
    for path in sorted(Path(folder).glob("*.pdf")):
        shutil.move(path, target / path.name)
    (target / "INDEX").write_text("sorted")
    return "tidied"


@tool
def look(path: str) -> str:
    """Tells a size: nobody knows of this tool that it only reads."""
    return f"{Path(path).stat().st_size} bytes"


@tool
def by_command(folder: str, tool_call_id: Annotated[str, InjectedToolCallId]) -> Command:
    """Answers by a command."""
    (Path(folder) / "made").write_text("made")
    return Command(update={"messages": [ToolMessage("made", tool_call_id=tool_call_id)]})


@tool
def failing(folder: str) -> str:
    """Fails midway."""
    (Path(folder) / "half").write_text("half")
    raise RuntimeError("midway")


@tool
def picture(path: str) -> list[dict[str, Any]]:
    """Shows a picture."""
    return [{"type": "text", "text": path}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]


@tool
def bash(command: str) -> str:
    """Runs a command."""
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout


@pytest.fixture
def commands(fast: Path) -> Iterator[Bureau]:
    made = Bureau(fast)
    made.configure(sandbox_engine="bwrap")
    made.agent = made.reopened_agent()
    yield made
    made.close()


def run(bureau: Bureau, *messages: Any, tools: Any = (), asynchronous: bool = False) -> list[ToolMessage]:
    """What the tools of an agent say to these calls."""
    middleware = TreegateMiddleware(bureau.agent)
    given = [write_file, read_file, tidy, bash, *tools, *treegate_tools(bureau.agent)]
    graph = agent(messages, given, middleware=[middleware])
    try:
        result = asyncio.run(graph.ainvoke(BEGIN, THREAD)) if asynchronous else graph.invoke(BEGIN, THREAD)
    finally:
        middleware.close()
    return tool_messages(result)


def plan_in(message: ToolMessage) -> dict[str, Any]:
    assert isinstance(message.artifact, dict), message.content
    return message.artifact


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_a_tool_writes_is_a_plan_and_the_case_stays_as_it_is(bureau: Bureau, asynchronous: bool):
    before, path = bureau.tree(), str(bureau.path("Smith/Notes/new.txt"))
    told = run(bureau, call("write_file", file_path=path, text="hello"), asynchronous=asynchronous)[0]
    assert bureau.tree() == before
    assert f"written to {path}" in str(told.content)
    plan = plan_in(told)["plan"]
    assert bureau.gate.plan(plan).author == "agent"
    bureau.rita.approve(plan, plan_in(told)["digest"])
    bureau.agent.apply(plan)
    assert Path(path).read_text() == "hello"


def test_several_changes_are_one_plan_and_are_seen_by_those_who_read(bureau: Bureau):
    path = str(bureau.path("Smith/Notes/new.txt"))
    told = run(
        bureau,
        call("write_file", file_path=path, text="one\n"),
        call("write_file", file_path=path, text="two\n", append=True),
        call("read_file", file_path=path),
        call("tidy", folder=str(bureau.path("Smith/Scans"))),
    )
    assert told[2].content.startswith("one\ntwo\n")
    plans = {plan_in(message)["plan"] for message in told if message.artifact}
    assert len(plans) == 1
    assert plan_in(told[-1])["revision"] >= 3
    counts = bureau.gate.show(plans.pop()).preview.counts
    assert (counts.created, counts.moved) == (2, 6)


def test_a_tool_that_nobody_knows_is_judged_by_what_it_did(bureau: Bureau):
    before = bureau.tree()
    told = run(bureau, call("tidy", folder=f"projects/{'Smith'}/Scans"))[0]
    assert bureau.tree() == before
    assert bureau.gate.show(plan_in(told)["plan"]).preview.counts.moved == 6


def test_reading_makes_no_copy_and_no_plan(bureau: Bureau):
    told = run(bureau, call("read_file", file_path=str(bureau.path("Smith/Notes/todo.txt"))))[0]
    assert told.content == "first line\nsecond line\n"
    assert bureau.gate.list_plans()[0] == []


def test_a_case_that_the_agent_may_not_touch_is_not_copied(bureau: Bureau):
    told = run(bureau, call("write_file", file_path=str(bureau.path("Jones/secret.txt")), text="x"))[0]
    assert told.status == "error"
    assert said(told)["error"]["code"] == "case-not-allowed"
    assert bureau.path("Jones/secret.txt").read_text() == "nobody's business"


def test_what_is_rejected_is_not_asked_again(bureau: Bureau):
    path = str(bureau.path("Smith/Notes/new.txt"))
    first = plan_in(run(bureau, call("write_file", file_path=path, text="hello"))[0])
    bureau.rita.reject(first["plan"], first["digest"], "no notes, please")
    text = bureau.agent.document(first["plan"]).document.decode()
    again = said(run(bureau, call("submit_plan", plan=text))[0])
    assert again["error"]["code"] == "already-rejected"
    assert "no notes, please" in again["error"]["message"]


def test_reading_what_was_changed_leaves_the_plan_and_its_approval_as_they_are(bureau: Bureau):
    path = str(bureau.path("Smith/Notes/new.txt"))
    middleware = TreegateMiddleware(bureau.agent)
    tools = [write_file, read_file, look]
    first = agent([call("write_file", file_path=path, text="hello")], tools, middleware=[middleware])
    plan = plan_in(tool_messages(first.invoke(BEGIN, THREAD))[0])
    bureau.rita.approve(plan["plan"], plan["digest"])
    second = agent([call("read_file", file_path=path), call("look", path=path)], tools, middleware=[middleware])
    told = tool_messages(second.invoke(BEGIN, THREAD))
    assert [one.content for one in told] == ["hello", "5 bytes"]
    stored = bureau.gate.plan(plan["plan"])
    assert (stored.state, stored.revision) == (State.APPROVED, 1)
    middleware.close()


def test_a_tool_that_answers_by_a_command_has_its_changes_handed_in(bureau: Bureau):
    """And one that fails midway, too: what it did until then is seen by whoever decides."""
    folder = str(bureau.path("Smith/Notes"))
    told = run(bureau, call("by_command", folder=folder), tools=[by_command])[0]
    assert plan_in(told)["state"] == "pending"
    assert "made" in str(told.content)
    with pytest.raises(RuntimeError):
        run(bureau, call("failing", folder=folder), tools=[failing])
    plans = bureau.gate.list_plans((State.PENDING,))[0]
    assert {bureau.gate.show(one.id).preview.counts.created for one in plans} == {1}
    assert len(plans) == 2


def test_pictures_come_through_as_they_are(bureau: Bureau):
    told = run(bureau, call("picture", path=str(bureau.path("Smith/Scans/scan0.pdf"))), tools=[picture])[0]
    assert isinstance(told.content, list)
    assert [block["type"] for block in told.content] == ["text", "image_url"]
    assert told.content[0]["text"] == str(bureau.path("Smith/Scans/scan0.pdf"))


def test_other_cases_are_not_read_either(bureau: Bureau):
    told = run(bureau, call("read_file", file_path=str(bureau.path("Jones/secret.txt"))))[0]
    assert said(told)["error"]["code"] == "case-not-allowed"


def test_the_state_directory_is_no_tool_s_to_touch(bureau: Bureau):
    told = run(bureau, call("write_file", file_path=str(bureau.state / "treegate.toml"), text="x"))[0]
    assert said(told)["error"]["code"] == "state-untouchable"


def test_one_middleware_serves_several_loops(bureau: Bureau):
    middleware = TreegateMiddleware(bureau.agent)
    for number in range(2):
        path = str(bureau.path(f"Smith/Notes/{number}.txt"))
        graph = agent([call("write_file", file_path=path, text="x")], [write_file], middleware=[middleware])
        told = tool_messages(asyncio.run(graph.ainvoke(BEGIN, THREAD)))[0]
        assert plan_in(told)["revision"] == number + 1
    middleware.close()


# -- shells


def test_a_shell_runs_in_a_sandbox_and_sees_the_case_it_names(commands: Bureau):
    before = commands.tree()
    smith = commands.path("Smith")
    line = f"cd {smith} && ls Scans | wc -l && mv Scans Letters && cat /etc/hostname > stolen; ls {commands.root}"
    told = plan_in(run(commands, call("bash", command=line))[0])
    assert commands.tree() == before
    assert told["data"]["output"].startswith("6\n")
    assert told["plan_state"] == "pending"


def test_a_shell_that_names_no_case_gets_the_only_one(commands: Bureau):
    told = plan_in(run(commands, call("bash", command="ls /case && touch /case/made"))[0])
    assert "Scans" in told["data"]["output"]
    assert told["exit_code"] == 0


# -- attempts

HERE: dict[str, Any] = {}


def attempt(name: str) -> BaseTool:
    """A tool that tries something on the case by a path of its own."""

    def does(word: str) -> str:
        folder: Path = HERE["folder"]
        {
            "open": lambda: (folder / "todo.txt").write_text("overwritten"),
            "descriptor": lambda: os.close(os.open(folder / "made", os.O_CREAT | os.O_WRONLY)),
            "remove": lambda: os.remove(folder / "todo.txt"),
            "rename": lambda: os.rename(folder / "todo.txt", folder / "gone.txt"),
            "away": lambda: shutil.move(folder / "todo.txt", HERE["outside"]),
            "in": lambda: os.rename(HERE["outside"] / "mine", folder / "mine"),
            "mkdir": lambda: (folder / "new").mkdir(),
            "rmtree": lambda: shutil.rmtree(folder),
            "link": lambda: os.link(HERE["outside"] / "mine", folder / "linked"),
            "symlink": lambda: os.symlink("/etc", folder / "linked"),
            "chmod": lambda: os.chmod(folder / "todo.txt", 0o777),
            "utime": lambda: os.utime(folder / "todo.txt", (1, 1)),
            "truncate": lambda: os.truncate(folder / "todo.txt", 0),
            "handle": lambda: by_handle(folder),
            "through a link": lambda: (HERE["outside"] / "way" / "todo.txt").write_text("overwritten"),
            "link opened": lambda: (HERE["outside"] / "straight").write_text("overwritten"),
            "program": lambda: subprocess.run(["rm", str(folder / "todo.txt")], check=False),
            "shell": lambda: os.system(f"rm {folder}/todo.txt"),
            "started there": lambda: subprocess.run(["rm", "todo.txt"], cwd=folder, check=False),
            "swallowed": lambda: swallowed(folder),
            "linked away": lambda: os.link(folder / "todo.txt", HERE["outside"] / "other name"),
            "database": lambda: sqlite3.connect(folder / "made.db"),
            "from above": lambda: subprocess.run(
                f"echo x > {HERE['root'].name}/projects/Smith/Notes/todo.txt",
                shell=True,
                cwd=HERE["root"].parent,
                check=False,
            ),
            "status file": lambda: (HERE["root"] / "Database/reorg_queue/pending/x/status").write_text("approve"),
            "treegate's own": lambda: (HERE["root"] / ".treegate/workspace.json").write_text("{}"),
        }[name]()
        return "done"

    return tool("attempt", description="Tries it.")(does)


def by_handle(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.unlink("todo.txt", dir_fd=fd)
    finally:
        os.close(fd)


def swallowed(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "todo.txt").write_text("overwritten")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        *(
            "open",
            "descriptor",
            "remove",
            "rename",
            "away",
            "in",
            "mkdir",
            "rmtree",
            "link",
            "symlink",
            "chmod",
            "utime",
        ),
        *("truncate", "handle", "through a link", "link opened", "program", "shell", "started there", "swallowed"),
        *("status file", "treegate's own", "linked away", "database", "from above"),
    ],
)
def test_a_change_by_any_other_way_is_refused_and_told(bureau: Bureau, name: str, asynchronous: bool, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (outside / "way").symlink_to(bureau.path("Smith/Notes"))
    (outside / "straight").symlink_to(bureau.path("Smith/Notes/todo.txt"))
    HERE.update(folder=bureau.path("Smith/Notes"), outside=outside, root=bureau.root)
    before = bureau.tree()
    told = run(bureau, call("attempt", word="now"), tools=[attempt(name)], asynchronous=asynchronous)[0]
    assert bureau.tree() == before
    assert told.status == "error"
    assert said(told)["error"]["code"] == "change-refused"
    assert said(told)["data"]["paths"]


def test_what_is_none_of_the_workspace_s_business_is_left_alone(bureau: Bureau, tmp_path: Path):
    told = run(bureau, call("write_file", file_path=str(tmp_path / "own.txt"), text="own"))[0]
    assert told.status == "success"
    assert (tmp_path / "own.txt").read_text() == "own"


def test_the_guard_is_gone_after_the_call(bureau: Bureau):
    run(bureau, call("read_file", file_path=str(bureau.path("Smith/Notes/todo.txt"))))
    bureau.put("Smith/by-a-person.txt", "may")
    assert bureau.gate.list_plans((State.PENDING,))[0] == []


def test_a_token_that_ended_ends_this_way_too(bureau: Bureau):
    bureau.ask("list_files")
    middleware = TreegateMiddleware(bureau.agent)
    bureau.gate.revoke_token("agent")
    path = str(bureau.path("Smith/Notes/new.txt"))
    graph = agent([call("write_file", file_path=path, text="x")], [write_file], middleware=[middleware])
    told = tool_messages(graph.invoke(BEGIN, THREAD))[0]
    assert said(told)["error"]["code"] == "token-ended"
    assert not Path(path).exists()
