"""What the store's tests tell again and again: a store, a plan that waits, one that is approved, one that ran."""

from __future__ import annotations

from pathlib import Path

from treegate.engine.store import By, Run, Store, StoredPreview, Verdict
from treegate.model.lifecycle import State

ANN = By("ann", "cli", 1_000, "author")
BOB = By("bob", "http", 2_000, "reviewer")
EVE = By("eve", "slack", 3_000, "reviewer")


def new_store(folder: Path, name: str = "treegate.db") -> Store:
    store = Store.open(folder / name, create=True)
    with store.write() as write:
        write.adopt("ws_1", "st_1", ANN)
    return store


def propose(store: Store, id: str = "pl_a", case: str = "Smith", digest: str = "", **plan: object) -> StoredPreview:
    """A plan that waits for its approval, in one transaction."""
    with store.write() as write:
        write.add_plan(
            id,
            cases=[case],
            title="Sort the scans",
            document=b'{"version":1}',
            plan_digest=f"doc-{id}",
            by=ANN,
            **plan,
        )
        return write.add_preview(id, **preview(digest or f"dig-{id}"))


def preview(digest: str, valid: bool = True, effects: int = 1) -> dict[str, object]:
    chunks = [
        b"[" + b",".join(b"%d" % n for n in range(at, min(at + 100, effects))) + b"]" for at in range(0, effects, 100)
    ]
    return {
        "digest": digest,
        "table_digest": f"table-{digest}",
        "model": b'{"summary":"one file moves"}',
        "effects": effects,
        "chunks": chunks,
        "valid": valid,
        "by": ANN,
    }


def approve(store: Store, id: str = "pl_a", by: By = BOB, **more: object) -> None:
    digest = store.plan(id).digest
    assert digest is not None
    with store.write() as write:
        write.decide(id, digest=digest, verdict=Verdict.APPROVE, by=by, **more)


def begin(store: Store, id: str = "pl_a", run: str = "run_a", at: int = 4_000) -> tuple[Run, bool]:
    digest = store.plan(id).digest
    assert digest is not None
    with store.write() as write:
        return write.begin_run(id, digest=digest, run_id=run, by=By("olaf", "cli", at, "operator"))


def end(store: Store, run: str = "run_a", outcome: State = State.APPLIED, **more: object) -> Run:
    with store.write() as write:
        return write.end_run(run, outcome, by=By("olaf", "cli", 5_000, "operator"), **more)


def apply(store: Store, id: str, run: str, case: str = "Smith", undo_of: str | None = None, **ending: object) -> Run:
    """The whole way of one plan, from proposal to the end of its run."""
    propose(store, id, case, undo_of=undo_of)
    approve(store, id)
    begin(store, id, run)
    return end(store, run, **ending)
