"""A journal tells what was made durable, ignores what a power cut tore, and refuses what is damaged."""

import os

import msgspec
import pytest

from treegate.engine import frames, journal, posix
from treegate.engine.journal import Back, Begin, Built, Done, End, Entry, Journal, Upto
from treegate.errors import NotVerified

RUN = "run_1"
BEGIN = Begin(journal.FORMAT, RUN, "t" * 64, "boot", {b"case:A": 7})


@pytest.fixture
def written(tmp_path):
    """A journal of four frames."""
    log = Journal.create(tmp_path, BEGIN, reserve=5000)
    log.append(Built([Entry(3, b"f" * 60, "ab")], True))
    log.append(Upto(10))
    log.append(Done(10), sync=False)
    log.append(Upto(20))
    log.close()
    return tmp_path


def _frames(path, number=1):
    return frames.chained(path.read_bytes(), f"treegate journal {RUN} {number}\n".encode())[0]


def _overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def test_what_was_appended_is_told(written):
    story = journal.read(written, RUN)
    assert (story.begin, story.upto, story.done, story.all_built) == (BEGIN, 20, 10, True)
    assert story.built[3].sha256 == "ab"
    assert not story.back
    assert not story.outcome


def test_no_journal_tells_nothing(tmp_path):
    assert journal.read(tmp_path, RUN).begin is None


def test_a_record_that_rides_is_lost_without_the_next(tmp_path):
    """A `done` needs no sync of its own: losing it only means looking again."""
    log = Journal.create(tmp_path, BEGIN)
    log.append(Done(5), sync=False)
    log.close()
    assert journal.read(tmp_path, RUN).done == 0


def test_space_is_taken_at_the_start(tmp_path):
    """10: a full disk is found before the first step."""
    log = Journal.create(tmp_path, BEGIN, reserve=100_000)
    assert os.stat(tmp_path / "journal.1").st_blocks * 512 >= 100_000
    log.close()


@pytest.mark.parametrize("junk", [b"", b"\0" * 50, b"garbage" * 9, frames.MAGIC + b"\xff" * 40])
@pytest.mark.parametrize("cut", [0, 1, 5, 39])
def test_a_torn_tail_is_ignored(written, junk, cut):
    """6: bad frames with no whole one behind them are ignored, whatever they hold."""
    path = written / "journal.1"
    last = _frames(path)[-1]
    start = last.end - len(last.payload) - frames.HEAD.size
    _overwrite(path, start + cut, (junk + bytes(200))[:200])
    story = journal.read(written, RUN)
    assert (story.upto, story.done) == (10, 0)


def test_every_cut_and_every_flipped_bit_is_torn_or_damaged_never_believed(written):
    """6, 7: a byte changed in the last frame loses it; in an earlier one the journal is refused."""
    path = written / "journal.1"
    data = path.read_bytes()
    ends = [frame.end for frame in _frames(path)]
    for offset in range(ends[-1]):
        path.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        if offset >= ends[-2]:
            assert journal.read(written, RUN).upto == 10
        else:
            with pytest.raises(NotVerified, match="damaged"):
                journal.read(written, RUN)
    for length in range(ends[-1]):
        path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert journal.read(written, RUN).upto == [0, 0, 0, 10][whole]


def test_frames_of_another_run_are_not_taken_for_ours(written):
    """Blocks that a deleted journal left behind may show up in the tail."""
    other = written / "other"
    other.mkdir()
    Journal.create(other, msgspec.structs.replace(BEGIN, run="run_0")).close()
    path = written / "journal.1"
    end = _frames(path)[-1].end
    _overwrite(path, end, (other / "journal.1").read_bytes())
    assert journal.read(written, RUN).upto == 20


def test_a_new_segment_goes_on_and_the_old_one_is_not_written(written):
    before = (written / "journal.1").read_bytes()
    log = Journal.resume(written, RUN, journal.read(written, RUN))
    log.append(Back())
    log.append(End("rolled-back"))
    log.close()
    story = journal.read(written, RUN)
    assert (written / "journal.1").read_bytes() == before
    assert (story.upto, story.back, story.outcome, story.segments) == (20, True, "rolled-back", 2)


def test_a_segment_that_never_got_a_frame_is_skipped(written):
    (written / "journal.2").write_bytes(b"\0" * 100)
    log = Journal.resume(written, RUN, journal.read(written, RUN))
    log.append(Back())
    log.close()
    assert log.number == 3
    assert journal.read(written, RUN).back


def test_a_segment_that_does_not_follow_is_refused(written):
    """7: the end of the segment before it was lost after it had been read."""
    log = Journal.resume(written, RUN, journal.read(written, RUN))
    log.append(Back())
    log.close()
    path = written / "journal.1"
    _overwrite(path, _frames(path)[-2].end - 1, bytes(500))
    with pytest.raises(NotVerified) as caught:
        journal.read(written, RUN)
    assert caught.value.code == "journal-damaged"


def test_after_a_failed_write_a_new_segment_stands_for_the_frame_that_is_in_doubt(written, monkeypatch):
    """Whether that frame reached the disk or not, the successor follows the last that was confirmed."""
    log = Journal.resume(written, RUN, journal.read(written, RUN))
    log.append(Upto(30))
    write = posix.write

    def failing(fd, data):
        write(fd, data)
        raise OSError(28, "no space")

    monkeypatch.setattr(posix, "write", failing)
    with pytest.raises(OSError):
        log.append(Upto(40))
    monkeypatch.undo()
    assert not log.usable
    after = log.successor()
    after.append(Back())
    after.close()
    story = journal.read(written, RUN)
    assert (story.upto, story.back, story.segments) == (30, True, 3)


def test_another_format_is_refused(tmp_path):
    """An upgrade with an unfinished run does not guess."""
    Journal.create(tmp_path, msgspec.structs.replace(BEGIN, format=99)).close()
    with pytest.raises(NotVerified) as caught:
        journal.read(tmp_path, RUN)
    assert caught.value.code == "journal-format"


def story(*records):
    told = journal.Story()
    for record in records:
        told.take(record)
    return told


def test_where_looking_does_not_tell_the_last_word_says_which_step_is_under_way():
    assert story(Upto(4), Upto(5)).window() == (4, 5)
    assert story(Upto(4), Upto(5), journal.Resumed(journal.FORMAT, "boot"), Upto(5)).window() == (4, 5)


def test_on_the_way_back_it_is_the_step_that_was_being_taken_back():
    assert story(Upto(4), Upto(5), Back()).window() == (4, 5)
    told = story(Upto(4), Upto(5), Back(), Upto(4), Upto(3))
    assert told.window() == (3, 4)
    assert told.upto == 5
