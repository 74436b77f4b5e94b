"""Reads what the file declares about one field."""

from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from events.person.fields import MAX_INTEGER
from events.person.schema.declarations import FieldDeclaration, Format, Type
from events.person.schema.keywords import FIELD, FIELD_ROLLCALL, ITEMS, name_unknown
from events.person.schema.names import LONGEST_NAME
from events.person.schema.objects import SchemaObject, quoted, shown
from events.person.schema.patterns import check_pattern
from events.person.schema.scopes import LONGEST_SCOPE, is_scope
from events.person.schema.values import default_fault, example_fault, plausible_example
from events.person.schema.words import read_codes, read_words

LANGUAGES: Final = ("en", "es")
MOST_TITLES: Final = 50
LONGEST_TITLE: Final = 100
MOST_EXAMPLES: Final = 10
_TYPES: Final = get_args(Type)
_FORMATS: Final = tuple(one for one in get_args(Format) if one not in ("code", "plain"))
_LIMITED: Final = {"plain": (200, 2_000), "name": (200, 2_000), "text": (200, 2_000), "email": (254, 254)}
"""By format, how long a text may be where nothing is said, and at most."""
_MATCHED: Final = frozenset({"plain", "text"})
"""The formats that may have a pattern: the others say themselves what they take."""
_KINDS: Final = {
    "text": "a text",
    "enum": "an enum",
    "integer": "an integer",
    "boolean": "a boolean",
    "array": "an array",
}
_OTHER_TYPES: Final = {
    "number": 'write "integer", or "string" with "format": "decimal", which is exact',
    "object": "write a field for each member",
    "null": 'leave the field out of "required": it may be absent then',
}


@dataclass(frozen=True, slots=True)
class ReadField:
    """A field as it was read, before it is compared with others.

    Attributes:
        field: What is declared.
        unique: Whether no two people have the same value.
        declared: What the file says of it, for faults.
        own: What is ours about it, for faults.
    """

    field: FieldDeclaration
    unique: bool
    declared: SchemaObject
    own: SchemaObject


def read_field(name: str, declared: SchemaObject, *, required: bool) -> ReadField | None:
    """Return what is declared about a field; its faults are kept.

    Args:
        name: The field's.
        declared: What the file says of it.
        required: Whether every person has it.

    Returns:
        None if not even its type can be told.
    """
    kind = _kind(declared)
    if kind is None:
        return None
    name_unknown(declared, FIELD[kind], _KINDS[kind])
    own = declared.inner_or_empty("rollcall")
    name_unknown(own, FIELD_ROLLCALL, 'the "rollcall" of a field')
    declared.text("description")
    texts = _items(declared) if kind == "array" else declared
    limits = _text_limits(texts, own) if texts and kind in ("text", "enum", "array") else {}
    if "words" in own and "words" not in limits:
        own.fault("words", "is for enums alone", "leave it out, or list the codes in an enum")
    field = FieldDeclaration(
        name=name,
        type="string" if kind in ("text", "enum") else kind,  # type: ignore[arg-type]
        required=required,
        **limits,
        **_range(declared, kind),
        **_rules(own),
        labels=_labels(name, declared, own),
        titles=own.texts("titles", LONGEST_TITLE, MOST_TITLES),
    )
    return ReadField(_with_values(field, declared), own.flag("unique"), declared, own)


def _kind(declared: SchemaObject) -> str | None:
    """Return `text`, `enum` or the type of a field that is neither; None if there is a fault."""
    value = declared.content.get("type", "string" if "enum" in declared else None)
    if isinstance(value, str) and value in _TYPES:
        if "enum" in declared and value != "string":
            declared.fault("type", f"is {shown(value)} beside an enum", 'write "string": codes are texts')
            return None
        return "enum" if "enum" in declared else "text" if value == "string" else value
    instead = f'write {quoted(_TYPES)}, or an "enum"'
    if value is None and "type" not in declared:
        declared.fault("type", "is missing", instead)
    elif isinstance(value, list):
        declared.fault("type", "is an array", f"{instead}: a field has one type, and may be absent anyhow")
    else:
        known = _OTHER_TYPES.get(value, instead) if isinstance(value, str) else instead
        declared.fault("type", f"is {shown(value)}, which is no type of a field", known)
    return None


def _items(declared: SchemaObject) -> SchemaObject | None:
    if "items" not in declared:
        declared.fault("items", "is missing", 'write {"type": "string", "maxLength": 40}, say')
        return None
    items = declared.inner("items", 'write {"type": "string", "maxLength": 40}, say')
    if items is None:
        return None
    value = items.content.get("type", "string" if "enum" in items else None)
    if value != "string":
        what = "is missing" if value is None else f"is {shown(value)}"
        items.fault("type", what, 'write "string": an array has texts alone')
        return None
    kind = "enum" if "enum" in items else "text"
    name_unknown(items, ITEMS[kind], f"the items of an array of {'codes' if kind == 'enum' else 'texts'}")
    return items


def _text_limits(texts: SchemaObject, own: SchemaObject) -> dict[str, Any]:
    """Return what a text may be, as a `FieldDeclaration` has it."""
    if "enum" in texts:
        return {"format": "code", "words": read_words(own, read_codes(texts))}
    form = texts.choice("format", _FORMATS) or "plain"
    limits: dict[str, Any] = {"format": form}
    if form not in _LIMITED:
        for keyword in ("minLength", "maxLength"):
            if keyword in texts:
                texts.fault(keyword, f"is there beside the format {form}, which says it", "leave it out")
    else:
        usual, most = _LIMITED[form]
        limits["max_length"] = longest = texts.integer("maxLength", 1, most, usual) or usual
        limits["min_length"] = texts.integer("minLength", 1, most, 1)
        if limits["min_length"] > longest:
            texts.fault("minLength", "is more than maxLength", f"write at most {longest:,}")
    if "pattern" in texts:
        limits["pattern"] = _pattern(texts, form)
    return limits


def _pattern(texts: SchemaObject, form: str) -> str:
    if form not in _MATCHED:
        texts.fault("pattern", f"is there beside the format {form}", "leave out the format or the pattern")
        return ""
    pattern = texts.text("pattern")
    if fault := check_pattern(pattern):
        texts.fault("pattern", fault.what, fault.instead)
        return ""
    return pattern


def _range(declared: SchemaObject, kind: str) -> dict[str, Any]:
    if kind == "array":
        return {"max_items": declared.integer("maxItems", 1, 200, 50)}
    if kind != "integer":
        return {}
    minimum = declared.integer("minimum", -MAX_INTEGER, MAX_INTEGER, -MAX_INTEGER) or 0
    maximum = declared.integer("maximum", -MAX_INTEGER, MAX_INTEGER, MAX_INTEGER) or 0
    if minimum > maximum:
        declared.fault("minimum", "is more than maximum", f"write at most {maximum:,}")
    return {"minimum": minimum, "maximum": maximum}


def _labels(name: str, declared: SchemaObject, own: SchemaObject) -> dict[str, str]:
    """Return what people call a field: without a label, its title or its name."""
    title = declared.text("title", LONGEST_TITLE)
    plain = name.replace("_", " ").strip()
    labels = own.inner("labels", 'write {"en": …, "es": …}')
    english = spanish = ""
    if labels is not None:
        name_unknown(labels, LANGUAGES, "labels, which are by language")
        english, spanish = (labels.text(language, LONGEST_TITLE) for language in LANGUAGES)
    english = english or title or plain[:1].upper() + plain[1:]
    return {"en": english, "es": spanish or english}


def _rules(own: SchemaObject) -> dict[str, Any]:
    """Return what is ours about a field, as a `FieldDeclaration` has it."""
    return {
        "search": own.choice("search", ("exact", "prefix", "words")),
        "sort": own.flag("sort"),
        "ties": own.text("ties", LONGEST_NAME),
        "personal": own.flag("personal", absent=True),
        "read": _scope(own, "read"),
        "write": _scope(own, "write"),
        "renamed_from": own.text("renamed_from", LONGEST_NAME),
    }


def _scope(own: SchemaObject, keyword: str) -> str:
    scope = own.text(keyword, LONGEST_SCOPE)
    if scope and not is_scope(scope):
        own.fault(keyword, f"is {shown(scope)}, which is no scope", "write one such as payroll:read")
        return ""
    return scope


def _with_values(field: FieldDeclaration, declared: SchemaObject) -> FieldDeclaration:
    """Return a field with its examples and its default."""
    examples = declared.content.get("examples", [])
    if not isinstance(examples, list) or len(examples) > MOST_EXAMPLES:
        declared.fault("examples", "is no short array", f"write an array of at most {MOST_EXAMPLES} values")
        examples = []
    for at, example in enumerate(examples):
        if what := example_fault(field, example):
            declared.item_fault("examples", at, what, "write a value as a client may")
    if not examples and field.pattern:
        declared.fault("examples", "is missing beside a pattern", "write an array with a text that matches")
    default = declared.content.get("default")
    # An enum without codes is a fault already, and has no value that could be one.
    has_values = field.format != "code" or bool(field.words)
    if "default" in declared and has_values and (what := default_fault(field, default)):
        declared.fault("default", what, "write a value as it is stored")
    return replace(field, examples=tuple(examples) or (plausible_example(field),), default=default)
