"""Has a script reorganise a case of 20,000 letters by what is in them, and writes docs/a-script.md of it.

    python docs/reorganised.py        (in the project's environment; everything happens in a temporary folder)

Nothing is made up: the script runs in a sandbox, what it did is looked at, approved, applied and undone by the
commands that stand on the page, and the tree is compared, entry by entry, before and after.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path(__file__).with_name("a-script.md")
TREEGATE = Path(sys.executable).parent / "treegate"
LETTERS = 20_000
PEOPLE = ("Harriet Smith", "Farrow & Lisle", "S. Lefèvre", "Jones Piano Movers", "The Court", "Müller & Söhne")

SCRIPT = '''"""Files letters by what is in them: YEAR/FROM/DATE SUBJECT.txt; sets duplicates aside."""

import argparse
import hashlib
import os
import re

parser = argparse.ArgumentParser()
parser.add_argument("--root", default=".")
root = parser.parse_args().root
seen, filed, doubles = {}, 0, 0
os.chdir(root)
for name in sorted(os.listdir("Inbox")):
    path = os.path.join("Inbox", name)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head = dict(re.findall(r"^(From|Date|Subject): (.*)$", text, re.MULTILINE))
    content = hashlib.sha256(text.encode()).digest()
    if content in seen:
        os.makedirs("Duplicates", exist_ok=True)
        os.rename(path, os.path.join("Duplicates", name))
        doubles += 1
        continue
    folder = os.path.join(head["Date"][:4], head["From"])
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, f"{head['Date']} {head['Subject']} ({name[4:9]}).txt")
    os.rename(path, target)
    seen[content] = target
    filed += 1
os.rmdir("Inbox")
with open("INDEX.txt", "w", encoding="utf-8") as index:
    index.writelines(f"{target}\\n" for target in sorted(seen.values()))
print(f"{filed:,} letters filed, {doubles:,} duplicates set aside")
'''


class Story:
    """The office, and the page so far."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "office"
        self.case = self.root / "projects/Letters"
        self.env = {**os.environ, "TREEGATE_STATE": str(folder / "state"), "NO_COLOR": "1", "COLUMNS": "100"}
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """A sentence between two scenes."""
        self.lines += ["", text, ""]

    def block(self, text: str, kind: str = "") -> None:
        """Something that was written."""
        self.lines += ["", f"```{kind}", *text.rstrip("\n").split("\n"), "```"]

    def type(self, line: str, who: str, shown: int = 60) -> str:
        """A command line, typed by someone, with its answer and how long it took."""
        began = time.monotonic()
        command = re.sub(r"^treegate", str(TREEGATE), line)
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = time.monotonic() - began
        answer = done.stdout.rstrip("\n").split("\n")
        if len(answer) > shown:
            answer = [*answer[:shown], f"… {len(answer) - shown} more lines"]
        self.block("\n".join([f"{who}$ time {line}", *answer, "", f"real    {seconds:.1f}s"]), "console")
        return done.stdout

    def ask(self, *arguments: str) -> dict[str, object]:
        """What a command answers as JSON."""
        done = subprocess.run(
            [TREEGATE, *arguments, "--json"], cwd=self.root, env=self.env, capture_output=True, check=True
        )
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def tree(self) -> dict[str, tuple[int, int, str]]:
        """Everything in the case: mode, mtime in nanoseconds, content."""
        return {str(path.relative_to(self.case)): _facts(path) for path in self.case.rglob("*")}


def _facts(path: Path) -> tuple[int, int, str]:
    facts = path.lstat()
    content = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return facts.st_mode, facts.st_mtime_ns, content


def letters(inbox: Path) -> None:
    """A box of letters under the names that the scanner gave them; each twentieth was scanned twice."""
    chance = random.Random(1911)
    inbox.mkdir(parents=True)
    text = ""
    for number in range(LETTERS):
        if number % 20 or not number:
            day = f"{chance.randint(2019, 2025)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            subject = chance.choice(("the strap", "the staircase", "an invoice", "a hearing", "the piano"))
            text = (
                f"From: {chance.choice(PEOPLE)}\nDate: {day}\nSubject: {subject}\n\nAbout {subject}, no. {number}.\n"
            )
        path = inbox / f"scan{number:05}.txt"
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(10**18 + number, 10**18 + number * 1_000_003))


def live(story: Story) -> None:
    """The whole story."""
    before = story.tree()
    story.say(
        f"A box of {LETTERS:,} letters, all in one folder, under the names that the scanner gave them. A script is to"
        " file them by what is in them; nobody can say beforehand what it will do, for that depends on what it reads."
    )
    story.block(SCRIPT, "python")
    story.type("treegate run Letters --tool file_letters.py -- python /tools/file_letters.py --root /case", "agent")
    assert story.tree() == before
    plan = str(story.ask("list")["plans"][0]["id"])
    story.say("The case is as it was. What the script did to its view of it waits as a plan.")
    story.type(f"treegate show {plan}", "rita", 48)
    digest = str(story.ask("show", plan)["preview"]["digest"])[:12]
    story.say("Rita, whose token is in `TREEGATE_TOKEN`, approves exactly that; it is carried out at once.")
    token = story.env["TREEGATE_TOKEN"] = str(
        story.ask("token", "create", "--name", "rita", "--role", "reviewer")["token"]
    )
    story.type(f"treegate approve {plan} --digest {digest}", "rita")
    after = story.tree()
    story.type("ls projects/Letters projects/Letters/2024; ls projects/Letters/Duplicates | wc -l", "rita")
    story.say("And back: undo is a plan, too.")
    del story.env["TREEGATE_TOKEN"]
    story.type("treegate undo", "agent", 20)
    story.env["TREEGATE_TOKEN"] = token
    undo = str(story.ask("list")["plans"][0]["id"])
    digest = str(story.ask("show", undo)["preview"]["digest"])[:12]
    story.type(f"treegate approve {undo} --digest {digest}", "rita")
    assert _without_folder_times(story.tree()) == _without_folder_times(before), "the tree is not as it was"
    story.say(
        f"This page was written only because two comparisons held, of kind, mode, time of change in nanoseconds and"
        f" content of {len(before):,} entries before and {len(after):,} after: running the script changed nothing in"
        " the case, and undoing the run brought everything back, but for the times of folders, which [no undo brings"
        " back](guarantees.md)."
    )


def _without_folder_times(tree: dict[str, tuple[int, int, str]]) -> dict[str, tuple[int, int, str]]:
    return {path: (mode, mtime if content else 0, content) for path, (mode, mtime, content) in tree.items()}


def main() -> None:
    """Writes the page."""
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        letters(story.case / "Inbox")
        (story.root / "Tools").mkdir()
        (story.root / "Tools/file_letters.py").write_text(SCRIPT, encoding="utf-8")
        subprocess.run([TREEGATE, "init", story.root], env=story.env, check=True, capture_output=True)
        live(story)
    head = (
        "A script in [a sandbox](sandbox.md), its effects looked at, approved, carried out and undone, as\n"
        "`python docs/reorganised.py` lived it. The times are of whole processes on two cores of a shared machine."
    )
    text = "\n".join(["# A script", "", head, *story.lines]) + "\n"
    PAGE.write_text(re.sub(r"\n{3,}", "\n\n", text).replace(folder, "/srv"), encoding="utf-8")


if __name__ == "__main__":
    main()
