"""The signing key: made once, noticed when damaged, and what it signs cannot be changed unseen."""

import string
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from treegate.engine import keys
from treegate.errors import NotVerified


def test_what_was_signed_verifies_and_nothing_else_does(tmp_path):
    key = keys.create(tmp_path)
    signature = key.sign(b"receipt")
    key.verify(b"receipt", signature)
    keys.verify(key.public, b"receipt", signature)
    for data, said in ((b"receipt!", signature), (b"receipt", key.sign(b"other")), (b"receipt", "ed25519:AAAA")):
        with pytest.raises(NotVerified) as caught:
            key.verify(data, said)
        assert (caught.value.code, caught.value.exit_status) == ("signature-invalid", 10)


@pytest.mark.parametrize("signature", ["", "ed25519:", "rsa:AAAA", "ed25519:ä", "ed25519:***", "no colon"])
def test_what_is_no_signature_at_all_does_not_verify(tmp_path, signature):
    with pytest.raises(NotVerified):
        keys.create(tmp_path).verify(b"x", signature)


def test_a_signature_has_one_spelling(tmp_path):
    """The last letter of base 64 holds bits that say nothing; found by fuzzing checkpoints."""
    key = keys.create(tmp_path)
    signature = key.sign(b"x")
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    for letter in set(alphabet) - {signature[-3]}:
        with pytest.raises(NotVerified):
            key.verify(b"x", f"{signature[:-3]}{letter}==")


def test_another_installation_s_signature_does_not_verify(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    theirs = keys.create(tmp_path / "b").sign(b"x")
    with pytest.raises(NotVerified):
        keys.create(tmp_path / "a").verify(b"x", theirs)


def test_the_key_is_made_once_and_loaded_ever_after(tmp_path):
    first = keys.create(tmp_path)
    assert keys.create(tmp_path).public == keys.load(tmp_path).public == first.public
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_processes_that_make_it_at_once_get_the_same_key(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        assert len(set(pool.map(public, [tmp_path] * 16))) == 1


def public(state):
    return keys.create(state).public


def test_a_missing_key_is_said_to_be_missing_and_is_not_replaced(tmp_path):
    with pytest.raises(NotVerified) as caught:
        keys.load(tmp_path)
    assert (caught.value.code, caught.value.exit_status) == ("key-missing", 10)
    assert "backup" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe\x00", b"ed25519 AAAA AAAA\n", b"a b c d", b"\0" * 100])
def test_a_damaged_key_is_said_to_be_damaged_and_is_not_replaced(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    for use in (keys.load, keys.create):
        with pytest.raises(NotVerified) as caught:
            use(tmp_path)
        assert caught.value.code == "key-damaged"
    assert (tmp_path / "key").read_bytes() == content


def test_no_changed_character_gives_another_key(tmp_path):
    """Every character of the file changed in turn: it is refused, or (in padding or space) it is the same key."""
    key, path = keys.create(tmp_path), tmp_path / "key"
    whole, refused = path.read_bytes(), 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            found = keys.load(tmp_path).public
        except NotVerified:
            refused += 1
        else:
            assert found == key.public
    assert refused >= len(whole) - 5


def test_the_cryptography_is_loaded_only_when_a_key_is_used():
    check = "import sys, treegate.engine.keys; assert 'cryptography' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
