"""The quick looks at e-mail addresses and phone numbers say what the thorough ones say."""

import time
from contextlib import suppress

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.person_values.phones import _is_whole, phone
from service_kit.person_values.readers import MAX_WRITTEN, reader_of
from service_kit.person_values.texts import _is_domain, email
from tests.default_schema import SCHEMA

_KINDS = range(11)
EXAMPLES = sorted(
    {
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for region in phonenumbers.SUPPORTED_REGIONS
        for kind in _KINDS
        if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    }
)


def thorough(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, "CO")
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else None


def test_a_quick_look_at_a_number_is_right_and_mostly_enough():
    assert len(EXAMPLES) > 800
    enough = sum(map(_is_whole, EXAMPLES))
    assert enough > len(EXAMPLES) // 2
    for text in EXAMPLES:
        for near in (text, text[:-1], text[:3] + "0" + text[3:]):
            assert not _is_whole(near) or thorough(near) == near, near
    assert _is_whole("+573001234567")


@settings(max_examples=50)
@given(st.from_regex(r"\A\+?[0-9]{0,16}\Z"))
def test_a_quick_look_never_takes_what_parsing_would_not(text):
    assert not _is_whole(text) or thorough(text) == text


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("\u202a+57 300 123 4567\u202c", "+573001234567"),
        ("\u2068+57 601 555 0142 ext. 12\u2069", "+576015550142;ext=12"),
        ("300 123 4567 \u200e", "+573001234567"),
    ],
)
def test_marks_that_are_copied_with_a_number_do_not_count(written, stored):
    assert phone(written, {"phone_region": "CO"}) == stored


@pytest.mark.parametrize("mark", ["\u202b", "\u202d", "\u202e", "\u2067"])
def test_a_mark_that_turns_a_number_round_is_refused(mark):
    with pytest.raises(ValueError, match="is no phone number"):
        phone(f"{mark}3001234567", {"phone_region": "CO"})


@settings(max_examples=50)
@given(st.from_regex(r"\A[a-c0-9._+\-]{1,8}@(example\.(com|org)|[a-b.\-]{1,9}|xn--a|münchen\.de)\Z"))
def test_a_quick_look_at_an_address_says_what_validation_says(text):
    try:
        expected = validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        with pytest.raises(ValueError):
            email(text)
    else:
        assert email(text) == expected
    assert _is_domain("example.com")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ana", "must have one @"),
        ("@example.org", "must have one @"),
        ("ana@", "must have one @"),
        ("ana@home@example.org", "must have one @"),
        ("ana@localhost", "stands after the @"),
        ("ana@exa mple.org", "stands after the @"),
        ("ana@-example.org", "stands after the @"),
        ("ana paz@example.org", "stands before the @"),
        ("a..b@Example.org", "stands before the @"),
        ("Ana <ana@example.org>", "stands after the @"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_in_our_words(text, words):
    with pytest.raises(ValueError, match=words):
        email(text)


@pytest.mark.parametrize("field", SCHEMA.fields, ids=lambda field: field.name)
def test_no_text_takes_long_to_read(field):
    read, parts = (
        reader_of(field),
        ("1", " ", "1 ", " ,", "x", "1;ext=", "(", "-", "a.", "a@", "é", "\u0958", "1.111"),
    )
    began = time.process_time()
    for part in parts:
        for last in ("", "!", "x"):
            with suppress(ValueError):
                read(("1" + part * MAX_WRITTEN)[: MAX_WRITTEN - 1] + last, {"phone_region": "CO"})
    assert time.process_time() - began < 5
