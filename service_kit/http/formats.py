"""JSON types whose format OpenAPI names; the values are texts, in the form in which they are kept."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema


def _text(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


Id = Annotated[str, _text(format="uuid")]
Time = Annotated[str, _text(format="date-time")]
Date = Annotated[str, _text(format="date")]
Email = Annotated[str, _text(format="email")]
Uri = Annotated[str, _text(format="uri")]
ImageAddress = Annotated[str, _text(format="uri-reference")]
"""Relative to the query API where `ROLLCALL_QUERY_URL` does not say at which address that is."""
Hash = Annotated[str, _text(pattern="^[0-9a-f]{64}$")]
Next = Annotated[str | None, Field(description="`cursor` of the next page; null on the last one")]
