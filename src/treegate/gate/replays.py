"""Replays: a signed request is heeded once, whoever sends it again while its signature still holds."""

from __future__ import annotations

from treegate.engine import answers
from treegate.gate.core import Core

WHOSE = "signed"  # in place of a name, among the requests that are remembered; no actor is called so


def first(core: Core, signature: str, patience: float | None = None) -> bool:
    """Whether a signature is seen for the first time; from then on it is remembered, by every process, for a day.

    `patience`: seconds for other writers, by default the store's; then Busy.
    """
    with core.store.write(patience) as transaction:
        if answers.find(transaction, WHOSE, signature) is not None:
            return False
        answers.begin(transaction, WHOSE, signature, "", core.clock())
    return True
