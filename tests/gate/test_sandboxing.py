"""Commands in sandboxes, run for real: who may have one run, what comes of it, what is told, what a crash leaves."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import msgspec
import pytest
from gatework import Office
from sandboxwork import Ran, needs_sandbox, sh, small

from treegate.engine.sandbox import abilities
from treegate.errors import (
    Busy,
    Denied,
    Expired,
    NotFound,
    PlanError,
    Rejected,
    Stale,
    UsageError,
    Waiting,
)
from treegate.gate import origins
from treegate.gate.sandboxing import landing, ordering, running
from treegate.gate.sandboxing.events import Captured, Exited, Output, Started
from treegate.model.actors import Role
from treegate.model.commands import State


@pytest.fixture
def lab(disk: Office) -> Office:
    """An office of one person, in which commands run."""
    needs_sandbox()
    return small(disk)


@pytest.fixture
def shared(tmp_path: Path) -> Office:
    """One in which nobody decides on what is theirs."""
    needs_sandbox()
    made = Office(tmp_path / "firm", tmp_path / "state", solo=False)
    yield small(made)
    made.close()


def report(office: Office, case: str = "Smith") -> str:
    """The newest log of a command in a case."""
    return max((office.root / "Reports" / case / "mutation_logs").iterdir()).read_text()


# --- what comes of it -------------------------------------------------------------------------------------------


def test_what_a_command_did_is_a_plan_of_its_author_that_does_the_same(lab: Office):
    """No file is touched by the command; approved and applied, the plan leaves what the command saw when it ended."""
    lab.put("Smith/a.txt", "one")
    lab.put("Smith/old.txt", "two")
    before = lab.tree("Smith")
    ran = sh(lab.gate, "mkdir In && mv a.txt In/b.txt && rm old.txt && echo new > c && echo said")
    assert (ran.out, ran.done.status, ran.done.state) == ("said\n", 0, "ended")
    assert lab.tree("Smith") == before
    plan = lab.gate.show(ran.done.plan)
    assert (plan.plan.author, plan.plan.state, plan.plan.title.startswith("What `sh -c")) == ("root", "pending", True)
    lab.gate.approve(ran.done.plan, ran.done.digest)
    lab.gate.apply(ran.done.plan)
    assert lab.path("Smith/In/b.txt").read_text() == "one"
    assert lab.path("Smith/c").read_text() == "new\n"
    assert not lab.path("Smith/old.txt").exists()
    lab.undone()
    assert lab.path("Smith/old.txt").read_text() == "two"


def test_what_a_command_puts_into_treegates_own_folders_is_left_out_and_the_rest_can_be_approved(tmp_path: Path):
    """Where the folder itself is the case, Reports/ and others are no part of it: not seen, and not made."""
    needs_sandbox()
    root = tmp_path / "Taxes"
    root.mkdir()
    (root / "a.txt").write_text("one")
    office = small(Office(root, tmp_path / "state", single=True))
    ran = sh(office.gate, "ls; mkdir Reports .treegate && cp a.txt Reports/b.txt && mv a.txt c.txt", "Taxes")
    assert ran.out == "a.txt\n"
    assert {problem.code for problem in office.gate.show(ran.done.plan).preview.problems} == {"sandbox-reserved"}
    office.gate.approve(ran.done.plan, ran.done.digest)
    office.gate.apply(ran.done.plan)
    assert (root / "c.txt").read_text() == "one"
    assert not (root / "Reports/b.txt").exists()
    office.close()


def test_a_command_that_changes_nothing_ends_with_its_output_and_no_plan(lab: Office):
    """Reading is enough."""
    lab.put("Smith/a.txt", "one")
    ran = sh(lab.gate, "cat a.txt; exit 4")
    assert (ran.out, ran.done.status, ran.done.plan) == ("one", 4, None)
    assert lab.gate.list_plans()[0] == []
    assert "out| one" in report(lab)


def test_events_come_in_order_and_can_be_read_again_from_any_number(lab: Office):
    """Started, what it wrote, its end, what was captured, what came of it; kept under the same numbers."""
    ran = sh(lab.gate, "echo a; echo b >&2; touch x")
    kinds = [type(one.what) for one in ran.events]
    assert kinds[0] is Started
    assert kinds[-3:-1] == [Exited, Captured]
    assert [one.n for one in ran.events] == [*range(1, len(ran.events) + 1)]
    assert list(lab.open().sandbox_events(ran.done.id)) == ran.events
    assert list(lab.open().sandbox_events(ran.done.id, 3)) == ran.events[3:]


def test_events_are_told_while_the_command_still_runs(lab: Office):
    """Another process sees what was written, before the command has ended."""
    asked = lab.gate.ask_sandbox("Smith", ["sh", "-c", "echo first; while [ ! -e /tmp/x ]; do sleep 0.1; done"])
    runner = lab.open()
    thread = threading.Thread(target=runner.run_sandbox, args=(asked.id,))
    thread.start()
    told = lab.open().sandbox_events(asked.id)
    first = next(one for one in told if isinstance(one.what, Output))
    assert first.what.data == b"first\n"
    assert lab.gate.sandbox(asked.id).state is State.RUNNING
    lab.gate.cancel_sandbox(asked.id)
    rest = list(told)
    thread.join(30)
    assert rest[-1].what.why == "cancelled"


def test_a_plan_tells_which_command_it_came_of(lab: Office):
    """`show` has the command, its exit status, and where what it wrote can be read."""
    ran = sh(lab.gate, "touch x; exit 3")
    origin = lab.gate.show(ran.done.plan).preview.origin
    assert (origin.sandbox, origin.status, origin.command) == (ran.done.id, 3, "sh -c 'touch x; exit 3'")
    assert (lab.root / origin.log[0]).read_text() == report(lab)
    codes = [one.code for one in lab.gate.show(ran.done.plan).preview.problems]
    assert codes == ["sandbox-failed-command"]
    assert "sh -c 'touch x; exit 3'" in (lab.root / "Reports/Smith/reorg_validation.md").read_text()


def test_what_no_plan_can_do_is_a_sealed_warning_at_every_preview(lab: Office):
    """A FIFO is left out and said; the digest covers that it was; a refresh does not lose it."""
    ran = sh(lab.gate, "mkfifo pipe; touch x")
    preview = lab.gate.show(ran.done.plan).preview
    assert [one.code for one in preview.problems] == ["sandbox-special-file"]
    assert lab.gate.refresh(ran.done.plan).digest == preview.digest
    plain = lab.gate.submit(lab.document({"op": "create", "path": "x", "content": "", "mode": "0644"}))
    assert plain.problems == []


def test_several_cases_are_seen_side_by_side(lab: Office):
    """Each at /cases/NAME, and the plan spans them."""
    lab.put("Smith/a.txt", "one")
    ran = sh(lab.gate, "mv Smith/a.txt Jones/b.txt", ("Jones", "Smith"))
    assert lab.gate.show(ran.done.plan).plan.cases == ("Jones", "Smith")
    assert {path.split("/")[1] for path in ran.done.logs} == {"Jones", "Smith"}


def test_tools_are_seen_as_they_were_hashed_whatever_their_modes(lab: Office):
    """Only those that are named, readable and never writable, no links followed."""
    tools = lab.root / "Tools"
    (tools / "deep").mkdir(parents=True)
    (tools / "a.py").write_text("print('a')")
    (tools / "a.py").chmod(0o600)
    (tools / "deep/b.py").write_text("print('b')")
    (tools / "out").symlink_to("/etc/passwd")
    ran = sh(lab.gate, "cd /tools && find . -type f | sort; touch /tools/x 2>&1")
    assert ran.out.splitlines()[:2] == ["./a.py", "./deep/b.py"]
    assert "Read-only" in ran.out
    only = Ran(lab.gate, "Smith", ("python3", "/tools/deep/b.py"), tools=["Tools/deep/b.py"])
    assert only.out == "b\n"
    assert [tool.path for tool in lab.gate.sandbox(only.done.id).tools] == ["deep/b.py"]
    for name in ("out", "nope", "../projects/Smith/x", "/etc/passwd"):
        with pytest.raises(NotFound) as caught:
            Ran(lab.gate, "Smith", ("sh", "-c", ":"), tools=[name])
        assert caught.value.code == "no-such-tool"


def test_the_log_is_inert_and_tells_ours_from_the_commands(lab: Office):
    """An escape that a command writes does not reach whoever reads the log; nor can it write our lines."""
    sh(lab.gate, r"printf '\033[31mred\nexit status: 99\n'")
    text = report(lab)
    assert "\x1b" not in text
    assert "out| exit status: 99" in text
    assert "\nexit status: 0;" in text


def test_a_log_that_cannot_be_written_fails_nothing(lab: Office):
    """The plan is stored all the same."""
    (lab.root / "Reports/Smith").mkdir(parents=True)
    (lab.root / "Reports/Smith/mutation_logs").write_text("in the way")
    assert sh(lab.gate, "touch x").done.plan is not None


def test_names_of_any_bytes_are_told_and_done(lab: Office):
    """In findings, in what others changed, and on the command line; a case with such a name is refused beforehand."""
    odd = os.fsdecode(b"z\xff")
    lab.put(f"Smith/{odd}", "one")
    events = []
    for event in lab.gate.run("Smith", ["sh", "-c", 'mkfifo p"$1"; echo go; sleep 1; echo x > "$1"', "sh", odd]):
        events.append(event)
        if isinstance(event.what, Output):
            lab.put(f"Smith/{odd}", "theirs", mtime=time.time_ns())
    done = events[-1].what
    assert (done.plan_state, lab.gate.sandbox(done.id).words[-1].raw) == ("stale", "z%FF")
    problems = lab.gate.show(done.plan).preview.problems
    assert {one.code for one in problems} >= {"sandbox-special-file", "sandbox-changed"}
    assert list(lab.open().sandbox_events(done.id))[-1] == events[-1]
    lab.path(os.fsdecode(b"c\xff")).mkdir()
    lab.reopen()
    with pytest.raises(PlanError) as caught:
        sh(lab.gate, "true", os.fsdecode(b"c\xff"))
    assert caught.value.code == "case-not-utf8"


# --- limits and endings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "why"), [("touch x; sleep 60", "time"), ("touch x; yes", "output")], ids=["time", "output"]
)
def test_a_command_that_was_ended_says_so_in_its_plan(lab: Office, script: str, why: str):
    """What it did by then is kept, with a warning that it may be half."""
    lab.configure(sandbox_limits_output="64 KiB")
    ran = sh(lab.gate, script, timeout=1.5)
    assert ran.done.why == why
    assert [one.code for one in lab.gate.show(ran.done.plan).preview.problems] == ["sandbox-ended"]


def test_a_timeout_only_shortens(lab: Office):
    """What policy allows is the most."""
    asked = lab.gate.ask_sandbox("Smith", ["sh", "-c", ":"], timeout=10_000)
    assert asked.limits.seconds == 30


def test_only_so_many_run_at_a_time(lab: Office):
    """One more is refused once it has waited, and may be asked again."""
    lab.configure(sandbox_at_once="1", lock_wait="300ms")
    first = lab.gate.run("Smith", ["sh", "-c", "echo go; sleep 20"])
    while not isinstance(next(first).what, Output):
        pass
    with pytest.raises(Busy) as caught:
        sh(lab.open(), "true")
    assert caught.value.code == "too-many-sandboxes"
    first.close()
    assert sh(lab.open(), "true").done.status == 0


# --- who may have what run --------------------------------------------------------------------------------------


def test_what_policy_does_not_list_is_not_run(lab: Office):
    """And nothing is stored of it."""
    with pytest.raises(Denied) as caught:
        Ran(lab.gate, "Smith", ("perl", "-e", "1"))
    assert caught.value.code == "interpreter-not-allowed"
    assert lab.gate.sandboxes() == []


def test_where_hashes_are_listed_only_such_tools_are_seen(lab: Office):
    """A tool that was changed since is another one."""
    (lab.root / "Tools").mkdir(exist_ok=True)
    good, bad = lab.root / "Tools/good.py", lab.root / "Tools/bad.py"
    good.write_text("import os; print(os.listdir('/tools'))")
    bad.write_text("print('bad')")
    lab.configure(sandbox_tools=hashlib.sha256(good.read_bytes()).hexdigest())
    assert Ran(lab.gate, "Smith", ("python3", "/tools/good.py")).out == "['good.py']\n"
    with pytest.raises(Denied):
        Ran(lab.gate, "Smith", ("python3", "/tools/bad.py"))
    good.write_text("print('changed')")
    with pytest.raises(Denied):
        Ran(lab.gate, "Smith", ("python3", "/tools/good.py"))


def test_a_token_reaches_only_its_cases(shared: Office):
    """Neither running nor looking."""
    anna = shared.person("anna", Role.AUTHOR, cases=["Jones"])
    with pytest.raises(Denied) as caught:
        sh(anna, "true")
    assert caught.value.code == "case-not-allowed"
    ran = sh(shared.gate, "true")
    assert anna.sandboxes() == []
    with pytest.raises(NotFound):
        anna.sandbox(ran.done.id)
    assert sh(anna, "touch x", "Jones").done.plan_state == "pending"


def test_running_is_reading_and_goes_on_while_paused(lab: Office):
    """But nothing is applied directly."""
    lab.configure(sandbox_direct="true")
    lab.gate.pause()
    assert sh(lab.gate, "touch x").done.plan_state == "pending"
    with pytest.raises(Busy) as caught:
        sh(lab.gate, "touch y", direct=True)
    assert caught.value.code == "paused"


def test_a_case_with_a_mount_point_inside_is_refused_beforehand(lab: Office, mount):
    """The view would show it empty."""
    mount(lab.path("Smith/inside"), "-t", "tmpfs", "none")
    with pytest.raises(UsageError) as caught:
        sh(lab.gate, "true")
    assert caught.value.code == "case-has-mount"
    assert lab.gate.sandboxes() == []


# --- commands that are approved ---------------------------------------------------------------------------------


def test_a_command_waits_until_somebody_else_approves_exactly_it_then_runs_once(shared: Office):
    """By the rules of plans: not one's own, not an author, not by another digest."""
    shared.configure(sandbox_approve_command="true")
    anna = shared.person("anna", Role.AUTHOR)
    with pytest.raises(Waiting) as caught:
        sh(anna, "touch x")
    assert caught.value.code == "command-waits"
    (waits,) = anna.sandboxes()
    assert [one.id for one in shared.gate.status().commands] == [waits.id]
    with pytest.raises(Denied) as caught:
        anna.approve_sandbox(waits.id, waits.digest)
    assert caught.value.code == "role-not-allowed"
    rita = shared.person("rita", Role.REVIEWER)
    with pytest.raises(Stale):
        rita.approve_sandbox(waits.id, "0" * 64)
    rita.approve_sandbox(waits.id, waits.digest[:12])
    with pytest.raises(Denied):
        list(rita.follow_sandbox(waits.id))  # it is not hers
    *_, last = anna.follow_sandbox(waits.id)
    assert shared.gate.show(last.what.plan).plan.author == "anna"
    *_, again = anna.follow_sandbox(waits.id)  # it ran once, and what came of it is told again
    assert again == last
    assert len(anna.list_plans()[0]) == 1


def test_a_command_that_another_process_runs_is_followed_to_its_end(lab: Office):
    """Whoever asks for it by its id sees what it does; told to stop, it ends, and what it did is kept."""
    asked = lab.gate.ask_sandbox("Smith", ["sh", "-c", "touch x; echo go; sleep 60"])
    other, seen = lab.open(), []
    runs = threading.Thread(target=lambda: list(lab.open().follow_sandbox(asked.id)))
    runs.start()
    while lab.gate.sandbox(asked.id).state is not State.RUNNING:
        time.sleep(0.02)
    stop = threading.Event()
    other.watch(lambda done, total: None, stop.is_set)
    for event in other.follow_sandbox(asked.id):
        seen.append(event.what)
        if isinstance(event.what, Output):
            stop.set()
    runs.join(30)
    assert [type(one).__name__ for one in seen] == ["Started", "Output", "Exited", "Captured", "Finished"]
    assert (seen[-1].why, seen[-1].plan_state) == ("cancelled", "pending")


def test_nobody_approves_their_own_command(shared: Office):
    shared.configure(sandbox_approve_command="true")
    rita = shared.person("rita", Role.REVIEWER)
    waits = rita.ask_sandbox("Smith", ["sh", "-c", "true"])
    with pytest.raises(Denied) as caught:
        rita.approve_sandbox(waits.id, waits.digest)
    assert caught.value.code == "own-command"


def test_a_command_that_was_turned_down_is_refused_from_then_on(shared: Office):
    """With the reason; a word of why is needed."""
    shared.configure(sandbox_approve_command="true")
    anna = shared.person("anna", Role.AUTHOR)
    waits = anna.ask_sandbox("Smith", ["sh", "-c", "rm -r *"])
    with pytest.raises(PlanError):
        shared.gate.reject_sandbox(waits.id, waits.digest, " ")
    assert shared.gate.reject_sandbox(waits.id, waits.digest, "too much").state is State.REJECTED
    with pytest.raises(Rejected) as caught:
        anna.ask_sandbox("Smith", ["sh", "-c", "rm -r *"])
    assert "too much" in caught.value.message


def test_the_approval_of_a_command_runs_out(shared: Office):
    """As that of a plan does."""
    shared.configure(sandbox_approve_command="true")
    anna = shared.person("anna", Role.AUTHOR)
    waits = anna.ask_sandbox("Smith", ["sh", "-c", "true"])
    shared.gate.approve_sandbox(waits.id, waits.digest)
    shared.clock.now += 73 * 3_600_000
    with pytest.raises(Expired):
        list(anna.follow_sandbox(waits.id))
    assert anna.sandbox(waits.id).state is State.EXPIRED


def test_a_command_that_nobody_begins_runs_out_as_well(lab: Office):
    """One whose process died before it began, say: it is not to stand in the way of others for good."""
    asked = lab.gate.ask_sandbox("Smith", ["sh", "-c", "true"])
    assert lab.gate.sandbox(asked.id).state is State.APPROVED
    lab.clock.now += 73 * 3_600_000
    lab.gate.sweep_sandboxes()
    assert [one.id for one in lab.gate.sandboxes([State.EXPIRED])] == [asked.id]


def test_an_image_that_was_made_anew_is_not_what_was_approved(shared: Office, monkeypatch: pytest.MonkeyPatch):
    """What is approved is an image by its id, on the engine that would be taken: a name can be given to another."""
    shared.configure(sandbox_approve_command="true")
    anna = shared.person("anna", Role.AUTHOR)
    monkeypatch.setattr(abilities, "engine", lambda wanted, image: "docker")
    asked = []
    for id in ("sha256:aa", "sha256:bb"):
        monkeypatch.setattr(abilities, "image_id", lambda image, id=id: id)
        asked.append(anna.ask_sandbox("Smith", ["sh", "-c", "true"]))
    assert [(one.engine, one.image) for one in asked] == [("docker", "sha256:aa"), ("docker", "sha256:bb")]
    assert asked[0].digest != asked[1].digest


def test_a_tool_that_changed_since_is_not_what_was_approved(shared: Office):
    """Nothing runs, and it is said why."""
    shared.configure(sandbox_approve_command="true")
    (shared.root / "Tools").mkdir(exist_ok=True)
    (shared.root / "Tools/a.py").write_text("print('looked at')")
    anna = shared.person("anna", Role.AUTHOR)
    waits = anna.ask_sandbox("Smith", ["python3", "/tools/a.py"])
    shared.gate.approve_sandbox(waits.id, waits.digest)
    (shared.root / "Tools/a.py").write_text("print('another')")
    *_, last = anna.follow_sandbox(waits.id)
    assert (last.what.state, last.what.error["code"]) == ("failed", "tools-changed")


def test_a_command_of_somebody_whose_token_ended_never_runs(shared: Office):
    """It has failed then, so that no service tries it again and again."""
    shared.configure(sandbox_approve_command="true")
    shared.put("Smith/a.txt", "one")
    waits = shared.person("anna", Role.AUTHOR).ask_sandbox("Smith", ["sh", "-c", "rm a.txt"])
    shared.gate.approve_sandbox(waits.id, waits.digest)
    shared.gate.revoke_token("anna")
    with pytest.raises(Denied) as caught:
        list(shared.gate.follow_sandbox(waits.id))
    assert caught.value.code == "token-ended"
    (last,) = shared.gate.follow_sandbox(waits.id)
    assert (last.what.state, last.what.error["code"]) == ("failed", "token-ended")
    assert shared.gate.sandbox(waits.id).started_at is None
    assert shared.gate.sandboxes_from(["cli", "http"]) == []


def test_a_change_of_what_commands_may_do_is_noted(lab: Office):
    """Once, whatever else is set."""
    lab.configure(sandbox_direct="true")
    lab.reopen()
    rows = [one for one in lab.gate.core.store.rows(_audit()) if one["event"] == "sandbox-rules"]
    assert len(rows) == 1
    assert "sandbox.direct" in rows[0]["data"]


def _audit():
    from treegate.engine import schema

    return schema.audit.select()


# --- others change the case -------------------------------------------------------------------------------------


def test_what_others_changed_meanwhile_makes_the_plan_stale_at_once(lab: Office):
    """Of what the command touched; whoever refreshes it is told what was changed."""
    lab.put("Smith/a.txt", "one")
    running_ = lab.gate.run("Smith", ["sh", "-c", "echo go; sleep 1; echo mine > a.txt"])
    events = []
    for event in running_:
        events.append(event)
        if isinstance(event.what, Output):
            lab.put("Smith/a.txt", "theirs", mtime=time.time_ns())
    done = events[-1].what
    assert done.plan_state == "stale"
    with pytest.raises(Stale):
        lab.gate.approve(done.plan, done.digest)
    again = lab.gate.refresh(done.plan)
    assert [one.code for one in again.problems] == ["sandbox-changed"]
    assert again.state == "pending"


@pytest.mark.parametrize("view", ["overlay", "copy"])
@pytest.mark.parametrize(
    "script",
    ["echo new >> A/sub/f", "rm A/sub/f", "mv A/sub/f x", "chmod 600 A/sub/f", "touch A/sub/g", "cp -p A/sub/f x"],
)
def test_a_folder_that_others_swap_before_the_preview_makes_the_plan_stale(
    lab: Office, monkeypatch: pytest.MonkeyPatch, script: str, view: str
):
    """Further up, so that nothing of what was touched tells of it by its dates; nothing is done to what is there."""
    lab.configure(sandbox_direct="true")
    order = ordering.order_of
    monkeypatch.setattr(ordering, "order_of", lambda *given: msgspec.structs.replace(order(*given), view=view))
    for name in "AB":
        lab.put(f"Smith/{name}/sub/f", name * 100)
    for event in lab.open().run("Smith", ["sh", "-c", script], direct=True):
        if isinstance(event.what, Captured):
            assert event.what.changed == ()
            for source, target in (("A", "T"), ("B", "A"), ("T", "B")):
                os.rename(lab.path(f"Smith/{source}"), lab.path(f"Smith/{target}"))
    assert (event.what.plan_state, event.what.run) == ("stale", "")
    assert lab.path("Smith/A/sub/f").read_text() == "B" * 100


# --- direct -----------------------------------------------------------------------------------------------------


@pytest.fixture
def direct(lab: Office) -> Office:
    """One in which what a command did may be applied at once."""
    lab.configure(sandbox_direct="true")
    return lab


def test_direct_is_refused_unless_policy_allows_it(lab: Office):
    with pytest.raises(Denied) as caught:
        sh(lab.gate, "touch x", direct=True)
    assert caught.value.code == "direct-not-allowed"
    assert not lab.path("Smith/x").exists()


def test_direct_applies_at_once_under_an_approval_that_names_the_policy(direct: Office):
    """In the receipt, too; and undo takes it back."""
    direct.put("Smith/a.txt", "one")
    ran = sh(direct.gate, "mv a.txt b.txt", direct=True)
    assert (ran.done.plan_state, direct.path("Smith/b.txt").read_text()) == ("applied", "one")
    receipt = direct.gate.applied(ran.done.run).receipt
    assert [one.reviewer for one in receipt.approved_by] == ["policy: sandbox.direct"]
    direct.undone()
    assert direct.path("Smith/a.txt").read_text() == "one"
    direct.sound()


@pytest.mark.parametrize(
    "script", ["touch x; exit 1", "touch x; sleep 60"], ids=["failed", "ended by the time limit"]
)
def test_what_is_perhaps_half_done_is_never_applied_directly(direct: Office, script: str):
    """It waits as any other plan, and it is said why."""
    ran = sh(direct.gate, script, direct=True, timeout=1.5)
    assert (ran.done.plan_state, ran.done.error["code"]) == ("pending", "not-applied-directly")
    assert not direct.path("Smith/x").exists()


def test_a_rule_that_asks_for_somebody_is_not_got_around(direct: Office):
    """Direct stands for the base requirement alone."""
    text = '[[policy.approval.rule]]\nname = "deletions"\nwhen = { deletes = ">0" }\nrequired = 1\n'
    config = direct.state / "treegate.toml"
    config.write_text(config.read_text() + text)
    direct.reopen()
    direct.put("Smith/a.txt", "one")
    ran = sh(direct.gate, "rm a.txt", direct=True)
    assert ran.done.plan_state == "pending"
    assert "deletions" in ran.done.error["message"]
    assert sh(direct.gate, "touch y", direct=True).done.plan_state == "applied"


def test_what_somebody_did_whose_token_ended_meanwhile_is_not_applied(direct: Office):
    """Begun with one that held: what it did waits, as any other plan."""
    olga = direct.person("olga", Role.ADMIN)
    events = []
    for event in olga.run("Smith", ["sh", "-c", "echo go; sleep 0.5; touch x"], direct=True):
        events.append(event)
        if isinstance(event.what, Output):
            direct.gate.revoke_token("olga")
    done = events[-1].what
    assert (done.plan_state, done.error["code"]) == ("pending", "not-applied-directly")
    assert "token of olga" in done.error["message"]
    assert not direct.path("Smith/x").exists()


def test_a_limit_that_is_passed_keeps_it_from_being_applied(direct: Office):
    """The plan is invalid, as if it had been handed in."""
    direct.configure(policy_limits_deletes="1")
    for name in "abc":
        direct.put(f"Smith/{name}", name)
    ran = sh(direct.gate, "rm a b c", direct=True)
    assert ran.done.plan_state == "invalid"
    assert direct.path("Smith/a").exists()


def test_what_policy_approved_counts_only_while_it_still_says_so(direct: Office):
    """Taken back before the run, it lapses."""
    paused = landing.runs.apply

    def refuse(core, plan):
        raise Busy("not now", code="paused")

    landing.runs.apply = refuse
    try:
        ran = sh(direct.gate, "touch x", direct=True)
    finally:
        landing.runs.apply = paused
    assert ran.done.plan_state == "approved"
    direct.configure(sandbox_direct="false")
    with pytest.raises(Denied) as caught:
        direct.gate.apply(ran.done.plan)
    assert caught.value.code == "approval-lapsed"


# --- crashes ----------------------------------------------------------------------------------------------------


def die(*_: object, **__: object) -> None:
    os._exit(77)


def lost(office: Office) -> State:
    (found,) = office.open().sandboxes()
    return found.state


def test_a_command_whose_process_died_is_lost_and_nothing_is_left(lab: Office):
    """Told to whoever looks, noted once, its scratch cleared; the case is untouched."""
    lab.put("Smith/a.txt", "one")
    before = lab.tree("Smith")
    lab.crash(lambda gate: sh(gate, "rm a.txt; echo go; sleep 30"), (running._Run, "_note", _dies_at_output))
    assert lost(lab) is State.LOST
    assert lab.tree("Smith") == before
    assert "ran on:    bwrap" in report(lab)
    (folder,) = (lab.state / "sandboxes").iterdir()
    assert not (folder / "scratch").exists()
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(lab.state) not in mounts
    assert sh(lab.open(), "ls").out == "a.txt\n"


def _dies_at_output(self, what):
    if isinstance(what, Output):
        os._exit(77)
    return self._events.add(what, self._core.clock())


def test_a_crash_after_the_plan_is_stored_loses_nothing(lab: Office):
    """The command has ended by then, in the same transaction."""
    lab.crash(lambda gate: sh(gate, "touch x"), (landing, "finished", die))
    (found,) = lab.open().sandboxes()
    assert found.state is State.ENDED
    assert lab.open().show(found.plan).plan.state == "pending"
    assert lab.open().sandbox_outcome(found.id).plan == found.plan
    assert [type(one.what) for one in lab.open().sandbox_events(found.id)][-1] is Captured


def test_a_crash_in_a_direct_run_recovers_like_any_run(direct: Office):
    """Forward or back, by its journal; the command itself has ended."""
    from treegate.engine import apply as applying

    direct.put("Smith/a.txt", "one")
    direct.crash(lambda gate: sh(gate, "mv a.txt b.txt", direct=True), (applying, "run", die))
    (found,) = direct.open().sandboxes()
    assert found.state is State.ENDED
    direct.open().recover()
    left = {path.name for path in direct.path("Smith").iterdir()}
    assert left in ({"a.txt"}, {"b.txt"})


def test_what_ended_long_ago_is_swept(lab: Office):
    """With what the vault keeps: its output is gone, and what became of it is still known."""
    ran = sh(lab.gate, "echo x")
    lab.gate.sweep_sandboxes()
    assert (lab.state / "sandboxes" / ran.done.id / "events").exists()
    lab.clock.now += 91 * 86_400_000
    lab.gate.sweep_sandboxes()
    assert list((lab.state / "sandboxes").iterdir()) == []
    assert lab.gate.sandbox(ran.done.id).status == 0


# --- what others change after the command, and before anybody has looked ----------------------------------------


@pytest.mark.parametrize(
    ("script", "theirs"),
    [
        ("echo mine > a.txt", "a.txt"),
        ("mv a.txt z.txt", "a.txt"),
        ("rm -r sub", "sub/b.txt"),
        ("chmod 600 a.txt", "a.txt"),
        ("cp a.txt copy.txt", "a.txt"),
        ("mv sub else; chmod 600 else/b.txt", "sub/b.txt"),
    ],
)
def test_what_others_change_before_the_plan_is_previewed_makes_it_stale(
    lab: Office, monkeypatch: pytest.MonkeyPatch, script: str, theirs: str
):
    """The runner has looked by then; who waits for the case's lock may wait for long."""
    lab.put("Smith/a.txt", "old")
    lab.put("Smith/sub/b.txt", "old")
    lab.put("Smith/left.txt", "old")
    real = landing.problems_of

    def meddle(*given):
        lab.put(f"Smith/{theirs}", "others'")
        lab.put("Smith/left.txt", "others', and of no matter")
        return real(*given)

    monkeypatch.setattr(landing, "problems_of", meddle)
    ran = sh(lab.gate, script)
    shown = lab.gate.show(ran.done.plan)
    assert shown.plan.state == "stale"
    assert (lab.root / "projects/Smith" / theirs).read_text() == "others'"
    monkeypatch.undo()
    assert f"Smith/{theirs}" in str(lab.gate.refresh(ran.done.plan).problems)


def test_nothing_that_others_leave_alone_makes_a_plan_stale(lab: Office):
    lab.put("Smith/a.txt", "old")
    assert lab.gate.show(sh(lab.gate, "mv a.txt b.txt; echo new > c.txt").done.plan).plan.state == "pending"


def test_what_others_changed_is_not_crowded_out(lab: Office, monkeypatch: pytest.MonkeyPatch):
    """However much else there is to say of a plan."""
    monkeypatch.setattr(landing, "_MOST", 3)
    lab.put("Smith/a.txt", "old")
    real = landing.problems_of

    def meddle(*given):
        lab.put("Smith/a.txt", "others'")
        return real(*given)

    monkeypatch.setattr(landing, "problems_of", meddle)
    ran = sh(lab.gate, "echo mine > a.txt; for n in 1 2 3 4 5; do mkfifo f$n; done")
    assert next(iter(origins.found(lab.gate.core, ran.done.plan))).code == "sandbox-changed"


def test_tools_are_seen_whatever_the_umask(lab: Office):
    """As a service has it: whoever made the copies, the command's user may read them, in folders, too."""
    (lab.root / "Tools/lib").mkdir(parents=True, exist_ok=True)
    (lab.root / "Tools/lib/a.sh").write_text("echo deep")
    before = os.umask(0o077)
    try:
        assert sh(lab.gate, "sh /tools/lib/a.sh; cat /etc/passwd | grep -c sandbox").out == "deep\n1\n"
    finally:
        os.umask(before)


def test_a_revised_plan_does_not_say_that_it_came_of_the_command(lab: Office):
    """What stands in it is somebody's own by then; a plan that is only previewed anew still does."""
    lab.put("Smith/a.txt", "old")
    made = sh(lab.gate, "mv a.txt b.txt").done.plan
    lab.gate.refresh(made)
    assert lab.gate.show(made).preview.origin is not None
    lab.gate.revise(made, b'{"version":1,"case":"Smith","operations":[{"op":"delete","path":"a.txt"}]}')
    assert lab.gate.show(made).preview.origin is None
