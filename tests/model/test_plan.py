"""Plans are read strictly, completely and cheaply; whatever comes in, the answer is a plan or a PlanError."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jsonschema
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as some

from treegate.errors import PlanError
from treegate.model import plan as plans
from treegate.model.operations import Move
from treegate.model.plan import Plan
from treegate.model.problems import MOST_PROBLEMS, Problem

EVERY_OPERATION = [
    {"op": "mkdir", "path": "Pleadings"},
    {
        "op": "move",
        "from": "scan001.pdf",
        "to": "Pleadings/2024-03-01 Complaint.pdf",
        "why": "page 1 is the complaint",
    },
    {"op": "rename", "path": "Notes/todo.txt", "name": "open-points.txt", "if_exists": "number"},
    {"op": "move", "match": "Scans/*.pdf", "except": ["Scans/draft*"], "count": 120, "to": "C/{mtime:%Y} {name}"},
    {"op": "copy", "from": "a", "to": "Binder/01.pdf", "expect": {"size": 3, "sha256": "0" * 64}},
    {"op": "create", "path": "INDEX.md", "content": "# Index\n\u2028é"},
    {"op": "replace", "path": "status.json", "content_base64": "e30K", "mode": "0644"},
    {"op": "create", "path": "big", "blob": "sha256:" + "a" * 64},
    {"op": "delete", "path": "tmp", "recursive": True},
    {"op": "symlink", "path": "latest", "target": "Pleadings"},
    {"op": "set", "path": "run.sh", "mode": "0755", "mtime": "2024-03-01T09:00:00.000000001Z"},
    {"op": "restore", "run": "run_7f3k", "entry": 12, "to": "tmp"},
    {"op": "move", "from": "a%FF", "to": "b", "raw": True},
]


def document(*operations: Any, **head: Any) -> dict[str, Any]:
    return {"version": 1, "case": "Smith", **head, "operations": list(operations)}


def refused(text: Any) -> list[Problem]:
    """The problems of what is not a plan; every one has a hint."""
    with pytest.raises(PlanError) as caught:
        Plan.decode(text if isinstance(text, bytes | str) else json.dumps(text))
    found = caught.value.problems
    assert all(isinstance(each, Problem) and each.hint and each.message for each in found)
    return found  # type: ignore[return-value]


def test_every_operation_of_the_contract_is_read() -> None:
    """And each comes out as its own type, with the keys that it has."""
    plan = Plan.decode(json.dumps(document(*EVERY_OPERATION, title="Sort")))
    assert [type(each).__name__.lower() for each in plan.operations] == [each["op"] for each in EVERY_OPERATION]
    assert (plan.case, plan.title, plan.skips_stale) == ("Smith", "Sort", False)
    assert plan.operations[1].source == "scan001.pdf"
    assert [each.why for each in plan.operations[1:2]] == ["page 1 is the complaint"]
    assert [content for _, content in plan.contents()] == ["# Index\n\u2028é".encode(), b"{}\n"]


def test_the_digest_is_that_of_the_canonical_json() -> None:
    """RFC 8785, judged by another implementation; spelling and order of keys make no difference, a value does."""
    whole = document(*EVERY_OPERATION, title="Sört", reason='\u0007\\"')
    plan = Plan.decode(json.dumps(whole))
    assert plan.digest == hashlib.sha256(rfc8785.dumps(whole)).hexdigest()
    turned = {key: whole[key] for key in reversed(whole)}
    turned["operations"] = [dict(reversed(each.items())) for each in whole["operations"]]
    assert Plan.decode(json.dumps(turned, indent=3, ensure_ascii=False)).digest == plan.digest
    assert Plan.decode(json.dumps({**whole, "on_stale": "fail"})).digest != plan.digest


@settings(max_examples=200, deadline=None)
@given(
    some.lists(
        some.fixed_dictionaries({"from": some.text(), "to": some.text()}, optional={"why": some.text()}), min_size=1
    )
)
def test_any_text_has_one_digest(moves: list[dict[str, str]]) -> None:
    """As bytes or str, escaped or not, the digest is that of RFC 8785."""
    whole = document(*({"op": "move", **each} for each in moves))
    digest = hashlib.sha256(rfc8785.dumps(whole)).hexdigest()
    assert Plan.decode(json.dumps(whole)).digest == digest
    assert Plan.decode(json.dumps(whole, ensure_ascii=False).encode()).digest == digest


def test_a_plan_made_of_operations_reads_as_the_same() -> None:
    """`Plan.of` writes a document that decodes to these very operations."""
    plan = Plan.of([Move(source="a", to="b")], case="Smith", title="")
    assert plan.operations[0] == Move(source="a", to="b")
    assert json.loads(plan.document) == document({"op": "move", "from": "a", "to": "b"})


@pytest.mark.parametrize(
    ("text", "code", "pointer", "says"),
    [
        (b"", "not-json", "", "line 1"),
        (b"{", "not-json", "", "column 2"),
        (b"\xff", "not-json", "", "not UTF-8"),
        (b"\xef\xbb\xbf{}", "not-json", "", "byte order mark"),
        (b"[" * 100_000, "wrong-type", "", "an object, not a list"),
        (b'{"version":' + b"[" * 3000 + b"]" * 3000 + b"}", "wrong-type", "/version", "not a list"),
        (b'{"version":NaN,"operations":[]}', "not-json", "", "NaN"),
        (b'{"version":1e999,"operations":[]}', "wrong-type", "/version", ""),
        (b"[]", "wrong-type", "", "not a list"),
        (b"null", "wrong-type", "", "null"),
        ({"version": 2, "operations": [{}]}, "wrong-type", "/version", "2"),
        ({"version": True, "operations": [{}]}, "wrong-type", "/version", "not true or false"),
        ({"operations": [{"op": "mkdir", "path": "a"}]}, "missing-key", "/version", "'version'"),
        ({"version": 1}, "missing-key", "/operations", "'operations'"),
        ({"version": 1, "operations": []}, "wrong-type", "/operations", "at least one operation"),
        ({"version": 1, "operations": {}}, "wrong-type", "/operations", "not an object"),
        (document({"op": "mkdir", "path": "a"}, titel="x"), "unknown-key", "/titel", "'titel'"),
        (document({"op": "mkdir", "path": "a"}, **{"a/b~`c": 1}), "unknown-key", "/a~1b~0`c", "'a/b~`c'"),
        (document({"op": "mkdir", "path": "a"}, title=7), "wrong-type", "/title", "text, not a whole number"),
        (document({"op": "mkdir", "path": "a"}, on_stale="skp"), "wrong-type", "/on_stale", "skp"),
        (b'{"version":1,"title":"a","operations":[{"op":"mkdir","path":"a"}],"title":"b"}',
         "repeated-key", "/title", "title"),
        (b'{"version":1,"title":"a","t\\u0069tle":"b","operations":[{"op":"mkdir","path":"a"}]}',
         "repeated-key", "/title", "title"),
        ('{"version":1,"title":"\ud800","operations":[{"op":"mkdir","path":"a"}]}', "not-json", "", "UTF-8"),
        (b'{"version":1,"title":"\\ud800","operations":[{"op":"mkdir","path":"a"}]}', "not-json", "", "\\ud800"),
    ],
)  # fmt: skip
def test_a_document_that_is_no_plan_is_refused_with_the_place(text: Any, code: str, pointer: str, says: str) -> None:
    """One problem, for the rest could not be read."""
    (found,) = refused(text)
    assert (found.code, found.pointer, found.operation) == (code, pointer, None)
    assert says in found.message


@pytest.mark.parametrize(
    ("raw", "code", "key", "says"),
    [
        ('{"op":"mkdir"}', "missing-key", "/path", "'path'"),
        ('{"op":"mkdir","path":"a","mode":"0755"}', "unknown-key", "/mode", "'mode'"),
        ('{"op":"mkdir","path":7}', "wrong-type", "/path", "text, not 7"),
        ('{"op":"fly","path":"a"}', "unknown-operation", "/op", "fly"),
        ('{"op":7}', "unknown-operation", "/op", "not 7"),
        ("[]", "wrong-type", "", "operation 2 takes an object, not a list"),
        ('"move"', "wrong-type", "", "not text"),
        ('{"path":"a"}', "missing-key", "/op", "'op'"),
        ('{"op":"mkdir","path":"a","path":"b"}', "repeated-key", "/path", "path"),
        ('{"op":"mkdir","path":"a","p\\u0061th":"b"}', "repeated-key", "/path", "path"),
        ('{"op":"mkdir","path":"\\"path\\":", "path":"a"}', "repeated-key", "/path", "path"),
        ('{"op":"copy","from":"a","to":"b","expect":{"size":1,"size":2}}', "repeated-key", "/expect/size", "size"),
        ('{"op":"copy","from":"a","to":"b","expect":{"size":-1}}', "wrong-type", "/expect/size", "not -1"),
        ('{"op":"copy","from":"a","to":"b","expect":{"size":9007199254740992}}',
         "wrong-type", "/expect/size", "at most 9,007,199,254,740,991"),
        ('{"op":"copy","from":"a","to":"b","expect":{"sha256":"ABC"}}', "wrong-type", "/expect/sha256", "64 hexa"),
        ('{"op":"move","to":"b"}', "wrong-keys", "/from", "exactly one"),
        ('{"op":"move","from":"a","match":"a","to":"b"}', "wrong-keys", "/from", "exactly one"),
        ('{"op":"move","from":"a","to":"b","count":1}', "wrong-keys", "/count", "match"),
        ('{"op":"move","from":"a","to":"b","except":[]}', "wrong-keys", "/except", "match"),
        ('{"op":"move","match":"a","to":"b","count":0}', "wrong-type", "/count", "at least 1, not 0"),
        ('{"op":"move","match":"a","to":"b","except":["c",7]}', "wrong-type", "/except/1", "text, not 7"),
        ('{"op":"move","match":"a","to":"b","expect":{}}', "wrong-keys", "/expect", "match"),
        ('{"op":"move","match":"a","to":"b","raw":true}', "wrong-keys", "/raw", "match"),
        ('{"op":"move","from":"a","to":"b","if_exists":"merge"}', "wrong-type", "/if_exists", "number, not 'merge'"),
        ('{"op":"create","path":"a"}', "wrong-keys", "/content", "exactly one"),
        ('{"op":"create","path":"a","content":"","blob":"sha256:' + "0" * 64 + '"}', "wrong-keys", "/content", "one"),
        ('{"op":"create","path":"a","content_base64":"a"}', "wrong-keys", "/content_base64", "base64"),
        ('{"op":"create","path":"a","content_base64":"é"}', "wrong-keys", "/content_base64", "base64"),
        ('{"op":"create","path":"a","blob":"md5:0"}', "wrong-type", "/blob", "sha256:"),
        ('{"op":"create","path":"a","content":"","mode":"0999"}', "wrong-type", "/mode", "octal"),
        ('{"op":"create","path":"a","content":"","mtime":"2024-03-01"}', "wrong-type", "/mtime", "UTC"),
        ('{"op":"create","path":"a","content":"","expect":{"size":1}}', "unknown-key", "/expect", "'expect'"),
        ('{"op":"set","path":"a"}', "wrong-keys", "/mode", "mtime"),
        ('{"op":"delete"}', "wrong-keys", "/path", "exactly one"),
        ('{"op":"restore","run":"r","entry":1.5,"to":"a"}', "wrong-type", "/entry", "a whole number, not 1.5"),
        ('{"op":"mkdir","path":"\\ud800"}', "not-json", "", "operation 2"),
        ('{"op":"mkdir","path":' + "[" * 2000 + "]" * 2000 + "}", "not-json", "", "deep"),
    ],
)  # fmt: skip
def test_a_bad_operation_is_told_with_its_place_and_hides_no_other(raw: str, code: str, key: str, says: str) -> None:
    """Number, pointer and sentence; the one after it is told as well."""
    text = '{"version":1,"operations":[{"op":"mkdir","path":"ok"},' + raw + ',{"op":"mkdir"}]}'
    found = refused(text)
    assert [each.operation for each in found][-1] == 3 or code == "not-json"
    first = found[0]
    assert (first.code, first.operation) in ((code, 2), ("not-json", None))
    if first.operation:
        assert first.pointer == f"/operations/1{key}"
        assert first.path in (None, "a", "b")
        assert says in first.message


def test_a_bad_operation_is_told_with_the_path_it_is_about() -> None:
    """From `projects/` on, as far as it can be read: a reader looks for the file, not for the number."""
    bad = [
        {"op": "move", "from": "a/b", "to": 7},
        {"op": "fly", "path": "c"},
        {"op": "delete", "match": "*.tmp", "count": 0},
        {"op": "set", "path": "d"},
        {"op": "mkdir"},
    ]
    found = refused({**document(*bad), "case": "Smith"})
    assert [each.path for each in found] == ["Smith/a/b", "Smith/c", "Smith/*.tmp", "Smith/d", None]


@pytest.mark.parametrize("half", [r"\udc00", r"\ud800\ud800", r"x\ud800y", r"\\\ud800", r"\n\uDFFF"])
def test_half_a_surrogate_pair_is_told_with_its_place(half: str) -> None:
    """In a value or a key; whole pairs and escaped backslashes are fine."""
    for text in ('{"op":"mkdir","path":"%s"}', '{"op":"mkdir","%s":1}'):
        (found,) = refused('{"version":1,\n"operations":[' + text % half + "]}")
        assert (found.code, "line 2" in found.message, "lone surrogate" in found.message) == ("not-json", True, True)
        assert "raw" in found.hint
    Plan.decode(r'{"version":1,"operations":[{"op":"mkdir","path":"\ud83d\ude00 \\ud800"}]}')


@pytest.mark.parametrize(
    ("given_", "right"),
    [
        ({"op": "move", "source": "a", "destination": "b"}, {"op": "move", "from": "a", "to": "b"}),
        ({"op": "mv", "src": "a", "dst": "b"}, {"op": "move", "from": "a", "to": "b"}),
        ({"action": "Move", "from": "a", "to": "b"}, {"op": "move", "from": "a", "to": "b"}),
        ({"op": "rename", "path": "x/a", "to": "x/b"}, {"op": "rename", "path": "x/a", "name": "b"}),
        ({"op": "rename", "from": "x/a", "to": "b"}, {"op": "rename", "path": "x/a", "name": "b"}),
        ({"op": "rename", "from": "x/a", "to": "y/b"}, {"op": "move", "from": "x/a", "to": "y/b"}),
        ({"op": "remove", "file": "a"}, {"op": "delete", "path": "a"}),
        ({"op": "delete", "from": "a"}, {"op": "delete", "path": "a"}),
        ({"op": "create_folder", "folder": "a"}, {"op": "mkdir", "path": "a"}),
        ({"op": "write", "path": "a", "text": "x"}, {"op": "create", "path": "a", "content": "x"}),
        ({"op": "move", "from": "a", "to": "b", "reason": "c"}, {"op": "move", "from": "a", "to": "b", "why": "c"}),
        ({"op": "move", "from": "a", "to": "b", "overwrite": True},
         {"op": "move", "from": "a", "to": "b", "if_exists": "replace"}),
        ({"op": "symlink", "path": "a", "to": "b"}, {"op": "symlink", "path": "a", "target": "b"}),
        ({"op": "mvoe", "from": "a", "to": "b"}, {"op": "move", "from": "a", "to": "b"}),
        ({"op": "move", "form": "a", "to": "b"}, {"op": "move", "from": "a", "to": "b"}),
        ({"op": "chmod", "path": "a", "mode": "0644"}, {"op": "set", "path": "a", "mode": "0644"}),
    ],
)  # fmt: skip
def test_near_misses_carry_the_corrected_operation(given_: dict[str, Any], right: dict[str, Any]) -> None:
    """And the corrected one is a plan."""
    (found,) = refused(document(given_))
    assert (found.code, found.operation, found.suggestion) == ("near-miss", 1, right)
    assert Plan.decode(json.dumps(document(right)))


def test_the_list_of_faults_ends_somewhere() -> None:
    """A million bad operations do not make a million problems."""
    found = refused(document(*[{"op": "mkdir"}] * (MOST_PROBLEMS + 100)))
    assert len(found) == MOST_PROBLEMS + 1
    assert found[-1].code == "more-problems"


def test_too_many_operations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a code and what to do."""
    monkeypatch.setattr(plans, "MAX_OPERATIONS", 2)
    with pytest.raises(PlanError) as caught:
        Plan.decode(json.dumps(document(*[{"op": "mkdir", "path": "a"}] * 3)))
    assert caught.value.code == "plan-too-large"
    assert caught.value.hint


def test_the_schema_takes_what_the_decoder_takes() -> None:
    """JSON Schema 2020-12, judged by another implementation."""
    schema = plans.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(document(*EVERY_OPERATION))
    for wrong in ({"op": "mkdir"}, {"op": "mkdir", "path": "a", "x": 1}, {"op": "fly"}, {"op": "set", "path": 7}):
        assert not validator.is_valid(document(wrong))


_KEYS = some.sampled_from(
    [key for each in EVERY_OPERATION for key in each]
    + ["version", "operations", "case", "on_stale", "source", "size"]
)
_VERBS = some.sampled_from(["mkdir", "move", "rename", "copy", "create", "replace", "delete", "restore", "set", "mv"])
_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(_KEYS | some.text(), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(_JSON, some.lists(some.dictionaries(_KEYS, _JSON, max_size=6), max_size=4), _VERBS, some.booleans())
def test_whatever_json_comes_is_a_plan_or_refused(head: Any, operations: list[Any], verb: str, escape: bool) -> None:
    """Never another exception; and suggestions for what is near are plans themselves."""
    whole = {**(head if isinstance(head, dict) else {}), "version": 1, "operations": operations}
    for each in operations:
        each.setdefault("op", verb)
    text = json.dumps(whole, ensure_ascii=escape)
    try:
        plan = Plan.decode(text)
    except PlanError as error:
        for each in error.problems:
            if each.suggestion is not None:  # type: ignore[attr-defined]
                _is_an_operation(each.suggestion)  # type: ignore[attr-defined]
        return
    assert list(plan.operations)


def _is_an_operation(suggestion: dict[str, Any]) -> None:
    """Its keys may still not go together, which is told when it is tried."""
    try:
        Plan.decode(json.dumps(document(suggestion)))
    except PlanError as error:
        codes = {each.code for each in error.problems}  # type: ignore[attr-defined]
    else:
        codes = set()
    assert codes <= {"wrong-keys"}


@settings(max_examples=200, deadline=None)
@given(some.binary(max_size=200) | some.text(max_size=200))
def test_whatever_bytes_come_are_a_plan_or_refused(text: bytes | str) -> None:
    """Never another exception."""
    with pytest.raises(PlanError):
        Plan.decode(text)
