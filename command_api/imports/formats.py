"""Finds out in which form a file comes: by its media type, its name, or its beginning. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers

from command_api.imports.encodings import UTF_8, encoding_named, marked
from command_api.imports.sniffing import ZIP, json_in
from events.errors import InvalidFields, UnsupportedMediaType
from events.imports.files import CSV, FORMS, JSON, NDJSON, WORKBOOK, form_named
from service_kit.http.bodies import is_packed

MEDIA_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            *("application/csv", "application/x-csv", "text/x-csv", "text/comma-separated-values"),
            "text/tab-separated-values",
            # What browsers on Windows say of CSV where Excel is installed.
            *("application/vnd.ms-excel", "application/excel"),
        ),
        CSV,
    ),
    **dict.fromkeys(
        (
            *("application/ndjson", "application/jsonl", "application/x-jsonl", "application/jsonlines"),
            *("application/x-jsonlines", "application/json-lines", "application/json-seq"),
            *("text/x-ndjson", "text/ndjson", "text/jsonl"),
        ),
        NDJSON,
    ),
    "text/json": JSON,
    "application/vnd.ms-excel.sheet.macroenabled.12": WORKBOOK,
    **{form: form for form in FORMS},
}
"""By media type, the form that it means."""
UNTOLD: Final = (
    *("application/octet-stream", "binary/octet-stream", "text/plain"),
    # What curl says by default, whatever it sends.
    "application/x-www-form-urlencoded",
)
"""Media types that say nothing of the form, as no media type does."""


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """What a file is.

    Attributes:
        media_type: One of `FORMS`; empty if only the beginning of the file can tell.
        packed: Whether it comes as gzip.
        encoding: That it is said to be in; None if nothing is said.
    """

    media_type: str
    packed: bool
    encoding: str | None = None

    def judged(self, head: bytes) -> "ImportFormat":
        """Return the format, with the form that the file's beginning shows if nothing says it."""
        return self if self.media_type else replace(self, media_type=_form_of(head))


def read_format(headers: Headers) -> ImportFormat:
    """Return what the headers of a request, or of a part of a form, say of a file.

    Raises:
        InvalidFields: It has no header row.
        UnsupportedMediaType: No such form is read, or no such encoding, or no such packing.
    """
    media_type, *parameters = (part.strip() for part in headers.get("content-type", "").lower().split(";"))
    named, packed = form_named(file_name(headers))
    form = MEDIA_TYPES.get(media_type) or named
    if form is None and media_type and media_type not in UNTOLD:
        raise UnsupportedMediaType(f"send one of {', '.join(FORMS)}")
    encoding = None
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset":
            encoding = encoding_named(value.strip('" '))
        if (key.strip(), value.strip('" ')) == ("header", "absent"):
            raise InvalidFields("the first row must name the columns")
    return ImportFormat(form or "", is_packed(headers) or packed, encoding)


def file_name(headers: Headers) -> str:
    """Return the name of a file as `Content-Disposition` has it; empty if it has none."""
    _, options = parse_options_header(headers.get("content-disposition", ""))
    return options.get(b"filename", b"").decode("utf-8", "replace")


def _form_of(head: bytes) -> str:
    """Return the form of a file that begins so; what is no other is read as CSV, which says what is wrong."""
    if head.startswith(ZIP):
        return WORKBOOK
    mark, encoding = marked(head) or (b"", UTF_8)
    text = head.removeprefix(mark).decode(encoding, "replace").encode()
    return {b"[": JSON, b"{": NDJSON}.get(json_in(text) or b"", CSV)
