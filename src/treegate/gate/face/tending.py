"""Health and people: pauses, findings, logins, tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from treegate.engine.pauses import Pause
from treegate.engine.probe import Finding
from treegate.engine.store import Touched
from treegate.engine.tokens import Token
from treegate.gate import agentuser, condition, fsck, health, logins, pausing, people, projections, terms
from treegate.gate.condition import Condition
from treegate.gate.face.base import Face
from treegate.gate.terms import Settings, Terms
from treegate.model.actors import Actor, Role


class Tending(Face):
    """Health and people: pauses, findings, logins, tokens."""

    def pause(self, case: str | None = None, comment: str = "") -> list[Pause]:
        """Keeps runs from beginning on a case, or anywhere; what is paused then."""
        return pausing.pause(self._core, case, comment)

    def resume(self, case: str | None = None) -> list[Pause]:
        """Lifts the pause of a case, or that of the whole workspace; what is still paused."""
        return pausing.resume(self._core, case)

    def terms(self) -> Terms:
        """What holds for everybody here: how it is decided, and how long things are kept."""
        return terms.terms(self._core)

    def settings(self) -> Settings:
        """Every setting as it holds, and where it can be changed."""
        return terms.settings(self._core)

    def report(self, touched: Touched) -> None:
        """Writes the reports of what was written elsewhere; what cannot be written is warned of, never raised."""
        projections.note(self._core, touched)

    def condition(self) -> Condition:
        """How the workspace does: jobs, locks, what is unfinished or paused, the log, how large it is."""
        return condition.condition(self._core)

    def sees_condition(self) -> bool:
        """Whether the actor is told how the workspace does."""
        return condition.may_look(self._core)

    def needs_a_person(self) -> bool:
        """Whether something stands still until somebody sees to it: a run to be recovered, a database that is old."""
        return condition.needs_a_person(self._core)

    def doctor(self, *, deep: bool = False) -> list[Finding]:
        """What may go wrong here, with advice; `deep` looks at every entry that the agent's user may change."""
        return health.doctor(self._core, deep=deep)

    def agent_openings(self) -> list[Finding]:
        """What the agent's OS user could do without a plan."""
        return agentuser.findings(self._core)

    def fsck(self, *, dry: bool = False) -> list[Finding]:
        """Whether store, journals, vaults and tree tell one story; makes reports anew that do not, unless `dry`."""
        return fsck.fsck(self._core, dry=dry)

    def log_in(self, token: str) -> str:
        """Logs in to the pages whoever shows a token; the session's secret."""
        return logins.by_token(self._core, token)

    def log_in_once(self, text: str) -> str:
        """Logs in by an address that does it once; the session's secret."""
        return logins.once(self._core, text)

    def log_in_by_oidc(self, name: str, groups: Collection[str]) -> str:
        """Logs in whom the issuer of the configuration names; the session's secret."""
        return logins.by_oidc(self._core, name, groups)

    def logged_in(self, text: str) -> Actor | None:
        """Who a session's secret stands for."""
        return logins.logged_in(self._core, text)

    def log_out(self, text: str, *, everywhere: bool = False) -> None:
        """Ends a session, or all that the actor has."""
        logins.log_out(self._core, text, everywhere=everywhere)

    def invite(self) -> str:
        """The secret of an address that logs the actor in, once."""
        return logins.invite(self._core)

    def create_token(
        self, name: str, role: Role, cases: Iterable[str] | None = None, expires_at: int | None = None
    ) -> tuple[Token, str]:
        """A new token, and its text, which is never shown again."""
        return people.create(self._core, name, role, cases, expires_at)

    def list_tokens(self) -> list[Token]:
        """All tokens that the actor may make and end, without their texts."""
        return people.listing(self._core)

    def revoke_token(self, id_or_name: str) -> Token:
        """Makes a token invalid from now on."""
        return people.revoke(self._core, id_or_name)
