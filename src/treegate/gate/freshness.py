"""Freshness: what of a preview's fingerprints no longer holds, found by the look that a run takes first."""

from __future__ import annotations

from functools import partial

from treegate.engine import handles
from treegate.engine.context import RunContext
from treegate.engine.prepass import Finding, PrePass
from treegate.engine.scan import totals_of
from treegate.engine.tablefile import Table
from treegate.gate.core import Core
from treegate.model.tree import Level


def findings(core: Core, table: Table) -> list[Finding]:
    """What of a table's fingerprints does not hold now; what is not allowed is not stale, and is left to the run.

    Raises TreegateError where it cannot be looked.
    """
    context = _context(core, table)
    with context.places() as places:
        look = PrePass(context, places, built=False)
        for row in table.staged:
            if row.source is not None:
                look.entry(row.number, *row.source, row.source_facts, Level.EXACT)
        return [finding for finding in look.all() if not finding.denied]


def _context(core: Core, table: Table) -> RunContext:
    """What the look needs; there is no run yet, so its areas are stood for by those of the volume."""
    workspace = core.workspace
    exact = all(workspace.capabilities(case).stable_inodes for case in table.header.cases)
    return RunContext(
        run="",
        directory=core.state,
        table=table,
        open_root=partial(_root, core),
        blob=core.blobs.open,
        totals=partial(totals_of, exact=exact),
        volumes={workspace.volume(case): workspace.capabilities(case) for case in table.header.cases},
    )


def _root(core: Core, key: bytes) -> int:
    kind, _, rest = key.decode("utf-8", "surrogateescape").partition(":")
    if kind == "case" or ":" in rest:
        return core.workspace.open_root(key, "")
    return handles.open_root(str(core.workspace.area(rest)))
