"""The audit log checked, exported, and vouched for by checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from treegate.engine import audit, auditor, checkpoints, exports, keys
from treegate.engine.auditor import Walk
from treegate.engine.checkpoints import Checkpoint
from treegate.engine.probe import Finding
from treegate.engine.workspace import generation
from treegate.errors import NotVerified
from treegate.gate.core import Core
from treegate.model.actors import Action
from treegate.model.names import visible

Named = tuple[str, Checkpoint]  # what it is called in a sentence, and itself
Given = Path | Named  # the file of one, or one that was read


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What `audit verify` found; `seq` and `hash` are of the last row, `verified` is whether all of it holds."""

    verified: bool
    events: int
    seq: int
    hash: str
    checkpoints: int
    vouched: int  # the last row that a checkpoint which holds vouches for
    keys: list[str]  # the public keys that have signed here, as the log names them
    findings: list[Finding]


def checkpoint(core: Core) -> Checkpoint:
    """Signs the head of the log, and says so in the log; raises NotVerified where there is no key."""
    core.actor.require_everywhere(Action.TEND)
    key = core.key()
    with core.store.write() as transaction:
        return checkpoints.make(transaction, key, core.by())


def rekey(core: Core) -> str:
    """Makes a new signing key where the old one is lost or damaged, and says so in the log; its public half."""
    core.actor.require_everywhere(Action.POLICY)
    public = keys.replace(core.state).public
    with core.store.write() as transaction:
        checkpoints.rekey(transaction, public, core.by())
    return public


def verify(core: Core, files: Iterable[Given] = ()) -> Audited:
    """Holds the whole log against itself, the checkpoints, the key, and the runs that store and tree know of."""
    given = read(files)
    runs = max(core.store.meta().generation, generation(core.workspace.root))
    kept, damaged = _stored(core)
    walk = Walk({one.seq for _, one in (*kept, *given)}).read(audit.rows(core.store))
    owner = {"workspace": core.workspace.marker.workspace, "state": core.workspace.marker.state}
    found = [*walk.findings(), *_ends(core, walk, runs), *damaged, *_unmatched(core, walk, kept)]
    own, said = _own_key(core, walk, len(kept) + len(given))
    return _answer(walk, [*kept, *given], owner, own or walk.key, [*found, *said])


def verify_export(path: Path, files: Iterable[Path] = ()) -> Audited:
    """The same of an exported file alone, without a workspace; raises NotFound, UsageError or NotVerified."""
    given = read(files)
    walk = Walk({one.seq for _, one in given}, None).read(exports.rows(path))
    found = list(walk.findings())
    if walk.after is not None and walk.after.seq and not any(one.anchor == walk.after for _, one in given):
        text = f"the rows begin with {walk.after.seq + 1}: nothing here proves what came before"
        found.append(Finding("warning", text, f"give a checkpoint of row {walk.after.seq}, or export the whole log"))
    if walk.key:
        found.append(Finding("note", f"the log names the key {walk.key}", "compare it with the one that you know"))
    return _answer(walk, given, walk.owner, walk.key, found)


def export(core: Core, after: int = 0) -> Iterator[bytes]:
    """The rows after `after`, each as a line of JSON."""
    core.actor.require_everywhere(Action.READ)
    return (exports.line(row) for row in audit.rows(core.store, after))


def _answer(walk: Walk, given: list[Named], owner: dict[str, str], key: str, found: list[Finding]) -> Audited:
    vouched, named = 0, {one.public_key for _, one in given}
    signers = {*walk.keys, key} - {""}
    if not signers and len(named) > 1:
        found.append(
            Finding("error", "the checkpoints are signed by different keys", "find out which key is the one")
        )
    for name, one in given:
        said = list(auditor.held_against(walk, name, one, owner, signers))
        found += said
        if not said:
            vouched = max(vouched, one.seq)
    if not given and walk.events:
        text = "no checkpoint vouches for the log: that all of it was written anew would not show"
        found.append(
            Finding("warning", text, "make one with `treegate audit checkpoint -o F`, and keep it elsewhere")
        )
    return Audited(
        verified=not any(one.severity == "error" for one in found),
        events=walk.events,
        seq=walk.head.seq,
        hash=walk.head.hash,
        checkpoints=len(given),
        vouched=vouched,
        keys=list(walk.keys),
        findings=found,
    )


def read(files: Iterable[Given]) -> list[Named]:
    """Checkpoints with their names, from files as far as they were not read yet."""
    return [_read(one) if isinstance(one, Path) else one for one in files]


def _read(path: Path) -> Named:
    return f"the checkpoint {visible(str(path))}", checkpoints.read(path)


def _stored(core: Core) -> tuple[list[Named], list[Finding]]:
    """The stored checkpoints, and those that cannot be read as such."""
    kept, damaged = [], []
    for seq, document in checkpoints.stored(core.store):
        name = f"the stored checkpoint of row {seq}"
        try:
            one = checkpoints.decode(document, name)
        except NotVerified as error:
            damaged.append(Finding("error", visible(error.message), error.hint))
            continue
        kept.append((name, one))
    return kept, damaged


def _ends(core: Core, walk: Walk, runs: int) -> Iterator[Finding]:
    """Whether the log goes on as long as other things that count."""
    if not walk.events:
        yield Finding("error", "the log is empty: its first row is written with the database", "restore a backup")
    elif runs > walk.generation and not walk.faulty:
        text = f"the log ends with run {walk.generation}, and {runs} have begun: its end was cut"
        yield Finding("error", text, "compare it with a backup or an exported log")


def _unmatched(core: Core, walk: Walk, kept: list[Named]) -> Iterator[Finding]:
    """Checkpoints of which only the log, or only the table knows."""
    for seq in sorted(walk.noted - {seq for seq, _ in checkpoints.stored(core.store)}):
        text = f"the stored checkpoint of row {seq} is gone, and the log says that it was made"
        yield Finding("error", text, "compare the log with a copy of it that was kept elsewhere")
    for name, one in kept if not walk.faulty else ():
        if one.seq not in walk.noted and one.seq <= walk.head.seq:
            text = f"{name} is not noted in the row after it: the log was cut or edited there"
            yield Finding("error", text, "compare it with a backup or an exported log")


def _own_key(core: Core, walk: Walk, signed: int) -> tuple[str, list[Finding]]:
    """The state directory's public key, and what is to be said of it."""
    try:
        own = core.key().public
    except NotVerified as error:
        against = "the key that the log itself names" if walk.key else "the keys that they name themselves"
        text = (
            f"{error.message}: the chain was checked without it, and {signed:,} signatures only against {against},"
            " which whoever can write the log could have put there"
        )
        return "", [
            Finding("error", text, "put the key back from a backup, or make a new one (treegate audit rekey)")
        ]
    if walk.key and own != walk.key:
        text = f"the state directory's key is {own}, and the log names {walk.key}"
        return own, [Finding("error", text, "put the file `key` back from a backup; or the log was rewritten")]
    return own, []


def head(core: Core) -> int:
    """The number of the newest row."""
    return audit.head(core.store).seq
