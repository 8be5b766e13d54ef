"""The list of cases: each looked at only if it is asked for, and known by its exact name."""

import os

import pytest

from treegate.engine import caselist
from treegate.engine.caselist import Away, CaseList, Unreadable


def listed(folder, hidden=()):
    return CaseList(folder, hidden, lambda: folder.stat().st_dev)


@pytest.fixture
def projects(tmp_path):
    for name in ("Smith", "Jones", "Reports"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("no case")
    (tmp_path / "link").symlink_to("Smith")
    return tmp_path


def test_folders_are_cases_and_nothing_else_is(projects):
    cases = listed(projects, {"Reports"})
    assert dict(cases) == {"Smith": "", "Jones": ""}
    assert len(cases) == 2
    for name in ("Reports", "notes.txt", "link", "", ".", "..", "Smith/x", "nobody"):
        assert name not in cases


def test_one_that_is_asked_for_costs_one_look_however_many_there_are(projects, monkeypatch):
    for n in range(100):
        (projects / f"case-{n}").mkdir()
    looks = []
    monkeypatch.setattr(caselist.os, "lstat", lambda path, real=os.lstat: looks.append(path) or real(path))
    cases = listed(projects)
    assert cases["case-7"] == cases["case-7"] == ""
    assert looks == [projects / "case-7"]


def test_a_filesystem_that_finds_a_case_by_another_spelling_does_not_make_that_a_case(projects, monkeypatch):
    """As one that ignores upper and lower case does: lstat(2) finds it there."""
    monkeypatch.setattr(caselist.os, "lstat", lambda path: os.stat(projects / "Smith"))
    cases = listed(projects)
    assert "Smith" in cases
    assert "SMITH" not in cases


def test_what_goes_while_one_looks_is_no_case(projects):
    cases = listed(projects)
    (projects / "Jones").rmdir()
    assert "Jones" not in cases
    assert "Jones" not in set(cases)


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path):
    with pytest.raises(Away) as told:
        listed(tmp_path / "gone")
    assert told.value.code == "projects-missing"


def test_one_that_cannot_be_read_too(projects, monkeypatch):
    cases = listed(projects)

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(caselist.os, "lstat", refused)
    with pytest.raises(Unreadable):
        cases.get("Smith")


def test_who_lists_them_does_not_mind_that_another_thread_asks_for_one(projects):
    cases = listed(projects)
    for case in cases:
        assert "nobody" + case not in cases
