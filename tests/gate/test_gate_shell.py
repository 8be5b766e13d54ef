"""Where the shell meets the machine: endless input, full disks, files that are there, characters a terminal obeys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gatework import create, move, plan, replace

from treegate.gate import plans
from treegate.interfaces.cli import cli
from treegate.interfaces.cli.failures import guarded
from treegate.model.actors import Role
from treegate.render import jsons


@pytest.fixture
def shell(office, capsys, monkeypatch):
    """Runs a command on the office: (exit status, stdout, stderr)."""
    for key, value in office.environ.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TREEGATE_WORKSPACE", str(office.root))
    monkeypatch.delenv("TREEGATE_TOKEN", raising=False)

    def run(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = guarded(cli, list(args))
        return (status, *capsys.readouterr())

    return run


def error_of(answer: tuple[int, str, str]) -> dict:
    return json.loads(answer[1])["error"]


# How much is read


def test_an_endless_file_is_read_no_further_than_a_plan_may_be_long(shell, monkeypatch):
    """/dev/zero never ends: plan-too-large (3), for check and submit."""
    monkeypatch.setattr(plans, "MOST_BYTES", 100_000)
    for command in ("check", "submit"):
        answer = shell(command, "/dev/zero", "--json")
        assert (answer[0], error_of(answer)["code"]) == (3, "plan-too-large")


def test_an_endless_pipe_is_read_no_further_either(office):
    """The writer is told that nobody reads on, and the command ends."""
    code = (
        "import sys; from treegate.gate import plans; plans.MOST_BYTES = 100_000;"
        "from treegate.interfaces.cli.failures import guarded; from treegate.interfaces.cli import cli;"
        "sys.exit(guarded(cli, ['check', '-', '--json']))"
    )
    environ = {**office.environ, "TREEGATE_WORKSPACE": str(office.root)}
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
    assert child.stdin is not None

    def feed() -> None:
        try:
            while True:
                child.stdin.write(b" " * 65536)
        except (BrokenPipeError, ValueError):
            return

    feeding = threading.Thread(target=feed, daemon=True)
    feeding.start()
    assert child.stdout is not None
    out = child.stdout.read()
    assert child.wait(60) == 3
    feeding.join(60)
    assert json.loads(out)["error"]["code"] == "plan-too-large"


@pytest.mark.parametrize(
    "args",
    [
        ["list", "--cursor", "99999999999999999999"],
        ["list", "--cursor", "-1"],
        ["list", "--limit", "99999999999999999999"],
        ["list", "--case", "a\0b"],
        ["show", "p" * 10_000],
        ["show", "pl_x", "--effects", "--start", "99999999999999999999"],
        ["undo", "--path", "\0"],
        ["vault", "restore", "run_x", "99999999999999999999"],
        ["check", "x" * 5000],
    ],
)
def test_absurd_arguments_are_refused_in_words(shell, args):
    """No internal error, whatever the number or the name."""
    status, out, _ = shell(*args, "--json")
    assert json.loads(out).get("error", {}).get("code") != "internal", out
    assert status in (0, 2, 3, 9)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("1e999", "not 1e999"), ("1" * 100_000, "not 1111"), ("-0.0001", "not a number with a fraction")],
)
def test_a_number_that_does_not_fit_is_told_as_it_is_written(shell, office, number, shown):
    """However many digits it has."""
    path = office.root / "plan.json"
    path.write_text(f'{{"version":{number},"case":"Smith","operations":[{{"op":"delete","path":"a"}}]}}')
    status, out, _ = shell("check", str(path), "--json")
    assert status == 3
    message = json.loads(out)["error"]["problems"][0]["message"]
    assert shown in message
    assert len(message) < 300


# Full disks


@pytest.fixture
def cramped(tmp_path, mount):
    """An office whose state directory is on a disk of its own, and a function that fills that."""
    from gatework import Office

    room = mount(tmp_path / "room", "-t", "tmpfs", "-o", "size=8m", "none")
    office = Office(tmp_path / "office", room / "state")
    yield office, room / "filler"
    office.close()


def fill(filler: Path) -> None:
    with open(filler, "wb", buffering=0) as file:
        size = 1 << 20
        while size >= 1:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def test_a_full_state_disk_is_said_by_every_command(cramped, capsys, monkeypatch):
    """Exit status 6, where it is full, and what to do; with room again all goes on as if nothing had been."""
    office, filler = cramped
    office.put("Smith/a", "a")
    waiting = office.submit(move("a", "b"))
    document = office.root / "plan.json"
    document.write_text(plan(create("new", "content" * 10_000)))
    office.close()
    for key, value in office.environ.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TREEGATE_WORKSPACE", str(office.root))
    token = office.open().create_token("rita", Role.REVIEWER)[1]
    office.gates.pop().close()
    fill(filler)
    before = office.tree()
    monkeypatch.setenv("TREEGATE_TOKEN", token)
    for args in (["submit", str(document)], ["approve", waiting.id, "--digest", waiting.digest]):
        capsys.readouterr()
        status = guarded(cli, [*args, "--json"])
        error = json.loads(capsys.readouterr().out)["error"]
        assert (status, error["code"] in {"state-disk-full", "disk-full"}) == (6, True), error
        assert str(office.state) in error["message"]
        assert error["hint"]
    assert office.tree() == before
    filler.unlink()
    assert guarded(cli, ["approve", waiting.id, "--digest", waiting.digest]) == 0
    assert office.path("Smith/b").exists()
    office.reopen().recover()
    office.sound()


# What is shown


DECEPTIVE = "a\u202eb\u200bc\u2028d\x7fe\x9bf\U000e0041g"


def test_json_holds_no_character_that_a_terminal_obeys(office, shell):
    """It is escaped, and reads back as the same; in the vault's manifest too."""
    office.put(f"Smith/{DECEPTIVE}", "x")
    office.put("Smith/Müller 東京.txt", "x")
    run = office.carried_out({"op": "delete", "match": "*", "count": 2}).run
    for args in (["show", run], ["vault", "list"], ["list"]):
        _, out, _ = shell(*args, "--json")
        assert [character for character in out.rstrip("\n") if not character.isprintable()] == []
    _, out, _ = shell("vault", "list", "--json")
    assert {entry["path"] for entry in json.loads(out)["entries"]} == {f"Smith/{DECEPTIVE}", "Smith/Müller 東京.txt"}
    assert "Müller 東京" in out
    manifest = (office.root / ".treegate/vault" / run / "manifest.json").read_text()
    assert [character for character in manifest.replace("\n", "") if not character.isprintable()] == []
    assert {line["path"] for line in json.loads(manifest)["entries"]} == {
        f"Smith/{DECEPTIVE}", "Smith/Müller 東京.txt"
    }  # fmt: skip
    assert office.gate.fsck() == []


@pytest.mark.parametrize("text", ["plain", "\x7f", "\\", '"', "\U0001f600", DECEPTIVE, "\\x7f", "é\\"])
def test_escaping_changes_nothing_that_is_read(text):
    """Every character comes back."""
    assert json.loads(jsons.dumps({text: [text]})) == {text: [text]}


def test_an_odd_name_in_a_message_is_escaped_once(office, shell):
    """ESC is shown as \\x1b, not as \\\\x1b: by check, and in the suggestion."""
    office.put("Smith/esc\x1bname.txt", "x")
    document = office.root / "plan.json"
    document.write_text(plan(move("esc\x1bnam.txt", "b.txt"), move("esc\x1bname.txt", "esc\x1bname.txt")))
    _, out, err = shell("check", str(document))
    text = out + err
    assert "\x1b" not in text
    assert "esc\\x1bname.txt" in text
    assert "\\\\" not in text


# What is there stays


def test_a_mended_plan_is_never_written_over_something_else(office, shell):
    """-o names a file that is not there yet; without it, only what an earlier --fix left is replaced."""
    office.put("Smith/letter.txt", "x")
    document = office.root / "plan.json"
    document.write_text(plan(move("leter.txt", "b.txt")))
    before = document.read_bytes()
    answer = shell("check", str(document), "--fix", "-o", str(document), "--json")
    assert answer[0] in (2, 3)
    assert document.read_bytes() == before
    _, _, err = shell("check", str(document), "--fix", "-o", str(document))
    assert "file-exists" in err
    for _ in range(2):
        shell("check", str(document), "--fix")
        assert "letter.txt" in (office.root / "plan.fixed.json").read_text()
    _, _, err = shell("check", str(document), "--fix", "-o", str(office.root / "none/such.json"))
    assert "file-unwritable" in err
    assert sorted(path.name for path in office.root.iterdir() if path.suffix == ".json") == [
        "plan.fixed.json", "plan.json"
    ]  # fmt: skip


def test_the_demo_is_not_told_on_a_workspace_of_ones_own(office, shell):
    """It says so, and touches nothing."""
    office.put("Smith/a", "a")
    before = office.tree()
    answer = shell("demo", str(office.root), "--json")
    assert (answer[0], error_of(answer)["code"]) == (2, "not-the-demo")
    assert office.tree() == before
    assert office.gate.list_plans()[0] == []


def test_doctor_says_by_its_exit_status_that_something_is_wrong(office, shell):
    """10, as fsck does."""
    assert shell("doctor")[0] == 0
    office.state.chmod(0o755)
    assert shell("doctor")[0] == 10
    os.chmod(office.state, 0o700)


def test_what_has_to_go_along_with_an_undone_path_is_said_before_it_is_done(office, shell, monkeypatch):
    """Also with --now."""
    office.put("Smith/a", "a")
    office.put("Smith/b", "b")
    office.put("Smith/c", "c")
    run = office.carried_out(move("a", "t"), move("b", "a"), move("c", "b"), move("t", "c")).run
    monkeypatch.setenv("TREEGATE_TOKEN", office.token("rita", Role.ADMIN))
    status, out, _ = shell("undo", run, "--path", "Smith/a", "--now")
    assert status == 0
    assert out.startswith("has to go along: Smith/b\n")


def test_show_offers_what_can_be_done_with_the_plan_as_it_stands(office, shell):
    """Decide on a waiting one, look at the receipt of an applied one, refresh what is stale."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    assert f"treegate approve {done.id}" in shell("show", done.id)[1]
    office.gate.approve(done.id, done.digest)
    shown = shell("show", done.id)[1]
    assert (f"treegate apply {done.id}" in shown, "treegate approve" in shown) == (True, False)
    run = office.gate.apply(done.id).run
    shown = shell("show", done.id)[1]
    assert (f"treegate show {run}" in shown, "treegate approve" in shown, "treegate reject" in shown) == (
        True, False, False
    )  # fmt: skip
    id = office.approved(replace("b", "new"))
    office.put("Smith/b", "edited")
    assert shell("apply", id)[0] == 5
    assert f"treegate refresh {id}" in shell("show", id)[1]
