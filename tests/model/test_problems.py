"""Every problem says which operation, which key, which path, what was found, what to do, and what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from memory import CASE, Item, Memory, file, folder, link
from recipes import NUMBERS, TREES, Recipe, document, grow

from treegate.errors import PlanError
from treegate.model import acts
from treegate.model.capabilities import Capabilities
from treegate.model.effects import untagged
from treegate.model.plan import Plan
from treegate.model.policy import Limits, Paths, Policy
from treegate.model.problems import CODES, MOST_PROBLEMS, Problem
from treegate.model.repair import repaired
from treegate.model.seal import About, seal
from treegate.model.tree import IMMUTABLE, MOUNT_ROOT, Kind

FREE = Policy(
    protect=Paths(paths=("never-there",)), limits=Limits(deletes=10**6, delete_share=1.0, replacements=10**6)
)
NONE = object()


def office() -> Memory:
    """A case as the examples below need it."""
    memory = Memory({CASE: Capabilities(), "Rivera": Capabilities()})
    memory.put("a.txt", file("one"))
    memory.put("b.txt", file("one"))
    memory.put("c.txt", file("two"))
    memory.put("Scans/2024-03-01 scan.pdf", file("pdf"))
    memory.put("Scans/2.pdf", file("pdf 2"))
    memory.put("Notes/todo.txt", file("todo"))
    memory.put("Correspondence", folder())
    memory.put("latest", link("Scans"))
    memory.put("pipe", Item(Kind.OTHER))
    memory.put("fixed", file("fixed")).attrs = IMMUTABLE
    memory.put("disk", folder()).attrs = MOUNT_ROOT
    memory.put("twice", file("linked")).nlink = 2
    memory.put("gray.txt", file())
    memory.vaults["", "run_0"] = folder()
    memory.vaults["", "run_0"].add("1", file("kept"))
    memory.vaults["", "run_0"].add("2", folder()).add("in.txt", file("kept inside"))
    return memory


def problems_of(
    memory: Memory, *operations: dict[str, Any], case: str | None = CASE, policy: Policy = FREE
) -> list[Problem]:
    """All problems of a plan, simulated and sealed."""
    whole = document(list(operations), case or "")
    plan = Plan.decode(json.dumps(whole))
    for sha256, content in plan.contents():
        memory.blobs[sha256] = content
    return seal(acts.simulate(plan, memory), policy, About("ws")).preview.problems


class Example(NamedTuple):
    """Operations, and the one problem that the last of them has; its suggestion is the operation with `mended`."""

    code: str
    operations: list[dict[str, Any]]
    key: str | None
    path: str | None
    says: str
    mended: Any = NONE
    case: str | None = CASE


def op(verb: str, /, **keys: Any) -> dict[str, Any]:
    return {"op": verb, **{key.rstrip("_"): value for key, value in keys.items()}}


def move(source: str, to: str, **keys: Any) -> dict[str, Any]:
    return op("move", from_=source, to=to, **keys)


A_TO_X = move("a.txt", "x.txt")
# fmt: off
EXAMPLES = [
    # sources
    Example("source-missing", [move("Scan/2.pdf", "x.pdf")], "from", "Scan/2.pdf", "nothing",
            {"from": "Scans/2.pdf"}),
    Example("source-missing", [op("delete", path="zzzzzz")], "path", "zzzzzz", "nothing"),
    Example("unknown-case", [move("Casse/a.txt", "Case/x.txt")], "from", "Casse", "no case", {"from": "Case/a.txt"},
            None),
    Example("unknown-case", [move("Case/a.txt", "Casse/x.txt")], "to", "Casse", "no case", {"to": "Case/x.txt"},
            None),
    Example("near-miss", [move("Case/a.txt", "x.txt")], "from", "Case/a.txt", "nothing", {"from": "a.txt"}),
    Example("near-miss", [move("a.txt", "Case/x.txt")], "to", "Case", "paths start at the case", {"to": "x.txt"}),
    Example("near-miss", [move("a.txt", "projects/Case/x.txt")], "to", "projects", "paths start at", {"to": "x.txt"}),
    Example("source-taken", [A_TO_X, move("a.txt", "y.txt")], "from", "a.txt", "'x.txt'", {"from": "x.txt"}),
    Example("source-taken", [op("delete", path="a.txt"), move("a.txt", "y")], "from", "a.txt", "operation 1"),
    Example(
        "source-taken", [move("Scans", "Old"), move("Scans/2.pdf", "y.pdf")], "from", "Scans/2.pdf", "operation 1",
        {"from": "Old/2.pdf"},
    ),
    Example(
        "source-taken", [op("delete", path="Scans", recursive=True), move("Scans/2.pdf", "y")], "from", "Scans/2.pdf",
        "operation 1",
    ),
    Example(
        "source-taken", [op("mkdir", path="n"), move("n", "m"), op("delete", path="n")], "path", "n", "operation",
        {"path": "m"},
    ),
    Example("work-done-twice", [A_TO_X, A_TO_X], "from", "a.txt", "operation 1", None),
    Example("work-done-twice", [op("delete", path="a.txt")] * 2, "path", "a.txt", "operation 1", None),
    Example("work-done-twice", [op("mkdir", path="n")] * 2, "path", "n", "operation 1", None),
    Example(
        "work-done-twice", [op("restore", run="run_0", entry=1, to=to) for to in "xy"], "entry", "y", "operation 1",
        None
    ),
    Example("destination-exists", [op("mkdir", path="Notes")], "path", "Notes", "exists", None),
    Example("nothing-to-do", [move("a.txt", "a.txt")], "to", "a.txt", "already", None),
    Example("type-mismatch", [op("replace", path="Notes", content="")], "path", "Notes", "dir"),
    Example("type-mismatch", [op("set", path="latest", mode="0644")], "mode", "latest", "link"),
    Example("type-mismatch", [move("Notes", "x", expect={"size": 1})], "expect", "Notes", "not a file"),
    Example("type-mismatch", [move("Notes", "a.txt", if_exists="replace")], "to", "a.txt", "replace"),
    Example("special-file", [move("pipe", "x")], "from", "pipe", "FIFO"),
    Example("several-hard-links", [move("twice", "x")], "", "twice", "one other name"),
    Example("several-hard-links", [op("set", path="twice", mode="0600")], "", "twice", "changes too"),
    Example("expect-mismatch", [move("a.txt", "x.txt", expect={"size": 4})], "expect/size", "a.txt", "3 bytes"),
    Example("expect-mismatch", [move("a.txt", "x.txt", expect={"sha256": "0" * 64})], "expect/sha256", "a.txt",
            "0000"),
    Example("no-match", [move("", "x/", match="*.doc")], "match", "*.doc", "nothing"),
    Example("wrong-count", [move("", "x/", match="Scans/*", count=3)], "count", "Scans/*", "2 entries", {"count": 2}),
    Example("bad-glob", [move("", "x/", match="Scans/[")], "match", "Scans/[", "closed", case=None),
    Example("bad-glob", [op("delete", match="*", **{"except": ["**a"]})], "except", "**a", "alone", case=None),
    Example("bad-glob", [move("", "x/{nme}", match="Scans/*")], "to", "x/{nme}", "{nme}", case=None),
    Example(
        "restored-in-vain", [op("restore", run="run_0", entry=2, to="r"), op("delete", path="r/in.txt")], "", None,
        "same plan",
    ),
    Example("vault-missing", [op("restore", run="run_0", entry=7, to="x")], "entry", "x", "no entry 7"),
    Example("blob-missing", [op("create", path="x", blob="sha256:" + "0" * 64)], "blob", "x", "no blob"),
    Example("immutable", [op("delete", path="fixed")], "path", "fixed", "immutable"),
    # destinations
    Example("destination-exists", [move("a.txt", "b.txt")], "to", "b.txt", "identical", {"if_exists": "number"}),
    Example("destination-exists", [move("a.txt", "c.txt")], "to", "c.txt", "different", {"if_exists": "number"}),
    Example(
        "destination-exists", [op("symlink", path="a.txt", target="b.txt")], "path", "a.txt", "a file",
        {"path": "a (2).txt"},
    ),
    Example(
        "destination-exists", [op("restore", run="run_0", entry=1, to="a.txt")], "to", "a.txt", "file",
        {"to": "a (2).txt"},
    ),
    Example("destination-is-folder", [move("a.txt", "Scans")], "to", "Scans", "folder", {"to": "Scans/"}),
    Example("destination-is-folder", [op("create", path="Scans", content="")], "path", "Scans", "folder"),
    Example("destination-is-folder", [op("rename", path="a.txt", name="Scans")], "name", "Scans", "folder"),
    Example("same-target", [A_TO_X, move("c.txt", "x.txt")], "to", "x.txt", "'a.txt'", {"if_exists": "number"}),
    Example("parent-is-file", [move("a.txt", "b.txt/x.txt")], "to", "b.txt", "not a folder"),
    Example("link-in-path", [move("a.txt", "latest/x.txt")], "to", "latest", "link"),
    Example("link-in-path", [op("delete", path="latest/2.pdf")], "path", "latest", "link"),
    Example("folder-into-itself", [move("Scans", "Scans/Old/x")], "to", "Scans/Old/x", "inside"),
    Example("folder-into-itself", [op("copy", from_="Scans", to="Scans/")], "to", "Scans/Scans", "inside"),
    Example(
        "folder-not-empty", [op("delete", path="Scans")], "recursive", "Scans", "2 entries", {"recursive": True}
    ),
    Example("folders-never-merge", [move("Scans", "Notes")], "to", "Notes", "folder"),
    Example("mount-inside", [move("a.txt", "disk/x.txt")], "to", "disk", "mounted"),
    Example("mount-inside", [move("disk", "x")], "from", "disk", "mounted"),
    Example("link-outside", [op("symlink", path="x", target="../../etc/passwd")], "", "x", "outside"),
    # paths
    Example("path-malformed", [move("/a.txt", "x.txt")], "from", "/a.txt", "absolute", {"from": "a.txt"}),
    Example("path-malformed", [move("/projects/Case/a.txt", "x.txt")], "from", "/projects/Case/a.txt", "absolute",
            {"from": "a.txt"}),
    Example("path-malformed", [move("Scans//2.pdf", "x.pdf")], "from", "Scans//2.pdf", "empty",
            {"from": "Scans/2.pdf"}),
    Example("path-malformed", [move("", "x")], "from", "", "empty"),
    Example("path-malformed", [op("mkdir", path="a\0b")], "path", "a\0b", "NUL"),
    Example("path-malformed", [op("rename", path="a.txt", name="Old/a.txt")], "name", "a.txt", "not a name",
            op("move", from_="a.txt", to="Old/a.txt")),
    Example("path-escapes", [move("../Rivera/x", "x")], "from", "../Rivera/x", "`..`"),
    Example("path-escapes", [move("./a.txt", "x.txt")], "from", "./a.txt", "`.`", {"from": "a.txt"}),
    Example("path-reserved", [op("mkdir", path=".treegate/x")], "path", ".treegate/x", ".treegate"),
    Example("raw-malformed", [op("mkdir", path="100%", raw=True)], "path", "100%", "%"),
    Example("case-untouchable", [op("delete", path="Case")], "path", "Case", "case", case=None),
    Example("case-untouchable", [op("mkdir", path="New")], "path", "New", "case", case=None),
    Example("case-untouchable", [op("rename", path="Case", name="New")], "path", "Case", "case", case=None),
    # names
    Example("name-too-long", [op("mkdir", path="x" * 300)], "path", "x" * 300, "300 bytes", {"path": "x" * 255}),
    Example("name-too-long", [move("a.txt", f"{'x' * 300}/y/z.txt")], "to", "x" * 300, "300 bytes",
            {"to": f"{'x' * 255}/y/z.txt"}),
    Example("name-too-long", [op("rename", path="a.txt", name="é" * 150 + ".txt")], "name", "é" * 150 + ".txt", "304",
            {"name": "é" * 125 + ".txt"}),
    Example("path-too-long", [op("mkdir", path="/".join(["x" * 200] * 21))], "path", "", "characters"),
    Example("name-hidden", [op("mkdir", path=".hidden")], "path", ".hidden", "dot"),
    Example("name-control", [op("mkdir", path="a\x1bb")], "path", "a\x1bb", "U+001B"),
    Example("name-unseen", [op("mkdir", path="a\u202eb")], "path", "a\u202eb", "does not show"),
    Example("name-not-utf8", [op("mkdir", path="a%FF", raw=True)], "path", "a\udcff", "not UTF-8"),
    Example("case-collision", [move("a.txt", "B.TXT")], "", "B.TXT", "case"),
    Example("unicode-collision", [op("create", path="e\u0301.txt", content=""),
                                  op("create", path="\u00e9.txt", content="")], "", "\u00e9.txt", "Unicode form"),
    # oddities
    Example("extension-lost", [move("a.txt", "a.pdf")], "", "a.pdf", "'a.pdf'", {"to": "a.pdf.txt"}),
    Example("date-lost", [op("rename", path="Scans/2024-03-01 scan.pdf", name="scan.pdf")], "", "Scans/scan.pdf",
            "2024-03-01"),
    Example("folder-nearly-named", [move("a.txt", "Correspondance/")], "", "Correspondance", "'Correspondence'"),
    Example("link-will-dangle", [move("latest", "Notes/latest")], "", "Notes/latest", "nothing will be there"),
]
# fmt: on


def _name(example: Example) -> str:
    return f"{example.code}-{example.key}"


def prepared(example: Example) -> list[dict[str, Any]]:
    """The operations, a glob's without the empty `from` that `move` gave them."""
    return [{key: value for key, value in each.items() if not (key == "from" and "match" in each)}
            for each in example.operations]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_a_problem_says_all_it_has_to(example: Example) -> None:
    """Code, operation, pointer, path, message, hint and suggestion of the last operation's problem."""
    operations = prepared(example)
    found = [
        each for each in problems_of(office(), *operations, case=example.case) if each.operation == len(operations)
    ]
    problem = next((each for each in found if each.code == example.code), None)
    assert problem is not None, [(each.code, each.message) for each in found]
    at = f"/operations/{len(operations) - 1}"
    assert problem.pointer == (f"{at}/{example.key}" if example.key else at)
    assert example.says in problem.message
    assert problem.hint
    assert problem.severity == CODES[problem.code].severity or problem.code == "name-not-utf8"
    _path_is(problem, example)
    if example.mended is NONE:
        assert problem.suggestion is None
    elif example.mended is None:
        assert (problem.suggests, problem.suggestion) == (True, None)
    else:
        whole = example.mended if "op" in example.mended else {**operations[-1], **example.mended}
        assert problem.suggestion == whole


def _path_is(problem: Problem, example: Example) -> None:
    assert problem.path is not None
    path = untagged(problem.path)
    assert path in (example.path, f"{CASE}/{example.path}") or not example.path
    if example.path and example.code not in ("bad-glob", "blob-missing", "vault-missing", "work-done-twice"):
        shown = example.path if len(example.path) < 100 else example.path[:40]
        assert repr(shown).strip("'") in problem.message or example.path.rpartition("/")[2] in problem.message


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.mended is not NONE], ids=_name)
def test_a_plan_with_its_suggestions_taken_has_fewer_problems(example: Example) -> None:
    """`check --fix` gets somewhere: that problem is gone, and no error came in its place."""
    operations = prepared(example)
    plain = document([*operations, op("set", path="gray.txt", mode="0600")], example.case or "")
    if example.case is None:
        plain["operations"][-1]["path"] = "Case/gray.txt"
    before = problems_of(office(), *plain["operations"], case=example.case)
    mended, taken, _ = repaired(json.dumps(plain).encode(), before)
    assert taken >= 1
    after = problems_of(office(), *json.loads(mended)["operations"], case=example.case)
    assert len(after) < len(before)


def test_problems_come_all_at_once_and_in_operation_order() -> None:
    """One bad operation does not hide those after it."""
    found = problems_of(
        office(),
        op("delete", path="zzzzz"),
        move("a.txt", "b.txt"),
        op("mkdir", path="fine"),
        op("mkdir", path="../x"),
        move("pipe", "fine/"),
    )
    assert [(each.operation, each.code) for each in found] == [
        (1, "source-missing"), (2, "destination-exists"), (4, "path-escapes"), (5, "special-file"),
    ]  # fmt: skip


def test_what_rests_on_a_bad_operation_is_not_told_again() -> None:
    """The fault is told once, where it is."""
    found = problems_of(
        office(),
        move("zzzzz", "New/y.txt"),
        op("rename", path="New/y.txt", name="z.txt"),
        op("set", path="New/z.txt", mode="0600"),
        move("New/z.txt", "Notes/"),
        op("delete", path="Notes/z.txt"),
    )
    assert [(each.operation, each.code) for each in found] == [(1, "source-missing")]


def test_of_several_sources_with_one_target_all_are_named() -> None:
    """Each later one names all that were there or wanted to be."""
    found = problems_of(office(), *(move(name, "x.txt") for name in ("a.txt", "b.txt", "c.txt")))
    assert [(each.code, each.operation, each.also) for each in found] == [
        ("same-target", 2, (1,)), ("same-target", 3, (1, 2)),
    ]  # fmt: skip
    assert "'a.txt' (operation 1) and 'b.txt' would lie at 'x.txt'" in found[0].message
    assert "'a.txt' (operation 1), 'b.txt' (operation 2) and 'c.txt' would lie at 'x.txt'" in found[1].message


def test_a_case_that_there_is_not_is_told_with_the_nearest() -> None:
    """It stands at the head of the plan, so nothing else can be said."""
    (found,) = problems_of(office(), A_TO_X, case="Riviera")
    assert (found.code, found.pointer, found.operation) == ("unknown-case", "/case", None)
    assert '"case": "Rivera"' in found.hint


def test_other_filesystems_are_no_place_to_move_to() -> None:
    """A move between volumes cannot be one act; a copy can be made."""
    memory = office()
    memory.volumes = {CASE: "", "Rivera": "Rivera"}
    (found,) = problems_of(memory, move("Case/a.txt", "Rivera/a.txt"), case=None)
    assert (found.code, found.pointer) == ("other-filesystem", "/operations/0/to")
    assert problems_of(memory, op("copy", from_="Case/a.txt", to="Rivera/a.txt"), case=None) == []


@pytest.mark.parametrize(
    ("policy", "operation", "code"),
    [
        (Policy(protect=Paths(paths=("Scans/**",))), move("Scans/2.pdf", "x.pdf"), "path-protected"),
        (Policy(protect=Paths(paths=("**/2.pdf",))), move("Scans", "Old"), "path-protected"),
        (Policy(protect=Paths(paths=("**/2.pdf",))), op("delete", path="Scans", recursive=True), "path-protected"),
        (Policy(protect=Paths(paths=("Old/**",))), op("copy", from_="Scans", to="Old"), "path-protected"),
        (Policy(allow=Paths(paths=("Notes/**",))), A_TO_X, "path-not-allowed"),
        (Policy(limits=Limits(deletes=1)), op("delete", path="Scans", recursive=True), "limit-passed"),
        (Policy(limits=Limits(files=1)), move("Scans", "Old"), "limit-passed"),
        (Policy(limits=Limits(operations=0)), A_TO_X, "limit-passed"),
    ],
)
def test_policy_is_asked_about_everything_that_is_touched(
    policy: Policy, operation: dict[str, Any], code: str
) -> None:
    """What is inside a folder that goes as a whole counts."""
    found = problems_of(office(), operation, policy=policy)
    assert code in [each.code for each in found], found
    assert all(each.hint for each in found)


@pytest.mark.parametrize(
    ("spoil", "operation", "code"),
    [
        (lambda m: m.obstacles.update({CASE: ("read-only", "no")}), A_TO_X, "read-only"),
        (lambda m: m.obstacles.update({f"{CASE}/Scans": ("no-permission", "no")}),
         move("a.txt", "Scans/"), "no-permission"),
        (lambda m: m.obstacles.update({f"{CASE}/Notes": ("immutable", "no")}),
         op("create", path="Notes/x", content=""), "immutable"),
        (lambda m: setattr(m, "room", (5, 100)), op("create", path="x", content="123456"), "no-space"),
        (lambda m: setattr(m, "room", (100, 2)), op("create", path="y/z/x", content="1"), "no-inodes"),
        (lambda m: m.unreadable.add(f"{CASE}/Scans"), move("Scans/2.pdf", "x.pdf"), "not-readable"),
        (lambda m: m.unreadable.add(f"{CASE}/Scans"), move("Scans", "Old"), "not-readable"),
        (lambda m: m.cases.update({CASE: Capabilities(durable_fsync=False)}), A_TO_X, "weak-mount"),
        (lambda m: m.cases.update({CASE: Capabilities(folds_case=True)}), move("a.txt", "B.TXT"), "names-collide"),
        (lambda m: m.cases.update({CASE: Capabilities(name_rules=("windows",))}),
         move("a.txt", "x?.txt"), "name-forbidden"),
        (lambda m: m.cases.update({CASE: Capabilities(name_rules=("gcs",))}),
         move("a.txt", "x?.txt"), "name-discouraged"),
        (lambda m: m.cases.update({CASE: Capabilities(name_rules=("windows",))}),
         move("a.txt", "con.txt"), "name-reserved"),
        (lambda m: setattr(m, "reserved", frozenset({"Reports"})), op("mkdir", path="Reports/x"), "path-reserved"),
        (lambda m: m.at(f"{CASE}/Scans").add("fifo", Item(Kind.OTHER)), move("Scans", "Old"), "special-file"),
        (lambda m: m.at(f"{CASE}/Scans").add("fifo", Item(Kind.OTHER)),
         op("copy", from_="Scans", to="Old"), "special-file"),
        (lambda m: m.at(f"{CASE}/Scans").add("m", _mounted()), move("Scans", "Old"), "mount-inside"),
        (lambda m: m.at(f"{CASE}/Scans").add("m", _mounted()), op("copy", from_="Scans", to="Old"), "mount-inside"),
        (lambda m: m.at(f"{CASE}/Scans").add("h", _linked()), move("Scans", "Old"), "several-hard-links"),
    ],
)  # fmt: skip
def test_what_the_mount_says_is_told_beforehand(
    spoil: Callable[[Memory], object], operation: dict[str, Any], code: str
) -> None:
    """Permissions, room, other mounts, and what a filesystem cannot keep."""
    memory = office()
    spoil(memory)
    found = problems_of(memory, operation)
    assert code in [each.code for each in found], found
    assert all(each.hint and each.message for each in found)


def _mounted() -> Item:
    mounted = folder()
    mounted.attrs = MOUNT_ROOT
    return mounted


def _linked() -> Item:
    linked = file()
    linked.nlink = 2
    return linked


def test_names_that_stay_as_they_are_are_not_held_against_a_plan() -> None:
    """Only names that a plan makes must obey; moving a hidden file is no reason to warn of its name."""
    memory = office()
    memory.put("Notes/.hidden\x1b", file())
    assert problems_of(memory, move("Notes/.hidden\x1b", "Scans/")) == []
    assert problems_of(memory, op("move", match="Notes/.*", to="Scans/")) == []


def test_the_list_of_problems_ends_somewhere() -> None:
    """Beyond the bound only their number is told, and the plan stays one with errors."""
    found = problems_of(office(), *(op("delete", path=f"nothing {n}") for n in range(MOST_PROBLEMS + 500)))
    assert len(found) == MOST_PROBLEMS + 1 or len(found) == MOST_PROBLEMS
    assert found[-1].code == "more-problems"
    assert found[-1].severity == "error"


def test_what_is_looked_up_for_suggestions_is_bounded() -> None:
    """Ten thousand misspelled names in a folder of ten thousand do not make a hundred million comparisons."""
    memory = office()
    for n in range(10_000):
        memory.put(f"Many/name {n}", file())
    found = problems_of(memory, *(move(f"Many/nmae {n}", "x/") for n in range(3_000)))
    assert len([each for each in found if each.suggestion]) < 1000
    assert len([each for each in found if each.code == "source-missing"]) == 3_000


@settings(max_examples=300, deadline=None)
@given(TREES, some.lists(NUMBERS, min_size=1, max_size=8), some.lists(some.text(max_size=12), min_size=1, max_size=4))
def test_no_text_makes_a_simulation_stumble(tree: Recipe, plan: Recipe, texts: list[str]) -> None:
    """Whatever stands in paths, globs, templates and names: problems, never an exception; pointers lead somewhere."""
    memory = grow(tree)
    operations = []
    for kind, one, two, three in plan:
        text, other = texts[one % len(texts)], texts[two % len(texts)]
        mixed = f"a/{text}" if three % 2 else text
        operations.append(
            [
                move(mixed, other), op("copy", from_="a", to=mixed), op("rename", path=other, name=text),
                op("move", match=text, to=mixed), op("delete", match="*", **{"except": [text]}),
                op("move", match="**", to=mixed), op("mkdir", path=mixed), op("delete", path=mixed, recursive=True),
                op("create", path=mixed, content=text, if_exists="number"), op("symlink", path=mixed, target=other),
                op("set", path=mixed, mode="0777"), op("restore", run=text, entry=one, to=other),
                op("mkdir", path=mixed, raw=True), op("symlink", path="s", target=text, raw=True),
            ][kind % 14]
        )  # fmt: skip
    whole = document(operations, texts[0] if plan[0][0] % 9 == 0 else CASE)
    try:
        read = Plan.decode(json.dumps(whole, ensure_ascii=plan[0][1] % 2 == 0))
    except PlanError:
        return
    for sha256, content in read.contents():
        memory.blobs[sha256] = content
    preview = seal(acts.simulate(read, memory), FREE, About("ws")).preview
    assert msgspec.json.decode(msgspec.json.encode(preview))["digest"] == preview.digest
    for problem in preview.problems:
        _leads_somewhere(problem.pointer, whole)
        assert problem.hint
        if problem.suggestion is not None:
            Plan.decode(json.dumps({**whole, "operations": [problem.suggestion]}))


def _leads_somewhere(pointer: str, whole: dict[str, Any]) -> None:
    """RFC 6901: the pointer evaluates, but for a last key that is not there (yet)."""
    if not pointer:
        return
    assert re.fullmatch(r"(/([^~/]|~[01])*)+", pointer)
    at: Any = whole
    *way, last = pointer[1:].split("/")
    for part in way:
        at = at[int(part)] if isinstance(at, list) else at[part.replace("~1", "/").replace("~0", "~")]
    assert isinstance(at, dict) or int(last) < len(at)
