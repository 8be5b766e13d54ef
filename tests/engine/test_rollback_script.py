"""rollback.sh brings the tree back byte for byte, or does nothing and says why."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rollback_scene import RUN, by_chance, everything
from rollback_scene import Scene as NewScene

from treegate.engine.rollback import written

SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell.split()[0]), reason=f"needs {shell}"))
    for shell in ("dash", "busybox sh", "bash")
]
# Counts the calls of the tools it stands for, and kills the script before or after one of them.
KILLER = """
n=$(($(cat "$COUNT") + 1)); echo $n >"$COUNT"
[ "$n.before" != "$KILL" ] || kill -9 $PPID
case ${0##*/} in sync) ;; *) "/usr/bin/${0##*/}" "$@" ;; esac; status=$?
[ "$n.after" != "$KILL" ] || kill -9 $PPID
exit $status"""


@pytest.fixture
def scene(tmp_path):
    return everything(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_brings_every_kind_of_change_back(scene, shell):
    """Swap, cycle, chain, inversion, folder moves, deletions, replacement, new entries, settings: all undone."""
    assert scene.after != scene.before
    done = scene.undo(shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.picture() == scene.before
    assert {row[0] for row in scene.data()} >= {"c", "x", "s", "d", "l", "m", "v", "p"}


def test_needs_only_what_busybox_has(scene):
    """With the tools of busybox alone all comes back, times to the second, and it says so."""
    if not (busybox := shutil.which("busybox")):
        pytest.skip("needs busybox")
    tools = scene.tools(sync="exit 0")
    for tool in tools.iterdir():
        if tool.name != "sync":
            tool.unlink()
            tool.symlink_to(busybox)
    done = scene.undo("busybox sh", tools)
    assert done.returncode == 0, done.stderr
    assert "exact to the second only" in done.stdout
    found = scene.picture()
    kind, mode, digest, mtime = found.pop(b"dated")
    was = scene.before.pop(b"dated")
    assert ((kind, mode, digest), mtime) == (was[:3], was[3] // 10**9 * 10**9)
    assert found == scene.before


def test_needs_no_stat(scene):
    """Where there is no `stat`, `ls` tells inode and size."""
    done = scene.undo(tools=scene.tools(without=("stat",), sync="exit 0"))
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.picture() == scene.before


def test_notices_a_change_without_stat(scene):
    (scene.case / "n4").write_text("another size altogether")
    refused = scene.undo(tools=scene.tools(without=("stat",), sync="exit 0"))
    assert refused.returncode == 1
    assert "./projects/Case/n4 is another one now, or was changed" in refused.stderr


@pytest.mark.parametrize("seed", range(30))
def test_any_run_comes_back(tmp_path, seed):
    """Whatever a run did to a small tree, the script undoes it."""
    scene = by_chance(tmp_path, seed)
    done = scene.undo()
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.picture() == scene.before


@pytest.mark.faults
@pytest.mark.parametrize("block", range(10))
def test_any_run_comes_back_at_length(tmp_path, block):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        (tmp_path / str(seed)).mkdir()
        scene = by_chance(tmp_path / str(seed), seed)
        assert scene.undo().returncode == 0, seed
        assert scene.picture() == scene.before, seed
        shutil.rmtree(tmp_path / str(seed))


# -- names

NAMES = {
    "newline": b"line\nbreak",
    "newline at the end": b"ends\n",
    "newlines at the end": b"ends\n\n",
    "only a newline": b"\n",
    "tab": b"a\tb",
    "space at both ends": b" a ",
    "single quote": b"it's",
    "double quote": b'say "no"',
    "leading dash": b"-rf",
    "command": b"$(touch pwned)`touch pwned`;touch pwned",
    "backslash": b"back\\slash\\0101\\c\\",
    "glob": b"*?[a-z]",
    "test operators": b"(",
    "percent": b"%s%n%%",
    "not UTF-8": b"caf\xe9\xff",
    "UTF-8": "Müller – 日本".encode(),
    "every byte": bytes(set(range(1, 256)) - {0x2F}),
    "long": b"x" * 255,
}


@pytest.mark.parametrize("shell", SHELLS)
def test_any_name_survives(tmp_path, shell):
    """Every byte a name can have comes through moves, folders and swaps, and nothing in it is ever run."""
    scene = NewScene(tmp_path)
    for name in NAMES.values():
        scene.file(b"from/" + name)
        scene.file(b"gone/" + name)
        scene.file(name + b"/inside/" + name)
    os.mkdir(scene.real(b"to"))
    scene.begin()
    for number, name in enumerate(NAMES.values()):
        scene.move(b"from/" + name, b"to/" + name)
        scene.delete(b"gone/" + name)
        scene.swap(name + b"/inside/" + name, b"to/" + name)
        scene.move(name, b"to/%d" % number)
        scene.make(name, "dir")
    scene.end()
    assert all(
        byte == 0x0A or byte == 0x09 or 0x20 <= byte < 0x7F for byte in (scene.vault / "rollback.data").read_bytes()
    )
    done = scene.undo(shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.picture() == scene.before
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("shell", SHELLS)
def test_any_name_survives_where_files_go_straight(tmp_path, shell):
    """Lines of files that go from one standing folder to another are made all at once, whatever their names."""
    scene = NewScene(tmp_path)
    for name in NAMES.values():
        scene.file(name + b"/from/plain")
        scene.file(name + b"/from/" + name)
        os.makedirs(scene.real(b"to/" + name))
    scene.begin()
    for name in NAMES.values():
        scene.move(name + b"/from/plain", b"to/" + name + b"/plainly")
        scene.move(name + b"/from/" + name, b"to/" + name + b"/" + name)
    scene.end()
    done = scene.undo(shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.picture() == scene.before


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_written_names_are_plain_and_read_back_by_printf(name):
    text = written(name)
    assert text.isascii()
    assert text.decode().isprintable()
    shown = subprocess.run(["dash", "-c", 'printf %b "$1"', "dash", text], capture_output=True, check=True)
    assert shown.stdout == name


# -- what must not be


def _tampered(scene, shell="dash"):
    """The script refuses, names paths, and leaves the tree as it is."""
    found = scene.picture()
    done = scene.undo(shell)
    assert done.returncode == 1, done.stdout
    assert "nothing was done" in done.stderr
    assert scene.picture() == found
    assert not (scene.vault / "undone").exists()
    assert not (scene.vault / "rolled-back").exists()
    return done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_reports_every_path_that_is_off_and_does_nothing(scene, shell):
    """An edited, a missing, another entry of the same name, a taken place: all are named at once."""
    (scene.case / "a").write_text("edited meanwhile: another size")
    (scene.case / "sub/dir/uno").unlink()
    (scene.case / "c1").rename(scene.case / "aside")
    shutil.copy(scene.case / "aside", scene.case / "c1")
    (scene.case / "emptied").mkdir()
    said = _tampered(scene, shell)
    assert "./projects/Case/a is another one now, or was changed" in said
    assert "./projects/Case/sub/dir/uno is not there any more" in said
    assert "./projects/Case/c1 is another one now, or was changed" in said
    assert "./projects/Case/emptied is in the way" in said
    assert "4 of the paths above" in said


def test_a_link_in_place_of_a_folder_is_noticed(scene):
    """Nothing is moved through a link that was put where a folder was."""
    (scene.case / "sub").rename(scene.folder / "elsewhere")
    (scene.case / "sub").symlink_to(scene.folder / "elsewhere")
    assert "./projects/Case/sub is not there any more" in _tampered(scene)


def test_another_kind_is_noticed(scene):
    (scene.case / "n4").unlink()
    (scene.case / "n4").mkdir()
    assert "n4 is not there any more" in _tampered(scene)


def test_a_dangling_link_is_in_the_way(scene):
    (scene.case / "gone").symlink_to("nowhere")
    assert "./projects/Case/gone is in the way" in _tampered(scene)


def test_a_lost_vault_entry_is_noticed(scene):
    entry = next((scene.vault / "entries").iterdir())
    entry.rename(scene.folder / "taken")
    assert f"entries/{entry.name} is not there any more" in _tampered(scene)


def test_something_in_a_place_inside_a_folder_that_moved_is_noticed(scene):
    """A place is looked for in the tree as the run left it, wherever its folder is now."""
    (scene.case / "in/out/file").write_text("new")
    assert "./projects/Case/in/out/file is in the way" in _tampered(scene)


@pytest.mark.parametrize("cut", ["end\n", "p\t"])
def test_cut_off_data_is_refused(scene, cut):
    data = scene.vault / "rollback.data"
    data.write_text(data.read_text().partition(cut)[0])
    assert "cut off" in _tampered(scene)


def test_other_data_is_refused(scene):
    (scene.vault / "rollback.data").write_text("something else\n")
    assert "damaged" in _tampered(scene)


def test_refuses_while_the_run_is_unfinished(scene):
    (scene.ws / ".treegate/runs" / RUN).mkdir()
    assert "unfinished" in _tampered(scene)


def test_a_copied_vault_is_refused(scene):
    """Taken elsewhere, the script does not touch what it finds there."""
    shutil.copytree(scene.vault, scene.folder / "x/y/copy/vault")
    scene.vault = scene.folder / "x/y/copy/vault"
    assert "is not the vault of" in _tampered(scene)


def test_without_stable_inodes_kind_and_size_must_do(tmp_path):
    """Where inode numbers change by themselves a new inode is fine, and another size is not."""
    for name, text, status in (("same", "content of one", 0), ("other", "content of another", 1)):
        (tmp_path / name).mkdir()
        scene = NewScene(tmp_path / name)
        scene.file(b"one")
        scene.begin()
        scene.move(b"one", b"two")
        scene.end(stable=False)
        (scene.case / "two").rename(scene.folder / "kept")
        (scene.case / "two").write_text(text)
        assert scene.undo().returncode == status


def test_settings_changed_since_are_left_alone(scene):
    """A mode or time that is no longer what the run made it is somebody's own."""
    (scene.case / "run.sh").chmod(0o640)
    os.utime(scene.case / "dated", (5, 5))
    done = scene.undo()
    assert done.returncode == 0, done.stderr
    assert "2 modes or times were changed since" in done.stdout
    found = scene.picture()
    assert found[b"run.sh"][1] == 0o640
    assert (found[b"dated"][1], found[b"dated"][3]) == (0o644, 5 * 10**9)


def test_a_setgid_bit_goes_again(tmp_path):
    scene = NewScene(tmp_path)
    os.mkdir(scene.real(b"d"))
    os.chmod(scene.real(b"d"), 0o755)
    scene.begin()
    scene.set(b"d", 0o2775, None)
    scene.end()
    assert scene.undo().returncode == 0
    assert scene.picture() == scene.before


def test_a_new_folder_that_may_not_be_written_to_is_opened_first(tmp_path):
    """What was moved into it has to come out again, also for somebody who is not root."""
    scene = NewScene(tmp_path)
    scene.file(b"one")
    scene.begin()
    number = scene.make(b"closed", "dir", mode=0o500)
    scene.move(b"one", b"closed/one")
    os.chmod(scene.real(b"closed"), 0o500)
    scene.end()
    assert scene.undo().returncode == 0
    assert scene.picture() == scene.before
    assert (scene.vault / f"undone/{number}").stat().st_mode & 0o777 == 0o700


# -- interruptions


def test_run_twice_it_does_nothing_more(scene):
    """The mark tells when it was done; the second time nothing moves."""
    assert scene.undo().returncode == 0
    (scene.case / "later").write_text("work went on")
    found = scene.picture()
    again = scene.undo()
    assert (again.returncode, scene.picture()) == (0, found)
    assert "rolled back already" in again.stdout


def test_nothing_is_deleted(scene):
    """What the run made is in undone/ afterwards, whole."""
    made = {row[2]: row[1] for row in scene.data() if row[0] == "m"}
    assert scene.undo().returncode == 0
    left = {path.name for path in (scene.vault / "undone").iterdir()}
    assert left == {path.rpartition("/")[2] for path in made}
    assert any(path.read_bytes() == b"made for new/deeper/created" for path in (scene.vault / "undone").iterdir()
               if path.is_file())  # fmt: skip


def _killed(scene, kill):
    """Runs the script, killed at a call of a tool; whether it came that far, and how many calls it made."""
    tools = scene.folder / "killers"
    if not tools.exists():
        tools = scene.tools("killers", **dict.fromkeys(["mv", "sync", "chmod", "touch"], KILLER))
    count = scene.folder / "count"
    count.write_text("0\n")
    done = scene.undo(tools=tools, COUNT=str(count), KILL=kill)
    return done.returncode == -9, int(count.read_text())


def _sweep(make: Path, step: int, scene_of):
    calls = _killed(scene_of(make), "")[1]
    for number in range(1, calls + 1, step):
        for when in ("before", "after"):
            folder = make.parent / f"{make.name}-{number}-{when}"
            folder.mkdir()
            scene = scene_of(folder)
            assert _killed(scene, f"{number}.{when}")[0]
            again = scene.undo()
            assert (again.returncode, again.stderr) == (0, ""), f"killed {when} call {number}"
            assert scene.picture() == scene.before, f"killed {when} call {number}"
            shutil.rmtree(folder)
    return calls


def test_killed_anywhere_it_goes_on(tmp_path):
    """Killed before and after some of its calls, it is finished by a second run."""
    (tmp_path / "s").mkdir()
    assert _sweep(tmp_path / "s", 23, everything) > 50


@pytest.mark.faults
def test_killed_at_every_call_it_goes_on(tmp_path):
    """The same at every call, for a run with all kinds of changes and for runs by chance."""
    (tmp_path / "s").mkdir()
    assert _sweep(tmp_path / "s", 1, everything) > 50
    for seed in range(10):
        (tmp_path / str(seed)).mkdir()
        assert _sweep(tmp_path / str(seed), 1, lambda folder, seed=seed: by_chance(folder, seed)) > 0


def test_killed_and_tampered_with_it_still_refuses(scene):
    """Between two runs too everything is looked at before anything is done."""
    assert _killed(scene, "12.after")[0]
    (scene.case / "n4").unlink()
    found = scene.picture()
    done = scene.undo()
    assert (done.returncode, scene.picture()) == (1, found)
    assert "n4 is not there any more" in done.stderr


def test_a_name_taken_in_the_middle_stops_it_and_it_goes_on_later(scene):
    """What comes in the way after the look is never replaced."""
    block = f'[ -e {scene.case}/gone ] || echo mine >{scene.case}/gone; /usr/bin/mv "$@"'
    stopped = scene.undo(tools=scene.tools("block", sync="exit 0", mv=block))
    assert stopped.returncode == 1
    assert "run this again" in stopped.stderr
    assert (scene.case / "gone").read_text() == "mine\n"
    (scene.case / "gone").unlink()
    assert scene.undo().returncode == 0
    assert scene.picture() == scene.before


def test_an_entry_gone_in_the_middle_stops_it(scene):
    """What vanishes after the look is said, and nothing is taken for done."""
    vanish = f'/usr/bin/rm -f {scene.case}/sub/dir/uno; /usr/bin/mv "$@"'
    stopped = scene.undo(tools=scene.tools("vanish", sync="exit 0", mv=vanish))
    assert stopped.returncode == 1
    assert "sub/dir/uno: it is not there" in stopped.stderr
    assert not (scene.vault / "rolled-back").exists()


def test_a_phase_is_on_the_disk_before_the_next_is_noted(scene):
    """Everything is synced before and after each note, and before and after the mark."""
    log = scene.folder / "log"
    note = f"cd {scene.vault}; echo $(ls -d phase.* rolled-back 2>/dev/null) >>{log}"
    assert scene.undo(tools=scene.tools(sync=note)).returncode == 0
    seen = [line.split() for line in log.read_text().splitlines()]
    notes = ["phase.1", "phase.2", "phase.3", "phase.4"]
    expected = [notes[:known] for number in range(4) for known in (number, number + 1)]
    assert seen == [*expected, notes, [*notes, "rolled-back"]]
