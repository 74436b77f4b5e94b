"""Conditions are read as RFC 9110 writes them: lists, weak and strong tags, and `*`."""

import pytest
from starlette.datastructures import Headers

from events.errors import InvalidFields
from service_kit.http.conditions import EntityTags, expected_tags, is_known, read_entity_tags, versions_in


@pytest.mark.parametrize(
    ("lines", "strong", "weak"),
    [
        (['"3"'], {"3"}, set()),
        ([' "3"\t'], {"3"}, set()),
        (['W/"3"'], set(), {"3"}),
        (['"1", "7"'], {"1", "7"}, set()),
        (['"1","7"'], {"1", "7"}, set()),
        (['"1"', '"7"'], {"1", "7"}, set()),
        (['"1"', 'W/"1"'], {"1"}, {"1"}),
        ([', "1",, "7" ,'], {"1", "7"}, set()),
        (["", '"1"'], {"1"}, set()),
        (['"a,b", ""'], {"a,b", ""}, set()),
        (['"é"'], {"é"}, set()),
    ],
)
def test_all_lines_are_one_list_of_weak_and_strong_tags(
    lines: list[str], strong: set[str], weak: set[str]
) -> None:
    assert read_entity_tags(lines) == EntityTags(frozenset(strong), frozenset(weak))


@pytest.mark.parametrize("line", ["*", " * "])
def test_a_star_means_whatever_there_is(line: str) -> None:
    tags = read_entity_tags([line])
    assert tags == EntityTags(any=True)
    assert tags.matches_strongly("3")
    assert tags.matches_weakly("3")


def test_only_strong_tags_match_strongly() -> None:
    tags = read_entity_tags(['"1", W/"2"'])
    assert [tags.matches_strongly(tag) for tag in "123"] == [True, False, False]
    assert [tags.matches_weakly(tag) for tag in "123"] == [True, True, False]


@pytest.mark.parametrize(
    "lines",
    [
        [""],
        [","],
        ["3"],
        ['"3'],
        ['w/"3"'],
        ['W/ "3"'],
        ['"1" "2"'],
        ['"1"; "2"'],
        ['*, "1"'],
        ["*", "*"],
        ['"a b"'],
        ['"a\x7f"'],
    ],
)
def test_what_is_no_list_of_tags_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="in quotes"):
        read_entity_tags(lines)


def test_a_long_list_is_read_in_linear_time() -> None:
    with pytest.raises(ValueError, match="in quotes"):
        read_entity_tags(['"1" ,' * 3000 + "x"])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['"3"'], True),
        (['W/"3"'], True),
        (['"1", "3"'], True),
        (['"1"', 'W/"3"'], True),
        (["*"], True),
        (['"33"'], False),
        (["3"], False),
        ([], False),
    ],
)
def test_a_client_is_told_only_of_what_it_does_not_have(lines: list[str], expected: bool) -> None:
    headers = Headers(raw=[(b"if-none-match", line.encode()) for line in lines])
    assert is_known(headers, "3") is expected


@pytest.mark.parametrize(
    ("lines", "versions"),
    [
        ([], None),
        (["*"], None),
        (['"1", "7"', '"9"'], {1, 7, 9}),
        (['W/"1"'], set()),
        (['"x", "03", "99999999999"'], set()),
    ],
)
def test_a_condition_names_versions_with_strong_tags_alone(lines, versions) -> None:
    headers = Headers(raw=[(b"if-match", line.encode()) for line in lines])
    assert versions_in(expected_tags(headers)) == versions


def test_a_condition_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidFields) as refused:
        expected_tags(Headers({"if-match": "3"}))
    assert [error["field"] for error in refused.value.errors] == ["If-Match"]
