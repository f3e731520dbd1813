"""The OpenAPI document says what each thing is, in words that its reader can use."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from pegboard.reference.http import make_document
from pegboard.reference.subject import Subject, read_subject
from pegboard_sdk.http import Route

Operation = dict[str, Any]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return read_subject()


@pytest.fixture(scope="module")
def made(subject: Subject) -> tuple[dict[str, Any], dict[tuple[str, str], Route]]:
    return make_document(subject)


@pytest.fixture(scope="module")
def document(made: tuple[dict[str, Any], Any]) -> dict[str, Any]:
    return made[0]


@pytest.fixture(scope="module")
def operations(made: tuple[dict[str, Any], dict[tuple[str, str], Route]]) -> list[tuple[Operation, Route]]:
    document, routes = made
    return [(document["paths"][path][method], route) for (path, method), route in routes.items()]


def good(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((status, answer) for status, answer in operation["responses"].items() if status.startswith("2"))


def test_every_schema_has_its_struct_s_docstring(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name, schema in schemas.items() if not schema.get("description")] == []
    assert schemas["GigCreate"]["description"].startswith("A new gig.")
    assert schemas["GigSummaryPage"]["description"].startswith("One page of a list.")


def test_a_summary_is_the_docstring_s_beginning(operations: list[tuple[Operation, Route]]) -> None:
    for operation, _ in operations:
        assert operation["description"].replace("\n", " ").startswith(operation["summary"]), operation["operationId"]
        assert " " in operation["summary"]


def test_a_good_answer_is_described_by_what_it_shows(operations: list[tuple[Operation, Route]]) -> None:
    phrases = {status.description for status in HTTPStatus}
    answers = [answer["description"] for operation, _ in operations for _, answer in good(operation)]
    assert [text for text in answers if text in phrases or text == "Stream Response"] == []
    named = {operation["operationId"]: dict(good(operation)) for operation, _ in operations}
    assert named["creation_studio_read_gig"]["200"]["description"] == "A service that a provider offers."
    assert named["creation_studio_list_gigs"]["200"]["description"] == "List published gigs, newest first."
    assert named["integrations_replay_delivery"]["202"]["description"] == "A webhook that came in."


def test_every_parameter_is_described(operations: list[tuple[Operation, Route]]) -> None:
    bare = [
        (operation["operationId"], parameter["name"])
        for operation, _ in operations
        for parameter in operation.get("parameters", ())
        if not parameter.get("description")
    ]
    assert bare == []


def test_the_headers_of_answers_are_declared(operations: list[tuple[Operation, Route]]) -> None:
    tagged = set()
    for operation, route in operations:
        for _, answer in good(operation):
            headers = answer.get("headers", {})
            assert ("Idempotent-Replayed" in headers) == (route.idempotency != "none"), operation["operationId"]
            if "ETag" in headers:
                tagged.add(operation["operationId"].removeprefix("creation_studio_"))
        for status in ("429", "503"):
            assert "Retry-After" in operation["responses"][status]["headers"]
    gigs = {f"{verb}_gig" for verb in ("archive", "create", "publish", "read", "restore", "update")}
    matrix = {"read_matrix", "export_matrix_json", "edit_matrix", "create_role", "describe_role"}
    changes = ("accept_{}_invitation", "create_{}", "edit_{}", "read_{}", "resume_{}", "suspend_{}")
    organisations = {change.format("organisation") for change in changes}
    tenants = {f"{verb}_tenant" for verb in ("create", "read", "rename", "resume", "suspend")} | {"put_tenant_host"}
    assert tagged == gigs | {f"kernel_{name}" for name in matrix | organisations | tenants}


def test_who_is_not_logged_in_may_call_what_anonymous_may(
    subject: Subject, operations: list[tuple[Operation, Route]]
) -> None:
    anonymous = subject.registry.role_permissions["anonymous"]
    assert "creation_studio:gig.read" in anonymous
    for operation, route in operations:
        if route.permission is None:
            assert "security" not in operation
        else:
            free = [{}] if route.permission in anonymous else []
            assert operation["security"] == [*free, {"bearer": []}, {"cookie": []}]
