"""The person schema in memory: what is declared about each field, and about fields together. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

Type = Literal["string", "integer", "boolean", "array"]
Format = Literal[
    "birth-date", "code", "date", "decimal", "document-number", "email", "name", "phone", "plain", "text",
    "uri", "uuid",
]  # fmt: skip
"""Of a text, or of each text of an array. `code` is one of the field's `words`; `plain` has no format."""
Value = str | int | bool | list[str]
"""What a field may hold; null is no value."""
FOLDED: Final = frozenset({"name", "text"})
"""The formats that are compared without accents and case."""


@dataclass(frozen=True, kw_only=True)
class FieldDeclaration:
    """What is declared about one field.

    Attributes:
        name: As it stands in bodies, events and documents.
        type: Of a value.
        format: What its texts are; of numbers and truth values, `plain`.
        examples: Values as a client may write them.
        labels: By language (`en`, `es`), what people call it.
        titles: What people call its column in a file, beside the name and the labels.
        required: Whether every person has it.
        min_length: Of a text, in characters.
        max_length: Of a text, in characters; 0 where the format says it.
        pattern: What a text matches somewhere, as ECMA-262 writes it; empty for none.
        minimum: Of a number; None for none.
        maximum: Of a number; None for none.
        max_items: Of an array.
        words: By code, the other words that clients may use for it.
        search: `exact` for a filter of its own; `prefix` also for being found by the beginning of a value;
            `words` for being found by the beginnings of words.
        sort: Whether people can be listed by it, and filtered by ranges of it.
        ties: Of a sorted name, the other one by which those who share it are listed; empty for none.
        personal: Whether it is about the person: sealed and erased.
        read: The scope that is wanted to see it, beside the route's; empty for none.
        write: The scope that is wanted to set it; empty for none.
        renamed_from: Its name in the schema before; empty for none.
        default: Its value for people who were created before it; None for none.
    """

    name: str
    type: Type = "string"
    format: Format = "plain"
    examples: tuple[Any, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    titles: tuple[str, ...] = ()
    required: bool = False
    min_length: int = 0
    max_length: int = 0
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None
    max_items: int = 0
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    search: Literal["exact", "prefix", "words", ""] = ""
    sort: bool = False
    ties: str = ""
    personal: bool = True
    read: str = ""
    write: str = ""
    renamed_from: str = ""
    default: Any = None

    @property
    def example(self) -> Any:
        """Return a value as a client may write it."""
        return self.examples[0]

    @property
    def folded(self) -> bool:
        """Return whether it is compared without accents and case."""
        return self.format in FOLDED

    @property
    def has_filter(self) -> bool:
        """Return whether people can be filtered by a whole value of it."""
        return self.search in ("exact", "prefix") or self.sort

    @property
    def is_found_by_prefix(self) -> bool:
        """Return whether people are found by the beginning of a value of it."""
        return self.search == "prefix"

    @property
    def is_searched(self) -> bool:
        """Return whether `q` finds people by it; never by what few may see, for `q` is everybody's."""
        return self.search in ("prefix", "words") and not self.read

    @property
    def is_word(self) -> bool:
        """Return whether a value is found as a word, too: a document's number, without its dashes."""
        return self.format == "document-number" and self.is_found_by_prefix

    @property
    def key(self) -> str:
        """Return where the read model has what it is compared by."""
        return f"keys.{self.name}" if self.folded or self.format == "decimal" else self.name


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonSchema:
    """What a person is. Two are the same only if they are one object: what is made of one is kept by it.

    Attributes:
        title: What a person is called.
        version: Its number; grows with each change.
        fields: In the order in which everything shows them.
        unique: By kind of claim, the fields whose values together belong to one person.
        taken: By kind of claim and language, what is said where a value is another person's.
        sorts: Orders by several fields that have an index: names, with `-` before one that is turned round.
        default_sort: The order of a list that names none.
        display: The fields that name a person to people.
        document: The file's content.
        earlier: The schemas that were in force before it, the oldest first.
        shape: Number of the newest schema that gave the read model another form; 0 for none.
        claimed_as: By kind of claim, what claims call it, where that is another name.
    """

    title: str
    version: int
    fields: tuple[FieldDeclaration, ...]
    unique: Mapping[str, tuple[str, ...]]
    taken: Mapping[str, Mapping[str, str]]
    sorts: tuple[tuple[str, ...], ...]
    default_sort: str
    display: tuple[str, ...]
    document: Mapping[str, Any]
    earlier: "tuple[PersonSchema, ...]" = ()
    shape: int = 0
    claimed_as: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, FieldDeclaration]:
        """Return the fields by name."""
        return {one.name: one for one in self.fields}

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Return the kinds of claims, by what claims call them."""
        return {self.claimed_as.get(kind, kind): kind for kind in self.unique}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the fields' names: what a client says; a revert brings these back."""
        return tuple(self.by_name)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Return the names of the fields that every person has."""
        return tuple(one.name for one in self.fields if one.required)

    @cached_property
    def optional(self) -> frozenset[str]:
        """Return the names of the others."""
        return frozenset(self.names) - frozenset(self.required)

    @cached_property
    def always_stored(self) -> tuple[str, ...]:
        """Return the names of the fields that every person has on record, since whenever."""
        return tuple(
            one.name for one in self.fields if one.required and one.default is None and not one.renamed_from
        )

    @cached_property
    def sometimes_stored(self) -> tuple[str, ...]:
        """Return the names of the others."""
        always = frozenset(self.always_stored)
        return tuple(name for name in self.by_name if name not in always)

    @cached_property
    def clear(self) -> frozenset[str]:
        """The fields that are not personal: their values stay readable in the log for ever."""
        return frozenset(field.name for field in self.fields if not field.personal)

    def names_of(self, name: str) -> frozenset[str]:
        """Return all names that a field had, in whichever schema; none if there was never such a field.

        Of a name that was given to several fields, those of all.
        """
        pairs = [
            {one.name, one.renamed_from} - {""} for schema in (*self.earlier, self) for one in schema.fields
        ]
        found: frozenset[str] = frozenset()
        more = frozenset().union(*(pair for pair in pairs if name in pair))
        while more != found:
            found, more = more, more.union(*(pair for pair in pairs if pair & more))
        return found

    @cached_property
    def _readers(self) -> Mapping[str, str]:
        """Return the scopes of fields under all the names that they had: events keep theirs."""
        readers: dict[str, str] = {}
        former: dict[str, frozenset[str]] = {}
        for schema in (*self.earlier, self):
            former = {
                one.name: frozenset({one.name, one.renamed_from} - {""})
                | former.get(one.name, frozenset())
                | former.get(one.renamed_from, frozenset())
                for one in schema.fields
            }
            readers = {name: scope for name, scope in readers.items() if name not in schema.by_name}
            for one in schema.fields:
                if one.read:
                    readers |= dict.fromkeys(former[one.name], one.read)
        return readers

    @cached_property
    def _writers(self) -> Mapping[str, str]:
        return {one.name: one.write for one in self.fields if one.write}

    @cached_property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes that it names, each once."""
        return tuple(dict.fromkeys((*self._readers.values(), *self._writers.values())))

    @property
    def has_views(self) -> bool:
        """Return whether callers with other scopes see other fields."""
        return bool(self._readers)

    @property
    def read_scopes(self) -> frozenset[str]:
        """Return the scopes that are wanted to see fields."""
        return frozenset(self._readers.values())

    def read_scope(self, name: str) -> str:
        """Return the scope that is wanted to see a field, under whichever of its names; empty for none."""
        return self._readers.get(name, "")

    def hidden(self, scopes: Collection[str]) -> frozenset[str]:
        """Return the names of the fields that nobody sees who has these scopes alone."""
        return frozenset(name for name, scope in self._readers.items() if scope not in scopes)

    def fixed(self, scopes: Collection[str]) -> Mapping[str, str]:
        """Return the fields that nobody sets who has these scopes alone, each with its scope."""
        return {name: scope for name, scope in self._writers.items() if scope not in scopes}
