"""engine.receipts: lines that are made or read without decoding say what those would that are decoded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from treegate.engine import receipts
from treegate.model.effects import Effect, tagged
from treegate.model.listing import encode

TRAPS = ('},{"effect":"moved",', '}}\n{"effect":', '"effect":"', '"kind":"dir"', "\\", '"', "\n", "a", "\udcff")
names = some.lists(some.sampled_from(TRAPS), min_size=1, max_size=4).map("".join)
kinds = some.one_of(some.just("moved"), some.sampled_from(["moved", "replaced", "created", "deleted"]))


@some.composite
def effects(draw) -> Effect:
    kind = draw(kinds)
    path, source = tagged(draw(names)), tagged(draw(names)) if kind == "moved" else None
    by = draw(some.sampled_from(["", "move"])) if kind == "replaced" else ""
    return Effect("e1", kind, path, draw(some.sampled_from(["file", "dir"])), source, (1,), 1, 3, by=by, entry=4)


@given(some.lists(effects(), min_size=1, max_size=6))
def test_moves_are_the_lines_that_they_would_be_if_they_were_decoded(each):
    """Whatever is in their names; and what is not a move is not taken for one."""
    found = receipts.moves_as_lines(encode(each))
    if any(effect.effect != "moved" for effect in each):
        assert found is None
    else:
        assert found == b"\n".join(receipts.lines(each, {}, {}, {}))


@given(some.lists(some.tuples(effects(), some.booleans()), min_size=1, max_size=6))
def test_plain_lines_are_those_that_say_nothing_beside_their_effects(each):
    """A line that tells of facts, a digest or another result is noticed wherever it stands."""
    lines = b""
    for effect, more in each:
        facts = {effect.entry: b"facts"} if more else {}
        lines += next(receipts.lines([effect], facts, {}, {})) + b"\n"
    assert receipts.are_plain(lines) == (not any(more for _, more in each))
