"""The body of the route that tells what a person is: a file of JSON Schema, as far as we take it."""

from typing import Literal

from pydantic import BaseModel, Field

from events.person.schema.declarations import Type, Value


class DeclaredTexts(BaseModel):
    """What is declared of texts, or of each text of an array."""

    type: Type = "string"
    format: str = ""
    min_length: int = Field(default=0, alias="minLength")
    max_length: int = Field(default=0, alias="maxLength")
    pattern: str = Field(default="", description="ECMA-262")
    enum: list[str] = []


class FieldKeywords(BaseModel):
    """What is declared of a field beyond JSON Schema."""

    labels: dict[str, str] = Field(default={}, description="By language")
    titles: list[str] = []
    words: dict[str, list[str]] = Field(default={}, description="By code, other words for it")
    unique: bool = False
    search: Literal["exact", "prefix", "words"] | None = None
    sort: bool = False
    ties: str = ""
    personal: bool = True
    read: str = Field(default="", description="The scope without which nobody sees it")
    write: str = Field(default="", description="The scope without which nobody sets it")
    renamed_from: str = ""


class DeclaredField(DeclaredTexts):
    """What is declared of a field of a person."""

    title: str = ""
    description: str = ""
    minimum: int = 0
    maximum: int = 0
    items: DeclaredTexts | None = None
    max_items: int = Field(default=0, alias="maxItems")
    examples: list[Value] = []
    default: Value | None = None
    rollcall: FieldKeywords | None = None


class SchemaKeywords(BaseModel):
    """What is declared of fields together."""

    unique: dict[str, list[str]] = Field(default={}, description="By kind of claim, the fields")
    taken: dict[str, dict[str, str]] = Field(default={}, description="By kind of claim and language")
    sorts: list[list[str]] = []
    default_sort: str = Field(default="", alias="defaultSort")
    display: list[str] = []


class PersonSchemaDocument(BaseModel):
    """What a person is: JSON Schema 2020-12, with the keyword `rollcall`."""

    dialect: str = Field(default="", alias="$schema")
    id: str = Field(default="", alias="$id")
    title: str = ""
    description: str = ""
    version: int = Field(description="Grows with each change")
    type: Literal["object"]
    required: list[str] = []
    properties: dict[str, DeclaredField]
    additional_properties: bool = Field(default=False, alias="additionalProperties")
    rollcall: SchemaKeywords | None = None
