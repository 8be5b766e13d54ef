"""Whatever is sent, each operation answers as its document says: no 5xx, no other status, kind or shape."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from test_service_killed import Serving

from treegate.gate import Gate
from treegate.interfaces.http.app import create_app
from treegate.interfaces.http.openapi import operations
from treegate.model.actors import Role

DOCUMENT = create_app(Path("/nowhere"), {}).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
ENDLESS = {"plan-events"}  # a stream that ends when its reader goes
NAMES = [name for name, one in operations(DOCUMENT) if one["operationId"] not in ENDLESS]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
FEW, MANY = 12, 300
SORT = '{"version": 1, "case": "Smith", "operations": [{"op": "move", "match": "*.pdf", "to": "Scans/"}]}'


class Served:
    """A service on a port of its own, and what there is to ask for."""

    def __init__(self, url: str, token: str, known: dict[str, list[str]]) -> None:
        self.url, self.known = url, known
        self.headers = {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A small office with a plan that waits, one that was carried out, and one with faults."""
    folder = tmp_path_factory.mktemp("fuzzed")
    root, environ = folder / "office", {"TREEGATE_STATE": str(folder / "state"), "PATH": "/usr/bin:/bin"}
    for case in ("Smith", "Jones"):
        (root / "projects" / case).mkdir(parents=True)
        (root / "projects" / case / "scan.pdf").write_text(case)
    Gate.init(root, environ=environ, solo=True).close()
    with Gate.open(root, environ) as gate:
        token = gate.create_token("ada", Role.ADMIN)[1]
        waits, faulty = gate.submit(SORT), gate.submit(SORT.replace("*.pdf", "*.doc"))
        done = gate.submit(SORT.replace("Smith", "Jones"))
        gate.approve(done.id, done.digest)
        run = gate.apply(done.id).run
    known = {"plans": [waits.id, faulty.id, done.id], "runs": [run], "cases": ["Smith", "Jones"]}
    serving = Serving(root, {**environ, "PATH": os.environ["PATH"]})
    yield Served(serving.address, token, known)
    serving.process.terminate()
    assert serving.process.wait(60) == 0


def holds(name: str, served: Served, count: int) -> None:
    """Sends an operation what fits its document and what does not, to things that are there and that are not."""
    method, path = name.split(" ")
    operation = SCHEMA[path][method]
    kinds = [
        operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    ]
    known = served.known.get(path.split("/")[1], [])

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(kinds), there=st.sampled_from([*known, None]))
    def sent(case: Any, there: str | None) -> None:
        if there is not None and case.path_parameters:
            case.path_parameters |= {key: there for key in ("id", "case") if key in case.path_parameters}
        response = case.call(base_url=served.url, headers=served.headers, timeout=60)
        case.validate_response(response, checks=CHECKS)

    sent()


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_answers_as_its_document_says(name: str, served: Served):
    """A few requests each, the same in every run."""
    holds(name, served, FEW)


@pytest.mark.faults
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_answers_as_its_document_says_whatever_is_sent(name: str, served: Served):
    """Many requests each."""
    holds(name, served, MANY)
