"""Routes that erase a person, and that set and lift what forbids it."""

from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.routing import APIRoute

from command_api.dispatch.preferences import Preferences, Preferred
from command_api.erasing.answers import ErasedPerson
from command_api.erasing.requests import REFERENCE, ErasureInput, HoldInput
from command_api.people.documentation import ACCEPTED, CHANGE_HEADERS, OUTCOME_HEADERS, WAITED
from command_api.people.routes import PeopleDependencies
from events.person.commands import ErasePerson, Erasure, Hold, HoldPerson, HoldReference, LiftHold, Lifting
from service_kit.auth.roles import ERASE_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.http.answers import PersonVersion
from service_kit.http.openapi import json_answer, problems
from service_kit.http.typed import PersonId, wants

Reference = Annotated[HoldReference, Query(description=REFERENCE)]


def _told(answer: type[Any], example: str, *statuses: int) -> dict[str, Any]:
    return {
        "tags": ["people"],
        "status_code": 202,
        "responses": {
            200: json_answer(WAITED, answer, example, **OUTCOME_HEADERS),
            202: ACCEPTED,
            **problems(401, 403, 404, 410, 412, 422, 503, *statuses),
        },
        "openapi_extra": {"parameters": CHANGE_HEADERS},
    }


_ERASED: Final = _told(ErasedPerson, "erased", 400, 409, 413, 415)
_HELD: Final = _told(PersonVersion, "person_version", 400, 413, 415)
_LIFTED: Final = _told(PersonVersion, "person_version")


def add_erasing_routes(app: FastAPI, dependencies: PeopleDependencies) -> None:
    """Add the routes about erasing.

    Args:
        app: The application.
        dependencies: Checks tokens, publishes and waits.
    """
    app.router.route_class = APIRoute
    eraser = wants(dependencies.verifier, ERASE_SCOPE)

    def stamp(
        request: Request, person_id: PersonId, caller: Annotated[Caller, eraser], preferences: Preferred
    ) -> tuple[Request, str, Caller, Preferences]:
        return request, str(person_id), caller, preferences

    Asked = Annotated[tuple[Request, str, Caller, Preferences], Depends(stamp)]  # noqa: N806 - a type

    async def submit(form: type[Any], data: Any, asked: Any) -> Response:
        request, person_id, caller, preferences = asked
        stamps = dependencies.stamp(request, caller, preferences, data.model_dump())
        command = form.model_construct(person_id=person_id, data=data, **stamps)
        return await dependencies.submit(command, preferences, caller)

    @app.post("/people/{person_id}/erase", summary="Erase a person for ever", **_ERASED)
    async def erase_person(asked: Asked, body: ErasureInput) -> Response:
        """Scope `people:erase`. Of deleted people, too, and of parked ones, before what waits of them.

        The person's key is destroyed: nothing personal in the log can be opened again, and the log stays
        whole. The values that were unique are free, images are removed, and the id cannot be used again. A
        hold forbids it.
        """
        return await submit(ErasePerson, Erasure(reason=body.reason), asked)

    @app.put("/people/{person_id}/hold", summary="Forbid erasing a person", **_HELD)
    async def hold_person(asked: Asked, body: HoldInput) -> Response:
        """Scope `people:erase`. A person may have several holds, each under its reference; the same one again
        changes nothing. Deleted people may be held, too.
        """
        return await submit(HoldPerson, Hold(reason=body.reason, reference=body.reference), asked)

    @app.delete("/people/{person_id}/hold", summary="Lift a hold", **_LIFTED)
    async def lift_hold(asked: Asked, reference: Reference) -> Response:
        """Scope `people:erase`. Of several holds, the one with this reference."""
        return await submit(LiftHold, Lifting(reference=reference), asked)
