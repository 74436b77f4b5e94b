"""The quick looks at e-mail addresses and phone numbers say what the thorough ones say."""

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from command_api import person_input
from command_api.person_input import _email, _is_whole

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


@settings(max_examples=50)
@given(st.from_regex(r"\A[a-c0-9._+\-]{1,8}@(example\.(com|org)|[a-b.\-]{1,9}|xn--a|münchen\.de)\Z"))
def test_a_quick_look_at_an_address_says_what_validation_says(text):
    try:
        expected = validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        with pytest.raises(ValueError):
            _email(text)
    else:
        assert _email(text) == expected
    assert person_input._is_domain("example.com")
