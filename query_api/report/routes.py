"""`GET /people/{id}/report`: what a person may be told who asks what is kept; asking it is on record, too."""

from typing import Annotated, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute

from query_api.people.routes import PeopleDependencies
from query_api.reading.accept import choose
from query_api.reading.forms import ReadQuery
from query_api.report.answers import report_answer
from query_api.report.gathering import Reports
from query_api.report.page import page_of, policy_of
from service_kit.auth.roles import REPORT_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.http.openapi import TEXT, json_answer, problems
from service_kit.http.parameters import parameters
from service_kit.http.reasons import language_headers, language_of
from service_kit.http.typed import PersonId, wants

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_NO_STORE: Final = {"Cache-Control": "no-store", "Vary": "Accept"}


def add_report_route(app: FastAPI, dependencies: PeopleDependencies, reports: Reports) -> None:
    """Add the route that tells all that is kept about a person."""
    app.router.route_class = APIRoute
    reporter = wants(dependencies.verifier, REPORT_SCOPE)
    told = json_answer("The report", report_answer(dependencies.schema), "report")
    told["content"] |= {_HTML: {"schema": TEXT}}

    @app.get(
        "/people/{person_id}/report",
        tags=["audit"],
        summary="All that is kept about a person",
        dependencies=[reporter],
        responses={200: told, **problems(401, 403, 404, 406, 422, 503)},
        openapi_extra={"parameters": parameters(ReadQuery)},
    )
    async def get_report(
        request: Request, person_id: PersonId, caller: Annotated[Caller, reporter]
    ) -> Response:
        """Scope `people:report`. Values, history, who read them, exports and followers that may have had
        them, holds, what waits, and how long it is kept; of deleted people too, and of erased ones the proof
        alone. At most 100 of each: where there are more, `next` says where, which wants its own scope.

        With `Accept: text/html`, a page that prints well, in English or Spanish by `Accept-Language`.
        """
        dependencies.read(ReadQuery, request)
        accept = ", ".join(request.headers.getlist("accept"))
        form = choose(accept or None, (_JSON, _HTML))
        async with dependencies.searches.turn(caller.subject):
            answer = await reports.of(caller.subject, str(person_id), dependencies.view(caller))
        (report,) = answer.documents
        if form == _JSON:
            return dependencies.answer(report, answer, dict(_NO_STORE))
        language = language_of(request.headers.get("accept-language"))
        headers = {
            **language_headers(language),
            "Cache-Control": "no-store",
            "Vary": "Accept, Accept-Language",
            "Content-Security-Policy": policy_of(report),
        }
        return HTMLResponse(page_of(report, dependencies.schema, language), headers=headers)
