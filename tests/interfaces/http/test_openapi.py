"""The OpenAPI document says what there is, all of it, and its examples are true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from treegate.interfaces.http.app import create_app
from treegate.interfaces.http.openapi import examples, operations

DOCUMENT = create_app(Path("/nowhere"), {}).openapi()
OPERATIONS = dict(operations(DOCUMENT))
OPEN = {"GET /healthz", "GET /readyz", "GET /schemas/{name}"}
ENDLESS = {"plan-events"}  # a stream without an end has no whole answer to show


def references(value: Any) -> Iterator[str]:
    """Every $ref below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for held in value.values():
            yield from references(held)
    elif isinstance(value, list):
        for held in value:
            yield from references(held)


def fits(value: Any, schema: dict[str, Any]) -> None:
    """Fails unless a value is what a schema of the document describes."""
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def test_the_document_is_openapi():
    """It holds against the schema of OpenAPI 3.1, and everything it refers to is in it."""
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(error) for error in OPENAPI_31_VALIDATOR.iter_errors(DOCUMENT)] == []
    schemas = DOCUMENT["components"]["schemas"]
    assert {name.rpartition("/")[2] for name in references(DOCUMENT)} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_are_called_by_names_that_nobody_else_has():
    """Also no type had to be called by its module because another one has its name."""
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))
    assert [name for name in DOCUMENT["components"]["schemas"] if "." in name] == []
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == tags


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_is_for_takes_gives_and_refuses(name: str):
    """A sentence; whether it needs a token; a schema of each answer; a problem document of each refusal."""
    operation = OPERATIONS[name]
    assert operation["summary"].endswith((".", "…")), operation["summary"]
    assert ("security" not in operation) == (name in OPEN)
    if name not in OPEN:
        assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"])
    for code, response in operation["responses"].items():
        assert response["description"]
        if code >= "400":
            assert list(response["content"]) == ["application/problem+json"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter["name"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_has_an_example_that_is_what_its_schema_says(name: str):
    """Of the body that it takes and of each kind of answer that it gives."""
    operation = OPERATIONS[name]
    if operation["operationId"] in ENDLESS:
        return
    contents = [response.get("content", {}) for code, response in operation["responses"].items() if code < "300"]
    for content in [operation.get("requestBody", {}).get("content", {}), *contents]:
        for media, told in content.items():
            if told["schema"].get("format") != "binary":
                assert "example" in told, media
                fits(told["example"], told["schema"])


def test_there_are_no_examples_of_what_is_not_there():
    """Nobody has to remember to take one out."""
    assert set(examples()) <= {operation["operationId"] for operation in OPERATIONS.values()}


def test_the_document_is_served_as_it_is(service: Any):
    """At /openapi.json, to whoever asks."""
    answer = service.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["paths"].keys() == DOCUMENT["paths"].keys()
