"""The plan, version 1: what an author wants changed, as an ordered list of operations.

`Plan.decode` is strict and says everything that is wrong at once. A plan keeps
its document's bytes and decodes an operation when it is asked for, so a million
operations cost what their text costs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from treegate.errors import PlanError
from treegate.model import misfit
from treegate.model.document import UNREADABLE, parse_strictly, repeated_key
from treegate.model.operations import Create, Operation, Replace, inline_content, shape_fault
from treegate.model.problems import CODES, MOST_PROBLEMS, Problem, problem

MAX_OPERATIONS = 2_000_000  # a document beyond this is refused before it is read further

_canonical = msgspec.json.Encoder(order="sorted").encode  # equals RFC 8785 for our keys and value types
_read_operation = msgspec.json.Decoder(Operation).decode  # by the `op` tag


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything of a plan but its operations."""

    version: Literal[1]
    title: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    requested_by: str | UnsetType = UNSET
    thread_url: str | UnsetType = UNSET
    case: str | UnsetType = UNSET
    on_stale: Literal["fail", "skip"] | UnsetType = UNSET


class _Document(Head, frozen=True, kw_only=True, forbid_unknown_fields=True):
    operations: Annotated[list[msgspec.Raw], Meta(min_length=1)]


class Document(Head, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan with its operations spelled out: the shape that the JSON Schema describes."""

    operations: Annotated[list[Operation], Meta(min_length=1)]


class Operations(Sequence[Operation]):
    """A plan's operations, each decoded when it is asked for."""

    __slots__ = ("_raws",)

    def __init__(self, raws: list[msgspec.Raw]) -> None:
        self._raws = raws

    def __len__(self) -> int:
        return len(self._raws)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [_read_operation(raw) for raw in self._raws[index]]
        return _read_operation(self._raws[index])

    def __iter__(self) -> Iterator[Operation]:
        return map(_read_operation, self._raws)


class Plan:
    """A decoded plan: `head`, `operations`, the `document`'s bytes and the plan `digest` (SHA-256, hex)."""

    __slots__ = ("digest", "document", "head", "operations")

    def __init__(self, head: Head, operations: Operations, document: bytes, digest: str) -> None:
        self.head = head
        self.operations = operations
        self.document = document
        self.digest = digest

    @property
    def case(self) -> str | None:
        """The folder under `projects/` that paths are relative to, if the plan names one."""
        return self.head.case or None

    @property
    def title(self) -> str:
        return self.head.title or ""

    @property
    def skips_stale(self) -> bool:
        """Whether entries that changed since the approval are left alone instead of failing the run."""
        return self.head.on_stale == "skip"

    @classmethod
    def decode(cls, document: bytes | str) -> Plan:
        """A plan from its JSON; raises PlanError whose `problems` say everything that is wrong, and where."""
        data = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
        shell = _read_shell(data)
        head = _head_of(shell)
        digest, problems = _read_operations(head, shell.operations)
        if problems:
            raise PlanError(f"the plan has {_faults(len(problems))}", problems=list(problems))
        return cls(head, Operations(shell.operations), data, digest)

    @classmethod
    def stored(cls, document: bytes, digest: str) -> Plan:
        """A plan from a document that was decoded before, and kept with its digest: operations are not read anew."""
        shell = _parted(document)
        return cls(_head_of(shell), Operations(shell.operations), document, digest)

    @classmethod
    def of(cls, operations: Iterable[Operation], **head: Any) -> Plan:
        """A plan from operations; `head` takes the keys of `Head` without `version`."""
        given = {key: value for key, value in head.items() if value not in (None, "")}
        document = Document(version=1, operations=list(operations), **given)
        return cls.decode(msgspec.json.encode(document))

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The contents that the plan itself carries, as (sha256, bytes)."""
        for operation in self.operations:
            if isinstance(operation, Create | Replace):
                data = inline_content(operation)
                if data is not None:
                    yield hashlib.sha256(data).hexdigest(), data

    def blobs(self) -> Iterator[str]:
        """The SHA-256 of every content that the plan brings, carried or only named."""
        for operation in self.operations:
            if isinstance(operation, Create | Replace) and operation.blob is not UNSET:
                yield operation.blob.removeprefix("sha256:")
        yield from (sha256 for sha256, _ in self.contents())


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a plan document."""
    made = msgspec.json.schema(Document)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Treegate plan, version 1"
    return made


def _faults(count: int) -> str:
    return "1 fault" if count == 1 else f"{count:,} faults"


def _head_of(shell: _Document) -> Head:
    return Head(**{name: getattr(shell, name) for name in Head.__struct_fields__})


def _parted(data: bytes) -> _Document:
    """The document with its operations still raw, or PlanError with one problem."""
    try:
        return msgspec.json.decode(data, type=_Document)
    except UNREADABLE as error:
        found = _shell_problem(data, error)
        raise PlanError(found.message, hint=found.hint, code=found.code, problems=[found]) from None


def _read_shell(data: bytes) -> _Document:
    """The same, if what it holds besides its operations may stand; else PlanError with one problem."""
    shell = _parted(data)
    if len(shell.operations) > MAX_OPERATIONS:
        text = f"the plan has {len(shell.operations):,} operations; {MAX_OPERATIONS:,} is the most one plan may have"
        raise PlanError(text, code="plan-too-large", hint=CODES["plan-too-large"].hint)
    at = repeated_key(data) if _may_repeat(data, shell) else None
    if at is not None and not at.startswith("/operations/"):  # those are told with the others of their operation
        found = problem("repeated-key", f"the key {at[1:]!r} of the plan stands twice", pointer=at)
        raise PlanError(found.message, hint=found.hint, code=found.code, problems=[found])
    return shell


_TOP_KEY = re.compile(rb'"(?:version|title|reason|requested_by|thread_url|case|on_stale|operations)"\s*:')
_SPELLED_KEY = re.compile(rb'\\u00[^"]*"\s*:')  # a key in which an ASCII letter is written as an escape


def _may_repeat(data: bytes, shell: _Document) -> bool:
    """Cheap and sure in one direction: no more top-level-like keys than fields present means none is repeated."""
    present = sum(getattr(shell, name) is not UNSET for name in _Document.__struct_fields__)
    if sum(1 for _ in zip(_TOP_KEY.finditer(data), range(present + 1), strict=False)) > present:
        return True
    return _SPELLED_KEY.search(data) is not None


def _shell_problem(data: bytes, error: Exception) -> Problem:
    if isinstance(error, msgspec.ValidationError):
        return misfit.of_document(data, error)
    return parse_strictly(data) or problem("not-json", f"the document is not JSON: {error}")


def _read_operations(head: Head, raws: list[msgspec.Raw]) -> tuple[str, list[Problem]]:
    """The plan digest and what is wrong with the operations; hashes as it reads, so nothing is held."""
    before, after = _canonical_frame(head)
    digest = hashlib.sha256(before)
    problems: list[Problem] = []
    separator = b""
    for number, raw in enumerate(raws, 1):
        if len(problems) >= MOST_PROBLEMS:
            problems.append(problem("more-problems", f"operations from {number:,} on were not read any more"))
            break
        try:
            operation = _read_operation(raw)
        except UNREADABLE as error:
            problems.append(_operation_problem(number, bytes(raw), error, head.case or None))
            continue
        canonical = _canonical(operation)
        digest.update(separator + canonical)
        separator = b","
        at = None if len(raw) == len(canonical) else _repeated(bytes(raw), canonical)
        if at is not None:
            text = f"the key {at[1:].replace('/', '.')!r} of operation {number} stands twice in its object"
            problems.append(problem("repeated-key", text, number, f"/operations/{number - 1}{at}"))
        elif (fault := shape_fault(operation)) is not None:
            problems.append(misfit.of_keys(number, operation, *fault, head.case or None))
    digest.update(after)
    return digest.hexdigest(), problems


_BLANK = b" \t\r\n"


def _repeated(raw: bytes, canonical: bytes) -> str | None:
    """Where a key of an operation stands twice; it does not where the canonical form, the shortest, is no shorter."""
    return repeated_key(raw) if _may_repeat_key(raw, canonical) else None


def _may_repeat_key(raw: bytes, canonical: bytes) -> bool:
    """Cheap, and sure when it says no: the canonical form has every key once, so as many `":` means none twice.

    Without a backslash no string can hold `":`, nor can its spelling differ from the canonical one.
    """
    return b"\\" in raw or raw.translate(None, _BLANK).count(b'":') != canonical.translate(None, _BLANK).count(b'":')


def _canonical_frame(head: Head) -> tuple[bytes, bytes]:
    """The canonical document's bytes before and after the list of operations."""
    canonical = _canonical({**msgspec.to_builtins(head), "operations": []})
    before, _, after = canonical.partition(b'"operations":[]')
    return before + b'"operations":[', b"]" + after


def _operation_problem(number: int, raw: bytes, error: Exception, case: str | None) -> Problem:
    if isinstance(error, msgspec.ValidationError):
        return misfit.of_operation(number, raw, error, case)
    found = parse_strictly(raw) or problem("not-json", f"it is not JSON: {error}")
    return problem("not-json", f"operation {number}: {found.message}", number, f"/operations/{number - 1}")
