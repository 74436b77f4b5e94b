"""The words, numbers and dates of people systems, brought to one form."""

from datetime import date

import pytest

from command_api.people.input import example_input
from events.person import vocabulary
from events.person.fields import READ_ONLY
from tests.default_schema import FIELD_NAMES, SCHEMA, PersonChanges, PersonFields, PersonInput, PersonPatch

TODAY = date(2026, 1, 31)
CONTEXT = {"today": TODAY, "phone_region": "CO"}
CODE_READERS = {
    field.name: vocabulary.code_reader(field.words) for field in SCHEMA.fields if field.format == "code"
}


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Cédula", "citizen_id"),
        ("cedula de CIUDADANIA", "citizen_id"),
        ("C.C.", "citizen_id"),
        ("Tarjeta de identidad", "identity_card"),
        ("Cédula de extranjería", "foreigner_id"),
        ("Passport", "passport"),
        ("pasaporte", "passport"),
        ("citizen_id", "citizen_id"),
    ],
)
def test_document_types(word, code):
    assert CODE_READERS["document_type"](word) == code


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Masculino", "male"),
        ("FEMENINO", "female"),
        ("No binario", "non_binary"),
        ("non-binary", "non_binary"),
        ("Prefiero no decir", "undisclosed"),
        ("prefiero_no_reportar", "undisclosed"),
    ],
)
def test_genders(word, code):
    assert CODE_READERS["gender"](word) == code


@pytest.mark.parametrize(
    ("field", "code"), [(field.name, code) for field in SCHEMA.fields for code in field.words]
)
def test_codes_stay_what_they_are(field, code):
    assert CODE_READERS[field](code) == code


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1990-12-10", "1990-12-10"),
        ("10-12-1990", "1990-12-10"),
        ("1/2/2000", "2000-02-01"),
        ("31-01-2026", "2026-01-31"),
        ("1990-12-10T00:00:00.000Z", "1990-12-10"),
        ("1990-12-10 00:00:00", "1990-12-10"),
        ("1990-12-10t00:00:00-05:00", "1990-12-10"),
    ],
)
def test_birth_dates(text, stored):
    assert vocabulary.birth_date(text, TODAY) == stored


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-01",
        "1849-12-31",
        "1990-2-1",
        "29-02-2023",
        "10.12.1990",
        "1990-12-10T05:00:00Z",
        "",
        "١٩٩٠-١٢-١٠x",
    ],
)
def test_no_birth_dates(text):
    with pytest.raises(ValueError, match="must|is no day"):
        vocabulary.birth_date(text, TODAY)


@pytest.mark.parametrize("text", ["1.020.304", "1020304", " 1 020 304 "])
def test_document_ids_are_compared_without_dots_and_spaces(text):
    assert vocabulary.document_id(text) == "1020304"


@pytest.mark.parametrize(
    ("phone", "stored"),
    [
        ("3001234567", "+573001234567"),
        ("+57 300 123 4567", "+573001234567"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_phones_become_e164(phone, stored):
    assert PersonPatch.model_validate({"phone": phone}, context=CONTEXT).phone == stored


def test_the_default_region_is_the_setting():
    patch = PersonPatch.model_validate({"phone": "020 7946 0958"}, context={**CONTEXT, "phone_region": "GB"})
    assert patch.phone == "+442079460958"


@pytest.mark.parametrize(
    "name", ["Ana", "Żółć", "Мария", "山田", "नरेन्द्र", "O'Neil", "Anne-Marie", "St. John", "می‌خواهم", "ʻOkina"]
)
def test_names_of_any_script(name):
    assert PersonPatch.model_validate({"first_name": name}, context=CONTEXT).first_name == name


@pytest.mark.parametrize(
    "name", ["42", "-", "' '", "a\u202eb", "a\u2066b", "a\x07b", "a\ue000b", "a\u0378b", "a\ufdd0b"]
)
def test_no_names(name):
    with pytest.raises(ValueError, match="first_name"):
        PersonPatch.model_validate({"first_name": name}, context=CONTEXT)


def test_input_and_stored_form_have_the_same_fields():
    stored = set(FIELD_NAMES)
    assert set(PersonInput.model_fields) == set(PersonPatch.model_fields) == stored | set(READ_ONLY)
    assert set(PersonChanges.model_fields) == set(PersonFields.model_fields) == stored


def test_normalised_input_is_accepted_by_the_stored_form_and_again_by_the_input():
    person = PersonInput.model_validate(example_input(SCHEMA), context=CONTEXT)
    stored = PersonFields(**person.fields())
    assert PersonInput.model_validate(stored.model_dump(), context=CONTEXT) == person
