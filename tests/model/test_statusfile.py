"""Claims of `treegate.model.statusfile`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from treegate.errors import UsageError
from treegate.model import statusfile
from treegate.model.statusfile import Status

DIGEST = "3f" * 32
ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)


def test_what_is_written_says_nothing_until_somebody_changes_it():
    """A file as treegate writes it names the digest, and decides nothing."""
    status = statusfile.read(statusfile.write("pending", DIGEST, ["a note: approved"]))
    assert status == Status(word="pending", digest=DIGEST)
    assert not status.decides


@pytest.mark.parametrize("word", statusfile.WORDS)
def test_a_person_changes_the_first_word_and_fills_in_by(word: str):
    """The three words count."""
    text = statusfile.write("pending", DIGEST).decode().replace("pending", word, 1).replace("by:", "by: Rita Gómez")
    status = statusfile.checked(statusfile.read(text.encode()))
    assert (status.word, status.digest, status.by, status.decides) == (word, DIGEST, "Rita Gómez", True)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfApproved\r\ndigest: abc\r\nby: rita\r\ncomment:\r\n",
        b"\n\n# a note\nAPPROVED.\n  Digest : abc\nBY:rita\n",
        b"approved, yes\ndigest: abc\nby: rita",
        b"approved\rdigest: abc\rby: rita\r",
    ],
)
def test_editors_of_other_systems_and_other_hands_are_understood(data: bytes):
    """Line ends, a BOM, capitals, a full stop, notes and empty lines do not matter."""
    assert statusfile.checked(statusfile.read(data)) == Status(word="approved", digest="abc", by="rita")


def test_changes_requested_may_have_an_underscore():
    """Nobody is sent away for that."""
    assert statusfile.read(b"changes_requested\nby: x\n").word == "changes-requested"


def test_a_comment_may_go_on_over_lines():
    """What stands below it belongs to it, up to the next key or a note."""
    status = statusfile.read(b"rejected\nby: rita\ncomment: too much\n  at once\n\nsplit it\n# note\ndigest: abc\n")
    assert (status.comment, status.digest) == ("too much\nat once\n\nsplit it", "abc")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "status-unreadable"),
        (b"\n\n# only notes\n", "status-unreadable"),
        (b"\xff\xfe", "status-unreadable"),
        (b"approved\n" + b"x" * statusfile.MOST, "status-unreadable"),
        (b"yes\nby: rita\n", "status-unknown-word"),
        (b"genehmigt\nby: rita\n", "status-unknown-word"),
        ("аpproved\nby: rita\n".encode(), "status-unknown-word"),  # the first letter is Cyrillic
        (b"approved\nby:\n", "status-by-missing"),
    ],
)
def test_what_decides_nothing_is_told_why(data: bytes, code: str):
    """A code for each, and a hint."""
    with pytest.raises(UsageError) as refused:
        statusfile.checked(statusfile.read(data))
    assert refused.value.code == code
    assert refused.value.hint


@given(st.binary(max_size=300))
@example(b",")
def test_whatever_is_in_the_file_is_read_or_refused(data: bytes):
    """No content makes anything but a status or a UsageError."""
    with suppress(UsageError):
        assert statusfile.read(data).word


@given(word=st.sampled_from(statusfile.WORDS), by=ONE_LINE, comment=ONE_LINE)
def test_what_a_person_fills_in_is_what_is_read(word: str, by: str, comment: str):
    """Any name, any comment; but a note is none."""
    text = f"{word}\ndigest: {DIGEST}\nby: {by}\ncomment: {comment}\n"
    status = statusfile.read(text.encode())
    assert (status.word, status.digest, status.by, status.comment) == (word, DIGEST, by.strip(), comment.strip())
