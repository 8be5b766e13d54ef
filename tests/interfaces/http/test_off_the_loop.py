"""What takes long is done elsewhere than in the loop that answers everybody."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from test_plans_over_http import SORT, submitted

from treegate.interfaces.http.api import plans
from treegate.model.plan import Plan

Headers = dict[str, str]


@pytest.mark.parametrize(("path", "method"), [("/status", "status"), ("/audit", "log")])
def test_what_reads_many_plans_is_asked_of_a_worker(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch, path: str, method: str
):
    """Every waiting preview is read for the one, every row that is somebody else's for the other."""
    called: list[str] = []
    crew = service.app.state.service.crew  # type: ignore[attr-defined]
    real = crew.call

    async def call(actor: Any, method: str, *args: Any, **named: Any) -> Any:
        called.append(method)
        return await real(actor, method, *args, **named)

    monkeypatch.setattr(crew, "call", call)
    assert service.get(path, headers=author).status_code == 200
    assert called == [method]


def test_no_document_is_read_by_the_process_that_answers(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch
):
    """It is handed on as it came in: to whoever asks for it, or to the worker that previews it anew."""
    made = submitted(service, author)

    def read(*_: Any) -> Plan:
        raise AssertionError("a document was read")

    monkeypatch.setattr(Plan, "decode", read)
    assert service.get(f"/plans/{made['id']}/document", headers=author).text == SORT
    answer = service.post(f"/plans/{made['id']}/validate", headers=author)
    assert (answer.status_code, answer.json()["counts"]["moved"]) == (200, 5)


@pytest.mark.parametrize("kind", plans.FACES)
def test_a_preview_is_written_in_a_thread(
    service: TestClient, author: Headers, monkeypatch: pytest.MonkeyPatch, kind: str
):
    """Whatever it is to look like."""
    made = submitted(service, author)
    monkeypatch.setitem(plans._FACES, kind, lambda preview: threading.current_thread().name)
    answer = service.get(f"/plans/{made['id']}/preview", headers={**author, "Accept": kind})
    assert answer.text.startswith("asyncio_")
