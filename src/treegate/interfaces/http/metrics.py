"""/metrics: the workspace in numbers, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from treegate.gate import Gate
from treegate.model.lifecycle import State

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What was counted since the process began, and what the store says when it is asked."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.requests = Counter("treegate_requests", "Requests, by status.", ["status"], registry=self._registry)
        self.seconds = Histogram("treegate_request_seconds", "How long answers took.", registry=self._registry)
        self.problems = Counter("treegate_problems", "Errors told, by code.", ["code"], registry=self._registry)

    def text(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the store says now."""
        store = self._gate.core.store
        plans = GaugeMetricFamily("treegate_plans", "Plans, by state.", labels=["state"])
        for state in State:
            plans.add_metric([state.value], store.count_plans([state]))
        yield plans
        yield GaugeMetricFamily("treegate_runs_unfinished", "Runs under way or stopped.", len(store.unfinished()))
        kept = sum(entry.size for entry in store.vault())
        yield GaugeMetricFamily("treegate_vault_bytes", "What the vault keeps.", kept)
        yield GaugeMetricFamily("treegate_audit_head", "The newest row of the audit log.", self._gate.audit_head())
        yield GaugeMetricFamily("treegate_jobs_due", "Runs that may begin now.", len(self._gate.due()))
