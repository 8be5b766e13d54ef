"""What `import treegate` promises: open, check, the types and the errors, with type information."""

from __future__ import annotations

import inspect
from importlib.resources import files
from pathlib import Path

import pytest

import treegate
from treegate import errors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    case = tmp_path / "Smith"
    (case / "Notes").mkdir(parents=True)
    (case / "Notes/todo.txt").write_text("call the court\n")
    return case


def plan(*operations: dict[str, object]) -> dict[str, object]:
    return {"version": 1, "operations": list(operations)}


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every entry below a folder, with times and content."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in root.rglob("*")
    }


@pytest.mark.parametrize("name", treegate.__all__)
def test_every_public_name_is_there(name: str):
    """What `__all__` lists can be imported."""
    assert getattr(treegate, name) is not None


def test_every_error_is_public():
    """Whoever catches an error finds its class at the top."""
    classes = {name for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, Exception)}
    assert classes <= set(treegate.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """A typing mistake is not hidden by the lazy import."""
    with pytest.raises(AttributeError, match="opne"):
        treegate.opne  # noqa: B018


def test_types_ship_with_the_package():
    """Type checkers of other projects read ours (PEP 561)."""
    assert files("treegate").joinpath("py.typed").is_file()


def test_check_previews_any_folder_and_writes_nothing(folder: Path):
    """`treegate.check` needs no workspace and leaves none."""
    before = snapshot(folder.parent)
    preview = treegate.check(plan({"op": "move", "from": "Smith/Notes/todo.txt", "to": "Smith/Done/"}), folder)
    assert isinstance(preview, treegate.Preview)
    assert preview.valid
    assert (preview.counts.moved, preview.counts.made) == (1, 1)
    assert snapshot(folder.parent) == before


def test_check_finds_what_is_wrong(folder: Path):
    """Problems are values of the preview, with a repair where there is one."""
    preview = treegate.check(plan({"op": "move", "from": "Smith/Notes/tdoo.txt", "to": "Smith/Done/"}), folder)
    assert not preview.valid
    (found,) = preview.problems
    assert (found.code, found.operation) == ("source-missing", 1)
    assert found.suggestion == {"op": "move", "from": "Smith/Notes/todo.txt", "to": "Smith/Done/"}


def test_check_takes_text_bytes_and_objects(folder: Path):
    """One plan in three forms has one plan digest."""
    text = '{"version": 1, "case": "Smith", "operations": [{"op": "delete", "path": "Notes/todo.txt"}]}'
    case = {"version": 1, "case": "Smith", "operations": [{"op": "delete", "path": "Notes/todo.txt"}]}
    digests = {treegate.check(form, folder).plan_digest for form in (text, text.encode(), case)}
    assert digests == {treegate.Plan.decode(text).digest}


def test_what_is_not_a_plan_is_a_plan_error(folder: Path):
    """A malformed document raises, with its problems listed."""
    with pytest.raises(treegate.PlanError) as raised:
        treegate.check('{"version": 1, "operations": [{"op": "move", "source": "a", "to": "b"}]}', folder)
    assert [found.code for found in raised.value.problems] == ["near-miss"]


def test_open_gives_the_gate_of_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The loop from Python: submit, approve by digest, apply, undo."""
    monkeypatch.setenv("TREEGATE_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("TREEGATE_TOKEN", raising=False)
    case = tmp_path / "ws/projects/Smith"
    case.mkdir(parents=True)
    (case / "a.txt").write_text("a")
    treegate.Gate.init(tmp_path / "ws", solo=True).close()
    with treegate.open(tmp_path / "ws") as gate:
        before = snapshot(case)
        done = gate.submit('{"version":1,"case":"Smith","operations":[{"op":"move","from":"a.txt","to":"b.txt"}]}')
        gate.approve(done.id, done.digest)
        applied = gate.apply(done.id)
        assert isinstance(applied.receipt, treegate.Receipt)
        assert [path.name for path in case.iterdir()] == ["b.txt"]
        undo = gate.undo(applied.run).submitted
        gate.approve(undo.id, undo.digest)
        gate.apply(undo.id)
        assert snapshot(case) == before


def test_open_refuses_what_is_no_workspace(tmp_path: Path):
    """An unmounted bucket looks like an empty folder: nothing is opened there."""
    with pytest.raises(treegate.NotFound) as raised:
        treegate.open(tmp_path)
    assert raised.value.code == "marker-missing"
