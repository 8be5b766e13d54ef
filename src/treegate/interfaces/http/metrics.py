"""/metrics: the workspace in numbers, for Prometheus; no names and no paths."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from treegate.engine import numbers
from treegate.engine.alerts import AlertKind
from treegate.engine.config import Service as Config
from treegate.engine.jobs import JobState
from treegate.errors import Denied
from treegate.gate import Gate
from treegate.interfaces.crew.crew import Crew
from treegate.interfaces.http.rates import Rates
from treegate.model.actors import Actor, Role
from treegate.model.lifecycle import State

MEDIA = "text/plain; version=0.0.4; charset=utf-8"
LONG = (0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800)  # seconds
_PREVIEWS = frozenset({"check", "submit", "revise", "reduce", "refresh", "undo"})
_FORWARDED = ("forwarded", "x-forwarded-for", "via")


class Metrics:
    """What was counted since the process began, and what the store says when it is asked."""

    def __init__(self, gate: Gate, rates: Rates, crews: Mapping[str, Crew]) -> None:
        self._gate, self._rates, self._crews = gate, rates, crews
        for crew in crews.values():
            crew.timed = self.timed
        registry = self._registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        told = ["method", "route", "status"]
        self.requests = Counter("treegate_requests", "Requests, by route and status.", told, registry=registry)
        self.seconds = Histogram(
            "treegate_request_seconds", "How long answers took, by route.", ["route"], registry=registry
        )
        self.problems = Counter("treegate_problems", "Errors told, by code.", ["code"], registry=registry)
        self.previews = Histogram(
            "treegate_preview_seconds", "How long previews took.", registry=registry, buckets=LONG
        )
        self.runs = Histogram(
            "treegate_run_seconds", "How long runs took, by how they ended.", ["end"], registry=registry, buckets=LONG
        )

    def timed(self, method: str, seconds: float, code: str) -> None:
        """A worker has done something, in so many seconds; `code` is that of its error, or ""."""
        if method == "carry_out":
            self.runs.labels(code or State.APPLIED).observe(seconds)
        elif method in _PREVIEWS:
            self.previews.observe(seconds)

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the store says now, and how busy we are."""
        store = self._gate.core.store
        plans, runs = numbers.plans(store), numbers.runs(store)
        yield _gauge("treegate_plans", "Plans, by state.", "state", {str(one): plans.get(one, 0) for one in State})
        yield GaugeMetricFamily("treegate_runs_under_way", "Runs under way.", runs.get(State.APPLYING, 0))
        stuck = runs.get(State.NEEDS_RECOVERY, 0)
        yield GaugeMetricFamily("treegate_runs_unrecovered", "Runs that stopped and need recovery.", stuck)
        wrong = numbers.alerts(store)
        standing = {str(kind): wrong.get(kind, 0) for kind in AlertKind}
        yield _gauge("treegate_alerts", "What is wrong and wants a person, by kind.", "kind", standing)
        yield GaugeMetricFamily("treegate_vault_bytes", "What the vault keeps.", numbers.vault_size(store))
        yield GaugeMetricFamily("treegate_audit_head", "The newest row of the audit log.", self._gate.audit_head())
        jobs = numbers.jobs(store)
        waiting = {str(state): jobs.get(state, 0) for state in (JobState.QUEUED, JobState.RUNNING)}
        yield _gauge("treegate_jobs", "Runs that were asked for, by state.", "state", waiting)
        busy = {name: crew.busy for name, crew in self._crews.items()}
        yield _gauge("treegate_crew_busy", "Calls that worker processes work on, or have waiting.", "crew", busy)
        yield CounterMetricFamily("treegate_rate_limited", "Requests refused as too many.", self._rates.refused)


def _gauge(name: str, meaning: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    found = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        found.add_metric([key], value)
    return found


class NotForYou(Denied):
    """The numbers are not for whoever asks."""

    code = "metrics-not-allowed"


def is_loopback(request: Request, config: Config) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy on it that we do not know."""
    through = not config.proxies and any(name in request.headers for name in _FORWARDED)
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback and not through


def require(actor: Actor) -> None:
    """Raises Denied unless whoever asks keeps the service running."""
    if actor.role not in {Role.OPERATOR, Role.ADMIN}:
        raise NotForYou("the numbers are for operators", hint="use an operator's token, or ask from this machine")
