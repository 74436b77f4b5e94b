"""A condition on a read is never held against what a lagging secondary says."""

import pytest
from starlette.datastructures import Headers

from events.person.rejections import VersionMismatch
from query_api.people.expecting import read_expected
from query_api.people.queries import Answer
from query_api.reading.forms import ReadQuery

EVENTUAL, STRONG = ReadQuery(), ReadQuery(consistency="strong")


class Members:
    """A secondary that lags behind the primary; None where there is nobody."""

    def __init__(self, secondary: int | None, primary: int | None) -> None:
        self._versions = {False: secondary, True: primary}
        self.asked: list[bool] = []

    async def read(self, strong: bool) -> Answer:
        self.asked.append(strong)
        version = self._versions[strong]
        return Answer([] if version is None else [{"version": version}], None)


@pytest.mark.parametrize(
    ("condition", "query", "asked"),
    [
        (None, EVENTUAL, [False]),
        ('"1"', EVENTUAL, [False]),
        ("*", EVENTUAL, [False]),
        ('"2"', EVENTUAL, [False, True]),
        ('"2"', STRONG, [True]),
    ],
)
async def test_the_primary_is_asked_before_a_refusal(condition, query, asked):
    members = Members(1, 2)
    headers = Headers({} if condition is None else {"if-match": condition})
    answer = await read_expected(headers, query, members.read)
    assert (members.asked, answer.documents) == (asked, [{"version": 2 if asked[-1] else 1}])


@pytest.mark.parametrize("condition", ['"7"', 'W/"2"', '"x"'])
async def test_another_version_is_refused_with_the_one_there_is(condition):
    members = Members(1, 2)
    with pytest.raises(VersionMismatch) as refused:
        await read_expected(Headers({"if-match": condition}), EVENTUAL, members.read)
    assert refused.value.version == 2


async def test_of_nobody_nothing_is_expected():
    assert (
        await read_expected(Headers({"if-match": "*"}), EVENTUAL, Members(None, None).read)
    ).documents == []
