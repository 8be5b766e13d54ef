"""engine.projections: a content of several places is in each of them, whatever becomes of the first meanwhile."""

from __future__ import annotations

import errno
import os

import pytest

from treegate.engine import projections
from treegate.engine.projections import Projection

PLACES = [("a", "x"), ("b", "x"), ("c", "y")]


@pytest.fixture
def brought(tmp_path):
    """Brings a content to its places, and stops after each; the folder that they are in, and what is told."""

    def bring(text):
        return projections.bring(tmp_path, Projection(PLACES, lambda: [text]))

    return tmp_path, bring


def contents(root):
    return [root.joinpath(*place).read_bytes() for place in PLACES]


def test_it_is_one_file_at_all_of_them(brought):
    """Written once; and where it is as it should be, nothing is told."""
    root, bring = brought
    assert [(found.place, found.error) for found in bring(b"one")] == [(place, None) for place in PLACES]
    assert contents(root) == [b"one"] * 3
    assert len({root.joinpath(*place).stat().st_ino for place in PLACES}) == 1
    assert list(bring(b"one")) == []


@pytest.mark.parametrize("put", [None, b"a stranger's"])
def test_the_others_have_it_though_the_first_goes(brought, put):
    """What somebody puts in its place is given to nobody, and is not taken for it."""
    root, bring = brought
    told = bring(b"one")
    assert next(told).error is None
    root.joinpath(*PLACES[0]).unlink()
    if put is not None:
        root.joinpath(*PLACES[0]).write_bytes(put)
    assert [(found.place, found.error) for found in told] == [(place, None) for place in PLACES[1:]]
    assert [root.joinpath(*place).read_bytes() for place in PLACES[1:]] == [b"one"] * 2


def test_a_strangers_file_that_has_the_number_of_the_first_is_not_taken_for_it(brought):
    """The first goes, and its inode is used again: as if it were, by a second name."""
    root, bring = brought
    list(bring(b"old"))
    told = bring(b"new")
    next(told)
    os.rename(root.joinpath(*PLACES[0]), root / "elsewhere")
    root.joinpath(*PLACES[1]).unlink()
    os.link(root / "elsewhere", root.joinpath(*PLACES[1]))
    (root / "elsewhere").write_bytes(b"a stranger's")
    list(told)
    assert [root.joinpath(*place).read_bytes() for place in PLACES[1:]] == [b"new"] * 2


def test_without_a_handle_to_be_had_each_is_written(brought, monkeypatch):
    """Nothing is told as an error that was done."""
    root, bring = brought

    def none_left(fd):
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(projections.os, "dup", none_left)
    assert [found.error for found in bring(b"one")] == [None] * 3
    assert contents(root) == [b"one"] * 3
