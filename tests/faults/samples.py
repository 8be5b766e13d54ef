"""Valid samples for decoders: what one run, carried out in an office, leaves."""

from __future__ import annotations

import contextlib
import sys
from functools import cache
from pathlib import Path

import msgspec
from contested import ground

from treegate.engine import audit, checkpoints

sys.path.append(str(Path(__file__).parents[1] / "gate"))
from gatework import Office, copy, create, delete, move, plan, replace

OPERATIONS = (
    move("a", "sorted/a"),
    delete("b"),
    copy("c", "d"),
    create("e", "text\n", mtime="2024-03-01T09:00:00.000000001Z", mode="0640"),
    replace("f"),
    {"op": "move", "match": "in/*.pdf", "except": ["in/draft*"], "count": 2, "to": "out/{n:02} {name}"},
    {"op": "symlink", "path": "latest", "target": "sorted"},
    {"op": "rename", "path": "g%E9", "name": "g%C3%A9", "raw": True},
)
FILES = ("a", "b", "c", "f", "in/1.pdf", "in/2.pdf", "in/draft.pdf")


class Sample(msgspec.Struct):
    """What one finished run left, each file as its bytes."""

    plan: bytes
    receipt: bytes
    lines: bytes
    manifest: bytes
    marker: bytes
    log: bytes
    checkpoint: bytes
    key: bytes
    public: str
    head: audit.Anchor


@cache
def sample() -> Sample:
    """A plan with most operations, carried out in an office, and all that is written of it."""
    with ground() as folder, contextlib.closing(Office(folder / "ws", folder / "state")) as office:
        for path in (*FILES, "g\udce9"):
            office.put(f"Smith/{path}", path.encode("utf-8", "surrogateescape"))
        run = office.carried_out(*OPERATIONS).run
        made = office.gate.checkpoint()
        kept = office.state / "receipts"
        return Sample(
            plan=plan(*OPERATIONS, title="A plan", reason="of every kind").encode(),
            receipt=(kept / f"{run}.json").read_bytes(),
            lines=(kept / f"{run}.lines").read_bytes(),
            manifest=(office.root / f".treegate/vault/{run}/manifest.json").read_bytes(),
            marker=(office.root / ".treegate/workspace.json").read_bytes(),
            log=b"".join(line + b"\n" for line in office.gate.export_audit()),
            checkpoint=checkpoints.encode(made),
            key=(office.state / "key").read_bytes(),
            public=made.public_key,
            head=audit.head(office.gate.core.store),
        )
