"""Reads XML as it comes: no document types, no entities, and no tag that is held without an end."""

from collections.abc import Callable, Mapping
from typing import Final
from xml.parsers import expat

from command_api.imports.lines import Unreadable

_MAX_TAG_BYTES: Final = 256 * 1024
"""A tag, a comment or the like is held until it ends; a spreadsheet's have some hundred bytes."""
_MAX_DEPTH: Final = 100
"""Each tag that is open takes memory; a spreadsheet's are ten deep."""


class XmlReader:
    """Tells of tags and text as they come.

    Args:
        start: Called with a tag's name, without its namespace, and its attributes.
        end: Called with the name once it ends.
        text: Called with text, perhaps in several parts.
    """

    def __init__(
        self,
        start: Callable[[str, Mapping[str, str]], None],
        end: Callable[[str], None] = lambda _: None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        depth = 0

        def started(name: str, fields: Mapping[str, str]) -> None:
            nonlocal depth
            depth += 1
            if depth > _MAX_DEPTH:
                raise Unreadable("the workbook has tags within tags, deeper than any spreadsheet writes")
            start(name.rpartition(" ")[2], fields)

        def ended(name: str) -> None:
            nonlocal depth
            depth -= 1
            end(name.rpartition(" ")[2])

        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = started
        self._parser.EndElementHandler = ended
        self._parser.CharacterDataHandler = text
        self._parser.StartDoctypeDeclHandler = _refuse
        self._fed = 0

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """Read some more.

        Raises:
            Unreadable: It is no XML, or none that a spreadsheet writes.
        """
        self._fed += len(data)
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError:
            raise Unreadable("the workbook is damaged: its XML cannot be read") from None
        if self._fed - self._parser.CurrentByteIndex > _MAX_TAG_BYTES and not final:
            raise Unreadable("the workbook has a tag without an end")


def _refuse(*_: object) -> None:
    raise Unreadable("the workbook has a document type (DOCTYPE), which no spreadsheet writes")
