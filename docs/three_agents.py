"""Runs the three examples of agents on the sample office, and writes docs/three-agents.md of what they printed.

    python docs/three_agents.py        (in the project's environment; everything happens in a temporary folder)

Nothing is made up: what stands on the page was printed, and the decisions were made by the commands that stand there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

PAGE = Path(__file__).with_name("three-agents.md")
EXAMPLES = Path(__file__).parents[1] / "examples"
TREEGATE = Path(sys.executable).parent / "treegate"
WIDTH, LINES = 118, 4  # columns of the page; lines of one long answer that are shown


class Story:
    """The office, and the page so far."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "office"
        self.env = {**os.environ, "TREEGATE_STATE": str(folder / "state"), "NO_COLOR": "1", "COLUMNS": "100"}
        self.env |= {"LANGSMITH_TRACING": "false", "PYTHONWARNINGS": "ignore"}
        self.lines: list[str] = []
        self.rita = ""  # her token

    def say(self, text: str) -> None:
        """Some sentences."""
        self.lines += ["", *textwrap.dedent(text).strip().splitlines(), ""]

    def show(self, command: str, printed: str) -> None:
        """What was typed, and what was printed; long lines are told short."""
        text = printed.replace(str(self.root), "/srv/office").replace(str(TREEGATE), "treegate")
        self.lines += ["```console", f"$ {command}", *shortened(text), "```", ""]

    def treegate(self, *words: str, token: str = "") -> str:
        """What a command prints."""
        env = {**self.env, **({"TREEGATE_TOKEN": token} if token else {})}
        done = subprocess.run([TREEGATE, *words], cwd=self.root, env=env, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def approve(self, plan: str, digest: str) -> tuple[str, str]:
        """The command by which Rita approves, and what it prints."""
        words = ("approve", plan, "--digest", digest)
        return f"TREEGATE_TOKEN=$RITA treegate {' '.join(words)}", self.treegate(*words, token=self.rita)

    def hire(self) -> None:
        """Makes Rita a reviewer."""
        words = ("token", "create", "--name", "rita", "--role", "reviewer", "--json")
        self.rita = str(json.loads(self.treegate(*words))["token"])


def shortened(text: str) -> list[str]:
    """The lines of a page: no wider than that, and of an answer of JSON only its beginning."""
    found = []
    for line in text.rstrip().splitlines():
        pieces = textwrap.wrap(line, WIDTH, drop_whitespace=False, replace_whitespace=False) or [""]
        found += pieces if len(pieces) <= LINES else [*pieces[: LINES - 1], f"… ({len(line):,} characters)"]
    return found


def langgraph(story: Story) -> None:
    """By interrupts, at a terminal."""
    story.say("""
        ## LangGraph: asked at the terminal

        `examples/langgraph_agent.py` stops its graph where a person has to decide. Its first plan is written as the
        files lie on the disk; it takes the corrections that it gets. The person asks for something else, then
        approves.
    """)
    answers = "changes put these into Incoming, please\napprove thank you\n"
    command = [sys.executable, EXAMPLES / "langgraph_agent.py", story.root, "Smith-v-Jones"]
    done = subprocess.run(
        command, input=answers, env=story.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    story.show("python examples/langgraph_agent.py /srv/office Smith-v-Jones", answered(done.stdout, answers))


def answered(printed: str, answers: str) -> str:
    """What was printed, with each answer where it was typed."""
    for line in answers.splitlines():
        printed = printed.replace("or changes WHAT? =", f"or changes WHAT? {line}\n=", 1)
    return printed


def deepagents(story: Story) -> None:
    """By a backend whose changes are a draft."""
    story.say("""
        ## deepagents: a draft that only it sees

        `examples/deepagents_agent.py` writes, moves and looks at the result with deepagents' own tools. All of that
        is one plan; on disk nothing changes.
    """)
    command = [sys.executable, EXAMPLES / "deepagents_agent.py", story.root, "Rivera-Acquisition"]
    done = subprocess.run(command, env=story.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    story.show("python examples/deepagents_agent.py /srv/office Rivera-Acquisition", done.stdout)
    plan, digest = re.findall(r"approve (pl_\w+) --digest (\w+)", done.stdout)[0]
    story.show(*story.approve(plan, digest))


def mcp(story: Story) -> None:
    """By a client that starts the server itself."""
    story.say("""
        ## MCP: waiting while a person decides elsewhere

        `examples/mcp_client.py` starts `treegate mcp`, and waits. The approval is typed at another shell.
    """)
    client = ["timeout", "100", sys.executable, "-u", EXAMPLES / "mcp_client.py", story.root, "Müller-Lease"]
    printed, pipe = "", subprocess.PIPE
    with subprocess.Popen(client, env=story.env, text=True, stdout=pipe, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if found := re.match(r"(pl_\w+) waits: .*--digest (\w+)", line):
                command, answer = story.approve(found[1], found[2])
                printed += f"\n(meanwhile, at another shell)\n$ {command}\n{answer}\n"
    story.show("python examples/mcp_client.py /srv/office Müller-Lease", printed)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        subprocess.run([TREEGATE, "demo", story.root], env=story.env, check=True, capture_output=True)
        story.lines += ["# Three agents"]
        story.say("""
            Printed by `python docs/three_agents.py`, on the sample office of `treegate demo`. Each of the examples
            decides by rules what a model would decide, goes by what it reads, and is run by the tests.
        """)
        story.hire()
        langgraph(story)
        deepagents(story)
        mcp(story)
        story.say("What each tool takes and says: [Agents](agents.md).")
    PAGE.write_text("\n".join(story.lines).replace("\n\n\n", "\n\n").rstrip() + "\n")


if __name__ == "__main__":
    main()
