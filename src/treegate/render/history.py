"""What happened, in sentences: the events of the audit log, and the life of a file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from treegate.model.document import UNREADABLE
from treegate.render.text import inert
from treegate.render.words import DIGEST, plural

_LINE = 200  # characters of a command
_SAYINGS = {
    "adopted": "made this workspace",
    "submitted": "submitted {plan}",
    "revised": "revised {plan} (revision {revision})",
    "approve": "approved {plan} ({digest})",
    "reject": "rejected {plan} ({digest})",
    "request-changes": "asked for changes to {plan} ({digest})",
    "revoke": "took back the approval of {plan} ({digest})",
    "withdraw": "withdrew {plan}",
    "expire": "the approval of {plan} ran out",
    "go-stale": "{plan} went stale",
    "run-asked": "asked for {run} of {plan}",
    "run-began": "began {run} of {plan}",
    "run-given-back": "{run} of {plan} never began: its approvals stand",
    "vault-restored": "{entries} of {run} came out of the vault",
    "vault-pruned": "let {entries} of {run} go from the vault",
    "vault-kept": "{entries} of {run} went back into the vault",
    "redone": "{run} holds again: {undo}, which had undone it, was undone",
    "token-created": "made the token {name} ({id})",
    "token-revoked": "revoked the token {name} ({id})",
    "logged-in": "logged in",
    "checkpointed": "signed the log up to row {seq}",
    "reduced": "left something out of {plan} (revision {revision})",
    "paused": "paused {cases}",
    "resumed": "resumed {cases}",
    "sandbox-asked": "asked for the command {sandbox} on {cases}: {line}",
    "sandbox-approved": "allowed the command {sandbox} ({digest})",
    "sandbox-rejected": "turned down the command {sandbox} ({digest})",
    "sandbox-withdrawn": "took back the command {sandbox}",
    "sandbox-expired": "the approval of the command {sandbox} ran out",
    "sandbox-begun": "began the command {sandbox}",
    "sandbox-failed": "the command {sandbox} failed ({code})",
    "sandbox-lost": "the process that ran the command {sandbox} died; nothing came of it",
    "sandbox-rules": "changed what commands may do in sandboxes",
    "rekeyed": "replaced the signing key; from here on it is {key}",
}


def moment(milliseconds: int) -> str:
    """A time (milliseconds since 1970) to the second, UTC; what is no time (any more) as it is."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError, TypeError):
        return inert(str(milliseconds))


def event(row: Any) -> str:
    """A row of the audit log on one line: number, when, who, at which door, what."""
    return f"{row.seq:>6}  {moment(row.at)}  {inert(str(row.actor))} [{inert(str(row.channel))}]  {saying(row)}"


def saying(row: Any) -> str:
    """What an event was, in words; also of one that a later version wrote, or somebody edited."""
    data = data_of(row)
    words = {key: _short(key, value) for key, value in data.items()} | {"plan": row.plan or "", "run": row.run or ""}
    try:
        said = _special(row, data) or _SAYINGS[row.event].format_map(
            words | {"entries": _entries(data), "cases": _cases(data), "line": _line(data)}
        )
    except (KeyError, TypeError, ValueError):
        said = " ".join(filter(None, (str(row.event).replace("-", " "), row.run or row.plan or "", _rest(words))))
    comment = data.get("comment")
    return inert(f"{said}: {comment}" if comment else said)


def _special(row: Any, data: dict[str, Any]) -> str:
    """What no template can say."""
    if row.event == "approve" and "digest" not in data:
        return f"{row.plan} needed no approval, as policy says"
    saying = _SPECIAL.get(row.event)
    return saying(row, data) if saying is not None else ""


def _sandbox_ended(row: Any, data: dict[str, Any]) -> str:
    how = f"exit status {data.get('status')}" if data.get("why") == "itself" else f"ended by {data.get('why')}"
    came = f"what it did is {row.plan}" if row.plan else "it changed nothing"
    return f"the command {data.get('sandbox')} ended ({how}): {came}"


def _line(data: dict[str, Any]) -> str:
    """The command of an event, as one would type it."""
    words = data.get("command") or []
    return shlex.join(str(word["raw"]) if isinstance(word, dict) else str(word) for word in words)[:_LINE]


def _cases(data: dict[str, Any]) -> str:
    """The cases that an event is about; none are all."""
    named = data.get("cases") or []
    return ", ".join(str(case["raw"]) if isinstance(case, dict) else str(case) for case in named) or "all cases"


def _entries(data: dict[str, Any]) -> str:
    return plural(len(data.get("entries", [])), "entry", "entries")


def data_of(row: Any) -> dict[str, Any]:
    """The data of an event; {} where they were edited into something else."""
    try:
        return msgspec.json.decode(row.data, type=dict[str, Any])
    except (*UNREADABLE, TypeError):
        return {}


def _short(key: str, value: Any) -> str:
    return str(value)[:DIGEST] if key.endswith(("digest", "hash")) else str(value)


def _rest(words: dict[str, str]) -> str:
    told = {"plan", "run", "comment", "entries"}
    return ", ".join(
        f"{key} {value}" for key, value in words.items() if key not in told and value not in ("", "None")
    )


def _previewed(row: Any, data: dict[str, Any]) -> str:
    effects = plural(int(data.get("effects", 0)), "effect")
    found = f"{effects}" if data.get("valid", True) else "it has errors"
    return f"had {row.plan} previewed: {found} ({str(data.get('digest', ''))[:DIGEST]})"


def _ended(row: Any, data: dict[str, Any]) -> str:
    return f"{row.run} of {row.plan} ended {data.get('outcome', '')}"


def _undone(row: Any, data: dict[str, Any]) -> str:
    how = f"by {data['by_run']}" if data.get("by_run") else "by rollback.sh, without treegate"
    part = "all of it" if data.get("whole") else plural(int(data.get("effects", 0)), "effect")
    return f"{row.run} was undone {how}: {part}"


def _cleared(row: Any, data: dict[str, Any]) -> str:
    runs = plural(len(data.get("runs", [])), "vault folder")
    return f"cleared away what nothing needs: {runs}, {plural(int(data.get('files', 0)), 'file')}"


def _logged_out(row: Any, data: dict[str, Any]) -> str:
    return "logged out" + (" everywhere" if data.get("everywhere") else "")


def _policy(row: Any, data: dict[str, Any]) -> str:
    changed = ", ".join(map(str, data.get("changed", [])))
    return f"changed policy: {changed}" if changed else "noted the policy that holds"


def _trust(row: Any, data: dict[str, Any]) -> str:
    trusts = data.get("trusts")
    counts = "whoever could have written them" if trusts else "only where no author could have written them"
    return f"changed queue.trust_status: status files count {counts}"


_SPECIAL: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "sandbox-ended": _sandbox_ended,
    "previewed": _previewed,
    "run-ended": _ended,
    "undone": _undone,
    "cleared": _cleared,
    "logged-out": _logged_out,
    "policy-changed": _policy,
    "queue-trust-changed": _trust,
}
TOLD = (*_SAYINGS, *_SPECIAL)  # events that there are words for


def told_with(word: str) -> list[str]:
    """The events that are told with a word, which need not stand in the log itself: `approved` is an `approve`."""
    low = word.lower()
    return [event for event, saying in _SAYINGS.items() if low in re.sub(r"{\w+}", " ", saying)]


# --- a file's life ---------------------------------------------------------------------------------------------


def lives(path: str, found: list[Any]) -> Iterator[str]:
    """The lives of the files that were at a path, told apart."""
    for number, one in enumerate(found, 1):
        if len(found) > 1:
            yield f"{'' if number == 1 else chr(10)}File {number} of the {len(found)} that were at {inert(path)}:"
        if not one.happened or one.happened[0].source is not None:
            yield f"{'before':<23}  was there already: {inert(one.began)}"
        for happening in one.happened:
            yield f"{moment(happening.at)}  {_did(happening)}"
            yield f"{'':<25}{_under(happening)}"
        yield f"{'now':<23}  {_now(one)}"


def _did(one: Any) -> str:
    source, path = inert(one.source or ""), inert(one.path)
    if one.above:
        return _with_folder(one, source, path)
    if one.source is None:
        came = {"copied": f"copied from {inert(one.copied)} to {path}", "replaced": f"new content at {path}"}
        return came.get(one.effect, f"{one.effect} {path}")
    if one.path.startswith("vault:"):
        word = "replaced" if one.effect == "replaced" else "deleted"
        return f"{word} {source}, and kept in the vault" if not one.outside else f"{source} went back to the vault"
    if one.source.startswith("vault:"):
        return f"restored to {path}, out of the vault"
    if one.effect == "set":
        return f"mode or time of {path} set"
    also = ", in place of what was there" if one.effect == "replaced" else ""
    return f"moved from {source} to {path}{also}"


def _with_folder(one: Any, source: str, path: str) -> str:
    above = inert(one.above)
    if one.source is None:
        return f"{path} came with the folder {above}, which was {one.effect}"
    if one.path.startswith("vault:"):
        return f"{source} deleted with the folder {above}, and kept in the vault"
    if one.source.startswith("vault:"):
        return f"{path} restored with the folder it was in"
    return f"moved from {source} to {path}, with the folder {above}"


def _under(one: Any) -> str:
    """The run behind it: its number, its plan's title, and whose word it was."""
    if one.outside:
        return f"{one.run} taken back by rollback.sh, without treegate"
    approved = f"approved by {inert(', '.join(one.approved_by))}"
    who = approved if one.approved_by else f"no approval asked, run by {inert(one.by)}"
    what = f'"{inert(one.title)}"' if one.title else one.plan
    undo = f", undoing {one.undo_of}" if one.undo_of else ""
    return f"{one.run}{undo}  {what}  {who}"


def _now(one: Any) -> str:
    path, kept = inert(one.path), one.kept
    if one.where == "tree":
        return f"at {path}"
    if one.where == "vault":
        until = "for good" if kept.until is None else f"until {moment(kept.until)}"
        place = f"kept in the vault of {kept.run} as entry {kept.entry}"
        return f"{place}, {until}: treegate vault restore {kept.run} {kept.entry}"
    if one.where == "let go":
        return "no longer kept: the vault let it go"
    if one.where == "aside":
        return f"set aside by rollback.sh: {path}"
    return f"not at {path} any more, and no run took it from there"


class Moment(NamedTuple):
    """One thing in the life of a file: when, what, and the run behind it."""

    when: str
    said: str
    under: str = ""
    run: str = ""


def life(one: Any) -> Iterator[Moment]:
    """One file's life, as rows: what was before, each thing that happened, where it is now."""
    if not one.happened or one.happened[0].source is not None:
        yield Moment("before", f"was there already: {inert(one.began)}")
    for happening in one.happened:
        yield Moment(moment(happening.at), _did(happening), _under(happening), happening.run)
    yield Moment("now", _now(one).partition(": treegate ")[0])
