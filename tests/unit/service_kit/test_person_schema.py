"""The file of the person schema as a process reads it: its defaults are values as they are stored."""

import json

import pytest

from service_kit.declared_files import WrongDeclaration
from service_kit.person_schema import load_person_schema, read_schema_file


def written(folder, **declared):
    """Return a file with one field."""
    file = folder / "schema.json"
    file.write_text(json.dumps({"version": 1, "type": "object", "properties": {"it": declared}}))
    return file


@pytest.mark.parametrize(
    ("format_", "default", "normal"),
    [
        ("email", "Ana@Example.com", "ana@example.com"),
        ("email", "ana@xn--mnchen-3ya.de", "ana@münchen.de"),
        ("phone", "+573001234567", None),
        ("uri", "HTTPS://example.com/Ana", "https://example.com/Ana"),
        ("name", "Jose\u0301", "José"),
        ("text", "Cafe\u0301", "Café"),
        ("date", "2024-05-31", None),
        ("uuid", "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", None),
    ],
)
def test_a_default_is_in_normal_form_or_the_file_says_what_to_write(tmp_path, format_, default, normal):
    file = written(tmp_path, type="string", format=format_, default=default)
    if normal is None:
        assert load_person_schema(file).by_name["it"].default == default
        return
    with pytest.raises(WrongDeclaration) as caught:
        read_schema_file(file)
    assert caught.value.text.splitlines()[1:] == [
        f'  properties.it.default is "{default}", which is not its normal form: write "{normal}"'
    ]
    again = written(tmp_path, type="string", format=format_, default=normal)
    assert read_schema_file(again).by_name["it"].default == normal


@pytest.mark.parametrize(
    ("format_", "default"),
    [("email", "ana at example.com"), ("phone", "+12345"), ("uri", "javascript:alert(1)"), ("name", "12")],
)
def test_a_default_that_no_client_could_write_is_refused(tmp_path, format_, default):
    with pytest.raises(SystemExit) as caught:
        load_person_schema(written(tmp_path, type="string", format=format_, default=default))
    assert f"properties.it.default is {json.dumps(default)}, which is no {format_}" in str(caught.value)


def test_each_text_of_an_array_is_in_normal_form(tmp_path):
    items = {"type": "string", "format": "email"}
    file = written(tmp_path, type="array", items=items, default=["a@b.co", "B@b.co"])
    with pytest.raises(WrongDeclaration, match=r'default\[1\] is "B@b.co", .*: write "b@b.co"'):
        read_schema_file(file)
