from datetime import date

from devstack.demo.people import demo_person
from tests.default_schema import PersonInput

OPTIONAL = {"middle_name", "address", "occupation"}


def test_demo_people_are_valid_wherever_one_looks() -> None:
    for i in [*range(2_000), *range(2_000, 1_000_000, 997), 999_999]:
        PersonInput.model_validate(demo_person(i), context={"phone_region": "CO", "today": date(2024, 1, 1)})


def test_demo_people_differ_in_what_must_be_unique() -> None:
    people = [demo_person(i) for i in range(20_000)]
    for field in ("document_id", "email", "phone"):
        assert len({person[field] for person in people}) == len(people)


def test_a_demo_person_is_the_same_every_time() -> None:
    assert demo_person(41) == demo_person(41) != demo_person(42)


def test_demo_people_are_various() -> None:
    people = [demo_person(i) for i in range(500)]
    assert {p["gender"] for p in people} == {
        "Femenino",
        "Masculino",
        "No binario",
        "Prefiero no decir",
    }
    assert len({p["document_type"] for p in people}) >= 4
    assert len({p["first_name"] for p in people}) > 30
    for field in OPTIONAL:
        assert 0 < sum(field in person for person in people) < 500
