"""Events of the audit log in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treegate.render.text import inert
from treegate.render.words import DIGEST

_SAYS = {
    "adopted": "made this workspace",
    "submitted": "handed in revision {revision}",
    "revised": "revised it: revision {revision}",
    "reduced": "left something out: revision {revision}",
    "previewed": "it was previewed: {effects} effects",
    "approve": "approved {digest}",
    "reject": "rejected {digest}",
    "request-changes": "asked for changes of {digest}",
    "revoke": "took the approval of {digest} back",
    "withdraw": "withdrew it",
    "expire": "its approval ran out",
    "go-stale": "the tree is no longer as previewed",
    "run-began": "a run began",
    "run-ended": "the run ended: {outcome}",
    "run-given-back": "the run never began; its approval stands",
    "undone": "it was undone by {by_run}",
    "redone": "its undo {undo} was undone",
    "vault-kept": "the vault has it back",
    "vault-restored": "was taken out of the vault",
    "vault-pruned": "the vault let something go",
    "cleared": "cleared what nothing needs any more",
    "paused": "paused runs",
    "resumed": "resumed runs",
    "token-created": "made the token {name}, {role}",
    "token-revoked": "revoked the token {name}",
    "policy-changed": "the policy was changed",
    "checkpoint": "signed the log up to {seq}",
    "key-noted": "signs with {public_key} from now on",
    "audit-gap": "rows {found} to {expected} are missing",
}


class _Data(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def told(event: str, data: Mapping[str, Any]) -> str:
    """An event in a few words, with the comment that somebody gave."""
    plain = {key: inert(str(value)) for key, value in data.items()}
    if len(plain.get("digest", "")) > DIGEST:
        plain["digest"] = plain["digest"][:DIGEST]
    said = _SAYS.get(event, event.replace("-", " ")).format_map(_Data(plain))
    comment = plain.get("comment", "")
    return f"{said}: {comment}" if comment else said
