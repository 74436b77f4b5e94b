"""What was refused of an import is told by code and reason, in a client's language, whenever it was kept."""

import csv
import io

import orjson
import pytest

from query_api.imports.lines import invalid_csv, invalid_ndjson, undone_ndjson
from tests.default_schema import UNIQUE_EMAIL


def invalid(*errors: dict, language="en") -> list[tuple[str, str, str]]:
    lines = invalid_ndjson([{"row": 7, "errors": list(errors)}], language).splitlines()
    return [(one["field"], one["code"], one["reason"]) for one in map(orjson.loads, lines)]


@pytest.mark.parametrize(
    ("error", "code", "spanish"),
    [
        ({"field": "email", "code": "empty", "reason": "must not be empty"}, "empty", "no puede estar vacío"),
        # As earlier versions kept them: without a code, or in words that are not said any more.
        ({"field": "id", "reason": "must be a UUID"}, "no-uuid", "debe ser un UUID"),
        (
            {"field": "row", "reason": "names no field to change"},
            "no-field",
            "no nombra ningún campo que cambiar",
        ),
        (
            {"field": "row", "code": "unreadable-row", "reason": "is no JSON: trailing comma is not allowed"},
            "unreadable-row",
            "no es JSON",
        ),
        (
            {"field": "email", "code": "no-email", "reason": "is no e-mail address: It must have an @-sign."},
            "no-email",
            "no es una dirección de correo electrónico",
        ),
        ({"field": "phone", "code": "odd", "reason": "was odd"}, "odd", "was odd"),
        ({"field": "phone", "reason": "was odd"}, "not-valid", "was odd"),
    ],
)
def test_each_error_has_its_code_and_its_reason_in_both_languages(error, code, spanish):
    assert invalid(error) == [(error["field"], code, error["reason"])]
    assert invalid(error, language="es") == [(error["field"], code, spanish)]


def test_a_name_that_a_spreadsheet_would_compute_is_none_in_csv():
    rows = invalid_csv([{"row": 7, "errors": [{"field": "=1+1", "reason": "is not known"}]}], "es")
    assert next(csv.reader(io.StringIO(rows.decode()))) == ["7", "'=1+1", "no se conoce", "unknown-name"]


def test_what_the_rules_refuse_has_the_code_of_the_problem():
    document = {
        "causation_id": "row:000000012",
        "code": "duplicate-email",
        "detail": "another person has this e-mail address",
    }
    expected = {"row": 12, "field": "email", "reason": "otra persona tiene esta dirección de correo"}
    told = orjson.loads(undone_ndjson([document], "es", UNIQUE_EMAIL))
    assert told == {**expected, "code": "duplicate-email"}
