"""Whatever is in a file or message, a decoder answers with the value, or with an error that has a code."""

import json
from collections import Counter

import pytest
from decoders import DECODERS
from fuzzing import Decoder, Differs, Opened, fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from overlay_marks import may_be_set
from regressions import REGRESSIONS
from samples import sample

EVERY = pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def _here(decoder, folder):
    if decoder.name == "marks of an overlay" and not may_be_set(folder):
        pytest.skip("needs root, to make the marks of an overlay")


@pytest.fixture(scope="module", autouse=True)
def _samples():
    """Made once, before children are forked that need them."""
    sample()


@EVERY
def test_damage_is_told_or_does_not_matter(decoder, tmp_path):
    """7, 30, 37, 38, 45: what is sealed or signed is the very same or refused; and all that once went wrong."""
    _here(decoder, tmp_path)
    found = fuzz(decoder, 100, inputs=REGRESSIONS.get(decoder.name, ()))
    assert found.wrong == []


@pytest.mark.faults
@EVERY
def test_much_damage_is_told_or_does_not_matter(decoder, tally, tmp_path):
    """7, 30, 37, 38, 45: a hundred times as much."""
    _here(decoder, tmp_path)
    found = fuzz(decoder, 10_000, seed=1)
    assert found.wrong == []
    tally(f"mutated: {decoder.name}", "-", found.outcomes)


@EVERY
def test_what_was_never_a_file_of_its_kind_is_told(decoder, tmp_path):
    """30: bytes and JSON of any shape, many at a time, shrunk to the least that goes wrong."""
    _here(decoder, tmp_path)

    @settings(max_examples=4, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(some.lists(some.binary(max_size=100) | JSON.map(_written), max_size=30))
    def any_input(inputs):
        assert fuzz(decoder, 0, inputs=inputs).wrong == []

    any_input()


def _written(value):
    return json.dumps(value).encode("utf-8", "surrogatepass")


# -- the harness itself


def _broken(feed):
    return fuzz(Decoder("broken", lambda folder: Opened([b'{"a": 1}'], feed)), 200).wrong


def _trusting(data):
    """Accepts whatever it is given, where a digest should keep it out."""
    if data != b'{"a": 1}':
        raise Differs("another value")


def _unguarded(data):
    return data.decode()


def _greedy(data):
    return bytearray(1 << 32) if data[:1] != b"{" else None


def _endless(data):
    return Counter(data) if data[:1] == b"{" else _endless(data)


@pytest.mark.parametrize("feed", [_trusting, _unguarded, _greedy, _endless])
def test_a_broken_decoder_is_caught(feed):
    """The harness can fail: on a value that differs, on another exception, on too much memory, on endless nesting."""
    assert _broken(feed)
