"""Both OpenAPI documents are precise enough to make clients from: named schemas, ids, no body left open."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from command_api.app import IMPERSONAL as COMMANDS
from command_api.app import build_app as build_command_api
from command_api.people.documentation import forms_of
from events.person.fields import stored_forms
from events.person.schema.reading import parse_schema
from query_api.app import IMPERSONAL as NO_READS
from query_api.app import build_app as build_query_api
from query_api.people.sorting import orders_of
from service_kit.http.answers import person_answers
from service_kit.http.guard import EXPOSED
from service_kit.http.openapi import schemas_of
from service_kit.settings import MIN_SECRET_BYTES, Settings
from tests.default_schema import SCHEMA
from tests.unit.test_house import KINDS, ROOT
from tests.workbooks import WORKBOOK

Schema = dict[str, Any]
Document = dict[str, Any]
APIS = ("command", "query")
# Lines that end with the answer, a picture, and what Prometheus reads: no schema says more of them.
TEXTS = {
    "application/x-ndjson",
    "text/csv",
    "text/event-stream",
    "text/plain",
    "image/jpeg",
    "image/webp",
    "application/octet-stream",
    WORKBOOK["Content-Type"],
}


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> dict[str, Document]:
    """What both APIs serve at `/openapi.json`."""
    folder = tmp_path_factory.mktemp("keys")
    key, kek = folder / "key", folder / "kek"
    key.write_text("x" * MIN_SECRET_BYTES)
    kek.write_text(f"one {'0' * 64}")
    kek.chmod(0o600)
    settings = Settings(
        amqp_url="amqp://a:b@localhost/", mongo_uri="mongodb://localhost/", jwt_key_file=key, kek_file=kek
    )
    apps = build_command_api(settings, lambda: datetime.now(UTC)), build_query_api(settings)
    return {name: app.openapi() for name, app in zip(APIS, apps, strict=True)}


def operations(document: Document) -> Iterator[tuple[str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def bodies(document: Document) -> Iterator[tuple[str, str, Schema]]:
    """Yield the place, media type and schema of every body: of requests, and of every answer."""
    for name, operation in operations(document):
        parts = [("request", operation.get("requestBody", {})), *operation["responses"].items()]
        for part, body in parts:
            for media_type, content in body.get("content", {}).items():
                yield f"{name}: {part}", media_type, content["schema"]


def vague(document: Document, schema: Schema, place: str, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield each place in a schema of which a client would know nothing."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from vague(
                document, document["components"]["schemas"][name], f"{place} {name}", (*seen, name)
            )
        return
    choices = [choice for key in ("anyOf", "oneOf", "allOf") for choice in schema.get(key, ())]
    for choice in choices:
        yield from vague(document, choice, place, seen)
    if not choices and "type" not in schema:
        yield f"{place} has no type"
    if schema.get("type") == "object":
        others = schema.get("additionalProperties")
        if not schema.get("properties") and not isinstance(others, dict):
            yield f"{place} may be any object"
        for name, value in schema.get("properties", {}).items():
            yield from vague(document, value, f"{place}.{name}", seen)
        if isinstance(others, dict):
            yield from vague(document, others, f"{place}.*", seen)
    if schema.get("type") == "array":
        yield from vague(document, schema.get("items", {}), f"{place}[]", seen)


def test_what_is_vague_is_found():
    document = {"components": {"schemas": {"Open": {"type": "object"}, "Loop": {"type": "array"}}}}
    document["components"]["schemas"]["Loop"]["items"] = {"$ref": "#/components/schemas/Loop"}
    for schema, found in (
        ({}, 1),
        ({"type": "object"}, 1),
        ({"type": "object", "additionalProperties": False}, 1),
        ({"type": "object", "additionalProperties": {}}, 1),
        ({"type": "object", "properties": {"a": {}, "b": {"type": "string"}}}, 1),
        ({"type": "array"}, 1),
        ({"anyOf": [{"$ref": "#/components/schemas/Open"}, {"type": "null"}]}, 1),
        ({"$ref": "#/components/schemas/Loop"}, 0),
        ({"type": "object", "additionalProperties": {"type": "string"}}, 0),
    ):
        assert len(list(vague(document, schema, ""))) == found, schema


@pytest.mark.parametrize("api", APIS)
def test_every_body_is_precise(documents, api):
    for place, _, schema in bodies(documents[api]):
        assert not list(vague(documents[api], schema, place))
    for name, operation in operations(documents[api]):
        for status, answer in operation["responses"].items():
            assert "content" in answer or status in ("204", "304"), f"{name}: {status} has no schema"


@pytest.mark.parametrize("api", APIS)
def test_every_body_that_is_no_text_has_a_name(documents, api):
    for place, media_type, schema in bodies(documents[api]):
        if media_type in TEXTS:
            assert schema["type"] == "string", place
        else:
            assert list(schema) == ["$ref"], f"{place}, {media_type}"


def test_a_name_means_the_same_in_both_documents(documents):
    command, query = (documents[api]["components"]["schemas"] for api in APIS)
    assert command.keys() & query.keys() >= {"Person", "Problem", "Readiness"}
    for name in command.keys() & query.keys():
        assert command[name] == query[name]
    assert {"PersonInput", "PersonPatch", "Tokens"} <= command.keys()
    assert {"Event", "PageOfPeople", "PageOfEvents", "Import"} <= query.keys()


@pytest.mark.parametrize("api", APIS)
def test_every_operation_has_an_id_of_its_own(documents, api):
    ids = Counter(operation["operationId"] for _, operation in operations(documents[api]))
    assert all(name.isalpha() and name[0].islower() and len(name) <= 24 for name in ids), ids
    assert max(ids.values()) == 1, ids


@pytest.mark.parametrize("api", APIS)
def test_every_schema_is_used_and_every_reference_leads_somewhere(documents, api):
    text = repr(documents[api])
    for kind in ("schemas", "examples"):
        for name in documents[api]["components"][kind]:
            assert f"#/components/{kind}/{name}'" in text, name
    for place, _, schema in bodies(documents[api]):
        list(vague(documents[api], schema, place))  # it looks each up


@pytest.mark.parametrize("api", APIS)
def test_the_examples_are_what_their_schemas_say(documents, api):
    document = documents[api]
    registry = Registry().with_resource(
        "urn:openapi", Resource.from_contents(document, default_specification=DRAFT202012)
    )
    shown = 0
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}):
                schema = {"$ref": f"urn:openapi{content['schema']['$ref']}"}
                value = document["components"]["examples"][example]["value"]
                checker = Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())
                assert not list(checker.iter_errors(value)), f"{name}: {status}"
                shown += 1
            if status.startswith("2") and "application/json" in answer.get("content", {}):
                assert content.get("examples") or "operations" in operation["tags"], f"{name}: {status}"
    assert shown > 5


@pytest.mark.parametrize("api", APIS)
def test_pages_of_other_origins_may_read_every_header_of_ours(documents, api):
    for name, operation in operations(documents[api]):
        for answer in operation["responses"].values():
            assert set(answer.get("headers", ())) <= {*EXPOSED, "Cache-Control"}, name


def has(document: Document, schema: Schema, steps: list[str]) -> bool:
    """Return whether what a schema describes may have a value at a place."""
    if "$ref" in schema:
        return has(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], steps)
    choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if choices or not steps:
        return not steps or any(has(document, choice, steps) for choice in choices)
    inner = schema.get("items") if steps[0] == "0" else schema.get("properties", {}).get(steps[0])
    return inner is not None and has(document, inner, steps[1:])


@pytest.mark.parametrize("api", APIS)
def test_links_take_what_there_is_to_operations_that_there_are(documents, api):
    targets = {operation["operationId"]: operation for _, operation in operations(documents[api])}
    count = 0
    for place, operation in operations(documents[api]):
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                names = {one["name"] for one in targets[link["operationId"]]["parameters"]}
                assert link["parameters"].keys() <= names, place
                for expression in link["parameters"].values():
                    source, name = re.fullmatch(r"\$response\.(header\.|body#/)(.+)", expression).groups()
                    if source == "header.":
                        assert name in answer["headers"], place
                    else:
                        schema = answer["content"]["application/json"]["schema"]
                        assert has(documents[api], schema, name.split("/")), f"{place}: {name}"
                count += 1
    assert count > 5


def test_what_is_always_there_is_required(documents):
    schemas = documents["query"]["components"]["schemas"]
    assert set(schemas["Event"]["required"]) == set(schemas["Event"]["properties"])
    assert set(schemas["AppliedEntry"]["required"]) == set(schemas["AppliedEntry"]["properties"])
    view, person = stored_forms(SCHEMA).view, person_answers(SCHEMA).person
    assert set(schemas["Person"]["required"]) == set(view.model_fields) == set(person.model_fields)
    page = schemas["PageOfPeople"]
    assert set(page["properties"]) - set(page["required"]) == {"count", "count_exact"}


def test_what_wants_a_scope_is_named_with_it_and_not_always_there():
    employees = parse_schema((ROOT / "examples" / "schemas" / "employees.json").read_bytes())
    person = schemas_of(person_answers(employees).person)["Person"]
    assert set(person["properties"]) - set(person["required"]) == {"salary"}
    told = "hown with the scope `payroll:read`; set with the scope `payroll:write`"
    bodies = forms_of(employees)
    for form in (person, bodies["PersonInput"], bodies["PersonPatch"]):
        described = {name: str(field) for name, field in form["properties"].items()}
        assert [name for name, text in described.items() if told in text] == ["salary"]
        assert [name for name, text in described.items() if "payroll" in text] == ["salary"]


def test_the_kinds_of_problems_are_listed(documents):
    types = documents["command"]["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert {f"urn:rollcall:problem:{kind.code}" for kind in KINDS} <= set(types)
    assert len(types) == len(set(types))


def test_parameters_tell_their_formats_and_their_words(documents):
    schemas = {
        (name, parameter["name"]): parameter["schema"]
        for api in APIS
        for name, operation in operations(documents[api])
        for parameter in operation.get("parameters", ())
    }
    formats = {
        ("GET /people/{person_id}", "person_id"): "uuid",
        ("GET /people/{person_id}/commands/{command_id}", "command_id"): "uuid",
        ("GET /images/{image_id}", "image_id"): "uuid",
        ("DELETE /dead-letters/{person_id}/{command_id}", "command_id"): "uuid",
        ("POST /people/import", "import_id"): "uuid",
        ("GET /people", "birth_date"): "date",
        ("GET /people/by-document/{document_type}/{document_id}", "document_type"): "rollcall-document-type",
        ("GET /people/by-document/{document_type}/{document_id}", "document_id"): "rollcall-document-number",
        ("GET /people/export", "created_from"): "date-time",
        ("GET /people/{person_id}", "as_of"): "date-time",
        ("GET /events", "from"): "date-time",
    }
    for place, format_ in formats.items():
        assert schemas[place]["format"] == format_, place
    both = {word for name in orders_of(SCHEMA).names for word in (name, f"-{name}")}
    assert set(schemas["GET /people", "sort"]["items"]["enum"]) == both
    assert set(schemas["GET /people/export", "sort"]["items"]["enum"]) == both
    assert set(schemas["GET /events", "sort"]["enum"]) == {"applied_at", "-applied_at"}


def test_every_route_that_is_on_record_takes_a_purpose_and_no_other(documents):
    for name, impersonal in (("command", COMMANDS), ("query", NO_READS)):
        paths = documents[name]["paths"]
        assert impersonal & set(paths)
        for path, operations_ in paths.items():
            for operation in operations_.values():
                named = [one["name"] for one in operation.get("parameters", ())]
                assert ("Rollcall-Purpose" in named) == (path not in impersonal), path
    assert "/people/{person_id}/erase" in COMMANDS and "/dead-letters/messages" not in COMMANDS
