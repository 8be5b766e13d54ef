"""Health and people, over the wire: pauses, findings, settings, tokens."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from treegate.client.base import Far
from treegate.client.wire import segment
from treegate.engine.pauses import Pause
from treegate.engine.probe import Finding
from treegate.engine.tokens import Token
from treegate.gate.terms import Settings
from treegate.model.actors import Role


class _Made(msgspec.Struct):
    token: Token
    text: str


class Tending(Far):
    """Health and people, over the wire: pauses, findings, settings, tokens."""

    def pause(self, case: str | None = None, comment: str = "") -> list[Pause]:
        """Keeps runs from beginning on a case, or anywhere; what is paused then."""
        return self._wire.post("/pause", list[Pause], {"case": case, "comment": comment}, member="paused")

    def resume(self, case: str | None = None) -> list[Pause]:
        """Lifts the pause of a case, or that of the whole workspace; what is still paused."""
        return self._wire.post("/resume", list[Pause], {"case": case}, member="paused")

    def settings(self) -> Settings:
        """Every setting as it holds, and where it can be changed."""
        return self._wire.get("/config", Settings)

    def doctor(self, *, deep: bool = False) -> list[Finding]:
        """What may go wrong here, with advice; `deep` looks at every entry that the agent's user may change."""
        return self._wire.post("/doctor", list[Finding], {"deep": deep}, member="findings")

    def fsck(self, *, dry: bool = False) -> list[Finding]:
        """Whether store, journals, vaults and tree tell one story; makes reports anew that do not, unless `dry`."""
        return self._wire.post("/fsck", list[Finding], {"dry": dry}, member="findings")

    def create_token(
        self, name: str, role: Role, cases: Iterable[str] | None = None, expires_at: int | None = None
    ) -> tuple[Token, str]:
        """A new token, and its text, which is never shown again."""
        body = {"name": name, "role": role, "cases": None if cases is None else list(cases), "expires_at": expires_at}
        made: _Made = self._wire.post("/tokens", _Made, body, once=True)  # nobody is to keep the answer
        return made.token, made.text

    def list_tokens(self) -> list[Token]:
        """All tokens, without their texts."""
        return self._wire.get("/tokens", list[Token], member="tokens")

    def revoke_token(self, id_or_name: str) -> Token:
        """Makes a token invalid from now on."""
        return self._wire.delete(f"/tokens/{segment(id_or_name)}", Token)
