"""Reads one person who is at a version that `If-Match` names (RFC 9110, section 13.1.1)."""

from collections.abc import Awaitable, Callable, Collection

from starlette.datastructures import Headers

from events.person.rejections import VersionMismatch
from query_api.people.queries import Answer
from query_api.reading.forms import ReadQuery
from service_kit.http.conditions import expected_tags, versions_in

Read = Callable[[bool], Awaitable[Answer]]
"""Reads a person, from the primary or not; nobody if there is none."""


async def read_expected(headers: Headers, query: ReadQuery, read: Read) -> Answer:
    """Return the answer of a read.

    Args:
        headers: Of the request.
        query: Says whether only the primary will do.
        read: Reads.

    Raises:
        InvalidFields: The condition is none.
        VersionMismatch: The person is at another version; that is never a lagging secondary's word.
    """
    if "if-match" not in headers:
        return await read(query.strong)
    versions = versions_in(expected_tags(headers))
    answer = await read(query.strong)
    if not (query.strong or _is_at(answer, versions)):
        answer = await read(True)
    if not _is_at(answer, versions):
        raise VersionMismatch.of(answer.documents[0]["version"], versions or ())
    return answer


def _is_at(answer: Answer, versions: Collection[int] | None) -> bool:
    """Return whether whoever was read is at one of some versions; if nobody was, the answer is 404 anyway."""
    return versions is None or all(person["version"] in versions for person in answer.documents)
