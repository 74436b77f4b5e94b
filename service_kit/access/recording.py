"""Puts each request for personal data on record when its answer begins, whichever route gives it.

Every route is recorded, but those that a service names as showing nothing personal; of those, too, what is
refused for a right. So a route that somebody adds cannot be forgotten.
"""

from collections.abc import Collection, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events.errors import StoreUnavailable
from service_kit.access.log import AccessLog
from service_kit.access.records import PURPOSE_HEADER, AccessRecord
from service_kit.http.guard import SUBJECT
from service_kit.http.problems import problem_of
from service_kit.http.reasons import language_of

_PEOPLE: Final = "rollcall.people"
_EXPORT: Final = "rollcall.export"
_PURPOSE: Final = PURPOSE_HEADER.lower().encode()
_REFUSED: Final = frozenset({401, 403})
_ANSWERED: Final = frozenset({404, 410, 412})
"""What is told by these, beside answers of fewer than 400: that somebody is not there, or otherwise."""


def note_people(scope: MutableMapping[str, Any], person_ids: Sequence[str]) -> None:
    """Say whom the answer to a request shows; of a path's own `person_id` nothing need be said."""
    scope[_PEOPLE] = person_ids


@dataclass(slots=True)
class ExportNote:
    """What is known of an export once it has ended, put on record then.

    Attributes:
        log: Where; None where nothing is recorded.
        position: Its place in the feed.
        begun: The record of its beginning, once there is one.
    """

    log: AccessLog | None = None
    position: str | None = None
    begun: AccessRecord | None = None

    async def end(self, lines: int, *, whole: bool) -> None:
        """Put the end on record.

        Args:
            lines: How many were sent.
            whole: Whether that was all.

        Raises:
            StoreUnavailable: Strict, and it cannot be put on record.
        """
        log, begun, self.log = self.log, self.begun, None
        if log is None or begun is None:
            return
        record = AccessRecord(
            log.clock(), begun.method, begun.route, begun.status, begun.subject, begun.address
        )
        record.lines, record.whole, record.begun = lines, whole, begun
        log.add(record)
        if log.is_strict and whole:
            await log.durable()


def note_export(scope: MutableMapping[str, Any], position: str | None) -> ExportNote:
    """Say that the answer to a request is an export; return what is to be told of its end.

    Args:
        scope: The request's.
        position: The export's place in the feed, if one is known.
    """
    note: ExportNote = scope.setdefault(_EXPORT, ExportNote())
    note.position = position
    return note


class AccessRecording:
    """Records requests on their way out (ASGI).

    Args:
        app: The application.
        access_log: Takes the records.
        impersonal: Templates of the routes that show nothing personal.
        nameless: Whether requests without a good token are recorded, too.
    """

    def __init__(
        self,
        app: ASGIApp,
        access_log: AccessLog,
        impersonal: Collection[str],
        *,
        nameless: bool = True,
    ) -> None:
        self._app = app
        self._log = access_log
        self._impersonal = frozenset(impersonal)
        self._nameless = nameless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI), and record it before its answer goes out."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        failure: StoreUnavailable | None = None

        async def recorded(message: Message) -> None:
            nonlocal failure
            if message["type"] == "http.response.start":
                try:
                    if self._record(scope, message["status"]) and self._log.is_strict:
                        await self._log.durable()
                except StoreUnavailable as exc:
                    failure = exc
                    raise _Unrecorded from exc
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except Exception:
            if failure is None:
                raise
        if failure is not None:
            language = language_of(Headers(scope=scope).get("accept-language"))
            await problem_of(failure, language)(scope, receive, send)

    def _record(self, scope: Scope, status: int) -> bool:
        """Put a request on record, if it is one to be recorded; return whether it was.

        Raises:
            StoreUnavailable: As of `AccessLog.add`.
        """
        route = getattr(scope.get("route"), "path_format", None)
        if route is None:
            return False
        if status in _REFUSED:
            if scope.get(SUBJECT) is None and not self._nameless:
                return False
        elif (status >= 400 and status not in _ANSWERED) or route in self._impersonal:
            return False
        client = scope.get("client")
        record = AccessRecord(
            self._log.clock(),
            scope["method"],
            route,
            status,
            scope.get(SUBJECT),
            client[0] if client else None,
        )
        for name, value in scope["headers"]:
            if name == _PURPOSE:
                record.purpose = value
        record.query, record.path = scope["query_string"], scope["path_params"]
        record.people = scope.get(_PEOPLE, ())
        note: ExportNote | None = scope.get(_EXPORT)
        if note is not None and status < 400:
            note.log, note.begun, record.position = self._log, record, note.position
        self._log.add(record)
        return True


class _Unrecorded(Exception):
    """An answer does not go out, since its record is not durable: no error that a route handles."""
