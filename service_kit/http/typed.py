"""What routes share that FastAPI calls with typed parameters: who may call them, ids in paths, parameters."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import BeforeValidator

from events.errors import InvalidFields
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.web import authorize


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


PathId = Annotated[UUID, BeforeValidator(_uuid)]
PersonId = Annotated[PathId, Path(description="The person's id")]


def wants(verifier: TokenVerifier, scope: str, *others: str) -> Any:
    """Return the dependency of a route that wants a scope; it gives the `Caller`, before all else is read.

    Args:
        verifier: Checks tokens.
        scope: What the caller must be allowed to do.
        *others: Scopes that do as well.
    """

    async def caller(request: Request) -> Caller:
        return await authorize(request, verifier, scope, *others)

    return Depends(caller)


def given_twice(names: Iterable[str]) -> InvalidFields:
    """Return the error that names those parameters of a request that are given more than once."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    errors = [{"field": name[:200], "reason": "is given twice"} for name in twice]
    return InvalidFields("a parameter is given twice", errors)


def each_once(*lists: str) -> Any:
    """Return the dependency that refuses a query parameter given twice: FastAPI would take the last.

    Args:
        *lists: The parameters that may be given several times.
    """

    async def check(request: Request) -> None:  # FastAPI sends one that is not async to a thread
        names = [name for name, _ in request.query_params.multi_items() if name not in lists]
        if len(set(names)) != len(names):
            raise given_twice(names)

    return Depends(check)


EACH_ONCE: Final = each_once()
