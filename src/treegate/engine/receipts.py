"""Receipts: the signed record of a finished run, and beside it a line for every entry it touched.

`{run}.json` is the receipt; `{run}.lines` holds one JSON line per effect, with
the facts by which its entry is known from now on where the run itself made it
(of all others they stand in `{run}.table`, the step table). The receipt carries
the SHA-256 of the lines, and is itself signed with the state directory's key.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from treegate.engine import handles, keys, posix
from treegate.engine.pieces import Content, lay
from treegate.engine.workspace import replace_file
from treegate.errors import NotFound, NotVerified
from treegate.model.document import UNREADABLE
from treegate.model.effects import Effect
from treegate.model.preview import Counts
from treegate.model.tree import PACKED

FORMAT = 1
_LOT = 1 << 16  # bytes of lines that are read at once
L = TypeVar("L", bound=msgspec.Struct)


class Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One effect as it was carried out.

    `facts` are the entry's packed facts (model.tree) in base 64; "" where the run's step table has them.
    """

    effect: Effect
    result: str = "done"  # or "left": changed since the approval, and left alone as the plan said
    facts: str = ""
    sha256: str = ""
    held: str = ""  # of a folder that is kept: the digest (hex) of what it holds

    @property
    def packed(self) -> bytes:
        """The facts; NotVerified "receipt-damaged" where there are none in them."""
        try:
            packed = base64.b64decode(self.facts, validate=True)
        except ValueError:
            packed = b"?"
        if len(packed) not in (0, PACKED.size):
            text = f"the facts of effect {self.effect.id!r} are damaged"
            raise NotVerified(text, code="receipt-damaged", hint="put it back from a backup", next="treegate fsck")
        return packed

    def with_facts(self, packed: bytes) -> Line:
        """The same line with its entry's facts."""
        return msgspec.structs.replace(self, facts=base64.b64encode(packed).decode())


class Approval(msgspec.Struct, frozen=True):
    """Who approved, when (milliseconds since 1970, UTC), through which door, and with what words."""

    reviewer: str
    at: int
    channel: str
    comment: str


class Vault(msgspec.Struct, frozen=True):
    """What a run put into the vault, and until when (milliseconds since 1970; None: for good) it is kept."""

    entries: int = 0
    files: int = 0
    size: int = 0
    until: int | None = None
    places: list[str] = []  # relative to the workspace
    sums: dict[str, str] = {}  # of rollback.sh and its data there: path -> SHA-256 (hex)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The signed record of a run; times in milliseconds since 1970, UTC."""

    format: int = FORMAT
    workspace: str
    run: str
    plan: str
    revision: int
    plan_digest: str
    digest: str
    table_digest: str
    title: str
    reason: str
    cases: list[str]
    author: str
    approved_by: list[Approval]
    own_approval: bool  # policy let authors approve their own plans
    by: str
    channel: str
    started: int
    ended: int
    seconds: float  # from the lock to the durable end
    outcome: str
    counts: Counts
    steps: int
    touched: int  # lines beside this receipt
    lines_digest: str
    vault: Vault
    undo_of: str = ""
    notes: list[str] = []
    verified: str = ""  # "" where nobody asked: else what `--verify` found
    public_key: str = ""
    signature: str = ""


_encode = msgspec.json.Encoder(order="sorted").encode
_MOVED = b'{"effect":"moved",'
OF_FOLDERS = b'"kind":"dir"'  # what stands in the encoded effects of folders


def lines(
    effects: Iterable[Effect], facts: Mapping[int, bytes], hashes: Mapping[int, str], held: Mapping[int, str]
) -> Iterator[bytes]:
    """The encoded lines of a run's effects; `facts` and `hashes` are by entry number, `held` by that in the vault."""
    for effect in effects:
        packed = facts.get(effect.entry, b"")
        sha256 = hashes.get(effect.entry, effect.sha256)
        kept = held.get(effect.vault, "") if effect.vault is not None else ""
        yield _encode(Line(effect, sha256=sha256, held=kept).with_facts(packed))


def moves_as_lines(effects: bytes) -> bytes | None:
    """The encoded lines of effects, a JSON array of them, if all are moves: of those a run can tell nothing new.

    Nothing is decoded. Keys are in order, so an effect begins with its kind (one of another kind may have `by` before
    it); and where `},{"effect":` stands one ends and the next begins, for within a string the quote would be escaped.
    No line feed is in it, for the same reason.
    """
    joined = effects[1:-1].replace(b"}," + _MOVED, b'}}\n{"effect":' + _MOVED)
    if not effects.startswith(b"[" + _MOVED) or joined.count(b"\n") + 1 != effects.count(b'"effect":"'):
        return None
    return b'{"effect":' + joined + b"}"


def write_lines(path: Path, lines: Content) -> tuple[int, str]:
    """Writes the lines, each with its line feed; returns how many there are and the SHA-256 (hex) of the file.

    Durable once the receipt is written beside them, which makes both names so.
    """
    aside = path.with_suffix(".new")
    with handles.closing(handles.open_root(str(path.parent))) as folder:
        file, count, digest = lay(folder, aside.name, lines)
        with handles.closing(file):
            posix.fsync(file)
    aside.replace(path)
    return count, digest


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a run; raises NotFound or NotVerified."""
    return read_as(Line, path)


def read_as(kind: type[L], path: Path) -> Iterator[L]:
    """The lines of a run, as much of each as a `kind` holds; raises as `read_lines`."""
    return chain.from_iterable(read_lots(kind, path))


def read_lots(kind: type[L], path: Path) -> Iterator[list[L]]:
    """As `read_as`, some hundreds of lines at a time."""
    read = msgspec.json.Decoder(kind).decode_lines
    with of_run(path):
        yield from map(read, encoded_lots(path))


def encoded_lots(path: Path) -> Iterator[bytes]:
    """The lines of a run as they are encoded, some hundreds at a time; whoever reads them is within `of_run`."""
    with open(path, "rb") as file:
        while lot := file.read(_LOT):
            yield lot + file.readline()


def are_plain(lines: bytes) -> bool:
    """Whether encoded lines say nothing beside their effects: all was done, as `moves_as_lines` has it.

    What else a line may say is text, and comes after the effect: it would end in a quote and one bracket.
    """
    return lines.endswith(b"}}\n") and lines.count(b'}}\n{"effect":') == lines.count(b"\n") - 1


def places_of_lines(path: Path, kind: type[L]) -> Iterator[tuple[int, L]]:
    """Each line of a run with the byte at which it begins; raises as `read_lines` does."""
    read, at = msgspec.json.Decoder(kind).decode, 0
    with of_run(path), open(path, "rb") as file:
        for line in file:
            yield at, read(line)
            at += len(line)


def read_line(path: Path, at: int) -> Line:
    """The one line that begins at a byte; raises as `read_lines` does."""
    with of_run(path), open(path, "rb") as file:
        file.seek(at)
        return msgspec.json.decode(file.readline(), type=Line)


@contextlib.contextmanager
def of_run(path: Path) -> Iterator[None]:
    """What is raised while the lines of a run are read says whose they are."""
    try:
        yield
    except FileNotFoundError:
        text = f"{path.stem} has no record of its effects"
        hint, code = "put it back from a backup", "receipt-missing"
        raise NotFound(text, code=code, hint=hint, next="treegate fsck") from None
    except UNREADABLE as error:
        text = f"{path.name} is damaged: {error}"
        hint, code = "put it back from a backup", "receipt-damaged"
        raise NotVerified(text, code=code, hint=hint, next="treegate fsck") from None


def signed(receipt: Receipt, key: keys.Key) -> Receipt:
    """The receipt with the key's signature over everything else in it."""
    bare = msgspec.structs.replace(receipt, public_key=key.public, signature="")
    return msgspec.structs.replace(bare, signature=key.sign(_encode(bare)))


def digest_of(receipt: Receipt) -> str:
    """SHA-256 (hex) of the receipt's canonical JSON."""
    return hashlib.sha256(_encode(receipt)).hexdigest()


def write(folder: Path, receipt: Receipt) -> str:
    """Writes the receipt durably, with all that is in its folder by then, and returns its digest."""
    replace_file(folder / f"{receipt.run}.json", _encode(receipt))
    return digest_of(receipt)


def read(folder: Path, run: str) -> Receipt:
    """A run's receipt; raises NotFound or NotVerified."""
    path = folder / f"{run}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Receipt)
    except FileNotFoundError:
        raise NotFound(f"{run} has no receipt", code="receipt-missing") from None
    except UNREADABLE as error:
        raise NotVerified(f"{path.name} is damaged: {error}", code="receipt-damaged") from None


def verify(folder: Path, receipt: Receipt, public_keys: Collection[str]) -> None:
    """Raises NotVerified unless one of these keys signed exactly this, and its lines are those it speaks of."""
    if receipt.public_key not in public_keys:
        text = f"the receipt of {receipt.run} is signed with a key that is not known here"
        raise NotVerified(text, code="signature-invalid", hint="compare it with a copy kept elsewhere")
    keys.verify(receipt.public_key, _encode(msgspec.structs.replace(receipt, signature="")), receipt.signature)
    digest = hashlib.sha256()
    try:
        with open(folder / f"{receipt.run}.lines", "rb") as file:
            while data := file.read(1 << 20):
                digest.update(data)
    except FileNotFoundError:
        raise NotVerified(f"the lines of {receipt.run} are gone", code="receipt-damaged") from None
    if digest.hexdigest() != receipt.lines_digest:
        raise NotVerified(f"the lines of {receipt.run} are not those it was signed with", code="receipt-damaged")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a receipt."""
    made = msgspec.json.schema(Receipt)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Treegate receipt"
    return made
