"""Claims of `queue.batch`: so many plans of one case in a row, then the others' turn; nobody waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from workplace import Place

from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.interfaces.crew import runner
from treegate.interfaces.crew.runner import Runner
from treegate.model.actors import Actor


class Alone:
    """A crew of one, in this process."""

    size = 1

    def __init__(self, gate: Gate) -> None:
        self._gate, self._one = gate, asyncio.Lock()
        self.cases: list[str] = []

    async def call(self, actor: Actor, method: str, *given: Any) -> Any:
        async with self._one:
            done = getattr(self._gate.acting_as(actor), method)(*given)
            if method == "carry_on":
                self.cases += [case for one in done for case in one.cases]
            return done


@pytest.mark.parametrize(
    ("batch", "asked", "order"),
    [
        ("1", "JSJSJSJS", "JSJSJSJS"),
        ("2", "JSJSJSJS", "JJSSJJSS"),
        ("3", "JSJSJSJS", "JJJSSSJS"),
        ("9", "JSJSJSJS", "JJJJSSSS"),
        ("1", "JJJJSSSSB", "JSBJSJSJS"),  # who asked for much, and before, keeps nobody waiting
        ("2", "JJJJSSSSB", "JJSSBJJSS"),
    ],
)
@pytest.mark.parametrize("seconds", [60.0, 0.0], ids=["by themselves", "one at a time"])
def test_so_many_of_a_case_in_a_row(
    place: Place, batch: str, asked: str, order: str, seconds: float, monkeypatch: pytest.MonkeyPatch
):
    """One that is told of each job anew has no rows, and is as fair."""
    monkeypatch.setattr(runner, "ROW", seconds)
    place.put("Brown/note.txt", "a third case")
    place.environ |= {"TREEGATE_QUEUE_BATCH": batch, "TREEGATE_POLICY_APPROVAL_OWN": "true"}
    with place.open() as gate:
        for n, case in enumerate(asked):
            named = {"J": "Jones", "S": "Smith", "B": "Brown"}[case]
            done = gate.submit(
                f'{{"version": 1, "case": "{named}", "operations": [{{"op": "mkdir", "path": "{n}"}}]}}'
            )
            gate.approve(done.id, done.digest)
            gate.ask(done.id)
        crew = Alone(gate)
        asyncio.run(worked(Runner(gate, crew, pause=0.01, many=True)))  # type: ignore[arg-type]
    fair = order if seconds else {"JSJSJSJS": "JSJSJSJS", "JJJJSSSSB": "JSBJSJSJS"}[asked]
    assert "".join(case[0] for case in crew.cases) == fair


async def worked(running: Runner) -> None:
    running.start()
    try:
        while await running.busy():
            await asyncio.sleep(0.01)
    except TreegateError:
        pass
    await running.stop()
