"""What FastAPI finds wrong is told like everything else: in the same order, under the client's names."""

from typing import Annotated

import httpx
import pytest
from fastapi import Query
from pydantic import ValidationError

from events.errors import InvalidFields
from events.feed.position import Position
from query_api.feed.routes import LiveQuery, position_of
from service_kit.http.problems import field_errors
from service_kit.http.typed import EACH_ONCE, PersonId, wants
from service_kit.http.web import create_app
from tests.default_schema import PeopleQuery
from tests.unit.service_kit.test_guard import Verifier

ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


@pytest.fixture
def api() -> httpx.AsyncClient:
    app = create_app("test", {})

    @app.get("/things/{person_id}", dependencies=[wants(Verifier(), "people:read"), EACH_ONCE])
    async def things(person_id: PersonId, query: Annotated[PeopleQuery, Query()]) -> list[str]:
        return [str(person_id), query.sort, *sorted(query.model_fields_set)]

    @app.get("/closed", dependencies=[wants(Verifier(), "ops"), EACH_ONCE])
    async def closed(query: Annotated[PeopleQuery, Query()]) -> None:
        raise AssertionError(query)

    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://api", headers={"Authorization": "ada"})


async def test_parameters_come_as_their_types(api):
    answer = await api.get(f"/things/{ID.upper()}?sort=-birth_date&limit=7")
    assert answer.json() == [ID, "-birth_date", "limit", "sort"]
    assert (await api.get(f"/things/{ID}")).json() == [ID, "last_name"]


@pytest.mark.parametrize(
    ("path", "field", "reason"),
    [
        (f"/things/{ID}?limit=many", "limit", "must be a whole number"),
        (f"/things/{ID}?limit=0", "limit", "must be 1 or more"),
        (f"/things/{ID}?colour=red", "colour", "unknown parameter `colour`"),
        (f"/things/{ID}?lmit=1", "lmit", "unknown parameter `lmit`: did you mean `limit`?"),
        (f"/things/{ID}?birth_date=1990-02-31", "birth_date", "is no day of the calendar"),
        ("/things/7", "path.person_id", "must be a UUID"),
    ],
)
async def test_what_is_wrong_is_named_as_the_client_named_it(api, path, field, reason):
    answer = await api.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:rollcall:problem:invalid-fields"
    assert problem["detail"] == "a parameter is not valid"
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["reason"] == reason


async def test_a_parameter_that_is_given_twice(api):
    answer = await api.get(f"/things/{ID}?limit=1&limit=1")
    assert (answer.status_code, answer.json()["detail"]) == (422, "a parameter is given twice")
    assert answer.json()["errors"] == [{"field": "limit", "code": "given-twice", "reason": "is given twice"}]


async def test_a_caller_learns_nothing_of_the_parameters_before_its_token_is_good(api):
    bad = "?limit=many&limit=0&colour=red"
    assert (await api.get(f"/closed{bad}")).status_code == 403
    assert (await api.get(f"/closed{bad}", headers={"Authorization": ""})).status_code == 401


def test_a_last_event_id_wins_and_is_refused_by_its_own_name():
    assert position_of(LiveQuery(), None) is None
    assert position_of(LiveQuery.model_validate({"from": "first"}), "7") == Position(7)
    with pytest.raises(InvalidFields) as refused:
        position_of(LiveQuery(), "x")
    assert [error["field"] for error in refused.value.errors] == ["Last-Event-ID"]


@pytest.mark.parametrize("place", ["x", "-2", "last", "7-", "7-0199B1F0", "NOW", ""])
def test_a_position_that_is_none_is_told_so_in_words(place):
    with pytest.raises(ValidationError) as failure:
        LiveQuery.model_validate({"from": place})
    reason = "is no position, which is an offset, a hyphen and the event's id"
    assert field_errors(failure.value) == [{"field": "from", "code": "no-position", "reason": reason}]
