"""A table is read as it was sealed, or not at all; forwards, backwards, and in little memory."""

import hashlib
import tracemalloc

import pytest

from treegate.engine import tablefile
from treegate.errors import NotVerified
from treegate.model.table import FORMAT, RENAME, ROOT, Header, Place, Setting, Staged, Step


def rows(steps, settings=0, version=FORMAT):
    yield Header(version, "p", ["A"], [""], 2, 0, 1, steps, settings)
    yield Place(0, ROOT, b"case:A", b"")
    yield Place(1, 0, b"\xff folder", b"f" * 60)
    yield Staged(2, 0, b"2", "file", 1, blob="ab", like=(1, b"x"), mtime=2**60 + 1)
    for n in range(steps):
        yield Step(RENAME, n, b"f" * 60, 2, 0, b"%d" % n, 1, b"%d" % n, True, False)
    for n in range(settings):
        yield Setting(n, 0, b"%d" % n, b"f" * 60, 0o644, None)


@pytest.mark.parametrize("steps", [0, 1, 999, 1000, 1001, 2500])
def test_a_table_comes_back_as_it_was_written(tmp_path, steps):
    digest = tablefile.write(tmp_path / "t", rows(steps, 3))
    assert digest == hashlib.sha256((tmp_path / "t").read_bytes()).hexdigest()
    table = tablefile.read(tmp_path / "t", digest)
    again = [table.header, *table.places, *table.checks, *table.staged, *table.steps(), *table.settings()]
    assert again == list(rows(steps, 3))
    for count in {0, steps // 2, steps}:
        back = [step for chunk in table.chunks_back(count) for step in chunk]
        assert back == list(table.steps())[:count][::-1]


def test_every_changed_byte_and_every_cut_is_found(tmp_path):
    path = tmp_path / "t"
    digest = tablefile.write(path, rows(3))
    data = path.read_bytes()
    for offset in range(0, len(data), 7):
        for other in (data[:offset], data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :]):
            path.write_bytes(other)
            with pytest.raises(NotVerified):
                tablefile.read(path, digest)


def test_a_change_after_it_was_opened_is_found_while_streaming(tmp_path):
    path = tmp_path / "t"
    table = tablefile.read(path, tablefile.write(path, rows(3)))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(NotVerified):
        list(table.steps())


def test_another_format_is_refused(tmp_path):
    digest = tablefile.write(tmp_path / "t", rows(1, version=99))
    with pytest.raises(NotVerified) as caught:
        tablefile.read(tmp_path / "t", digest)
    assert caught.value.code == "table-format"


def test_a_table_that_could_not_be_written_leaves_no_file(tmp_path):
    def failing():
        yield from rows(1)
        raise OSError(28, "no space")

    with pytest.raises(OSError):
        tablefile.write(tmp_path / "t", failing())
    assert list(tmp_path.iterdir()) == []


def peak_of_reading(table):
    tracemalloc.start()
    assert sum(1 for _ in table.steps()) == table.header.steps
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_large_table_is_read_in_little_memory(tmp_path, monkeypatch):
    """What is kept of a small one would be too much of a million steps."""
    monkeypatch.setattr(tablefile, "KEPT", 20_000)
    digest = tablefile.write(tmp_path / "t", rows(30_000))
    table = tablefile.read(tmp_path / "t", digest)
    assert peak_of_reading(table) < 2_000_000
    assert peak_of_reading(table) < 2_000_000


def test_the_steps_of_a_small_table_are_read_once(tmp_path):
    """Under another name of its file they are the same."""
    digest = tablefile.write(tmp_path / "t", rows(3_000))
    table = tablefile.read(tmp_path / "t", digest)
    read = list(table.chunks())
    (tmp_path / "t").unlink()
    assert [id(chunk) for chunk in table.at(tmp_path / "other").chunks()] == [id(chunk) for chunk in read]
    assert [len(chunk) for chunk in read] == [1000, 1000, 1000]


def test_a_run_adopts_its_table(tmp_path):
    digest = tablefile.write(tmp_path / "t", rows(3))
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    path = tablefile.adopt(tmp_path / "t", run)
    assert tablefile.read(path, digest).header.steps == 3
    assert tablefile.adopt(path, run) == path
