"""The backend over a service: the same answers as over the gate there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from deepwork import Office, Serving, decided, paths, tree
from test_deep_sandbox import SMALL, runnable

import treegate
from treegate.client import Client
from treegate.errors import Denied
from treegate.interfaces.deepagents.backend import TreegateBackend
from treegate.interfaces.deepagents.sandbox import TreegateSandbox
from treegate.model.actors import Role

pytest.importorskip("fastapi", reason="the extra `service` is not installed")


@pytest.fixture
def serving(office: Office) -> Iterator[Serving]:
    found = Serving(office)
    yield found
    found.close()


@pytest.fixture
def far(office: Office, serving: Serving) -> Iterator[Client]:
    with treegate.connect(serving.address, office.token("ann", Role.AUTHOR, cases=["Smith"])) as client:
        yield client


def test_a_service_is_answered_as_a_gate_is(office: Office, far: Client):
    both = [TreegateBackend(far, "Smith"), TreegateBackend(office.gate, "Smith")]
    for one in both:
        one.upload_files([("/raw:%FF/x", b"\xff\0"), ("/t.txt", b"a\nb\n")])
        one.move("/Notes", "/N/")
        one.delete("/Scans/1.pdf")
        one.edit("/a.txt", "beta", "needle")
    there, here = both
    assert there.pending() == here.pending()
    assert tree(there) == tree(here)
    for ask in (
        lambda one: one.ls("/N/Notes"),
        lambda one: one.ls("/nope"),
        lambda one: one.read("/a.txt", 1, 1),
        lambda one: one.read("/raw:%FF/x"),
        lambda one: one.glob("*.{md,yml}"),
        lambda one: one.grep("needle"),
        lambda one: one.grep("one", "/", "*.md", max_count=1),
        lambda one: one.grep(""),
        lambda one: one.download_files(["/nope", "/N", "/raw:%FF/x"]),
        lambda one: one.write("/a.txt/x", ""),
        lambda one: one.move("/a.txt", "/Scans"),
        lambda one: one.delete("/.treegate"),
        lambda one: one.preview(),
    ):
        assert ask(there) == ask(here)


def test_changes_go_all_the_way_over_a_service(office: Office, far: Client):
    backend = TreegateBackend(far, "Smith", title="By wire")

    async def work() -> None:
        assert (await backend.awrite("/x/new.txt", "new")).error is None
        assert (await backend.aedit("/a.txt", "beta", "B")).occurrences == 1
        found = await asyncio.gather(*(backend.als("/") for _ in range(4)), backend.aglob("*.txt"))
        assert paths(found[-1]) == ["/a.txt", "/x/new.txt"]

    asyncio.run(work())
    shown = tree(backend)
    told = backend.submit()
    decided(office, told["plan"])
    office.gate.apply(told["plan"])
    assert backend.status()["changes"] == 0
    assert tree(backend) == shown
    assert office.path("Smith/x/new.txt").read_text() == "new"


def test_a_rejection_comes_over_a_service_with_its_reason(office: Office, far: Client):
    backend = TreegateBackend(far, "Smith")
    backend.write("/x", "")
    decided(office, backend.submit()["plan"], "reject", "not here")
    assert "not here" in backend.submit()["error"]["message"]
    backend.discard()
    backend.write("/x", "")
    again = backend.submit()
    assert again["error"]["code"] == "already-rejected"
    assert "not here" in again["error"]["message"]


def test_a_token_that_can_do_more_than_propose_is_refused(office: Office, serving: Serving):
    with (
        treegate.connect(serving.address, office.token("rita", Role.REVIEWER)) as client,
        pytest.raises(Denied) as caught,
    ):
        TreegateBackend(client, "Smith")
    assert caught.value.code == "agent-not-author"


def test_another_case_is_closed(far: Client):
    other = TreegateBackend(far, "Jones")
    assert other.ls("/").entries is None
    assert other.upload_files([("/x", b"")])[0].error == "permission_denied"


@runnable
def test_a_command_runs_behind_a_service(office: Office):
    office.configure(**SMALL)
    serving = Serving(office)
    try:
        with treegate.connect(serving.address, office.token("ann", Role.AUTHOR, cases=["Smith"])) as client:
            sandbox = TreegateSandbox(client, "Smith")
            assert sandbox.execute("head -1 a.txt").output == "alpha\n"
            found = asyncio.run(sandbox.aexecute("echo more >> a.txt; exit 5"))
            assert found.exit_code == 5
            assert "treegate: what it did is plan pl_" in found.output
    finally:
        serving.close()
    assert office.path("Smith/a.txt").read_text() == "alpha\nbeta\ngamma\n"
