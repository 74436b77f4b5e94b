"""Workbooks (.xlsx) written by hand, also such as no spreadsheet writes."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
WORKBOOK = {"Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
DAY, ZEROS, MOMENT = 1, 2, 3
"""Styles: a day, a number of eight digits, a day with its time."""
STYLES = f"""<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="00000000"/>
<numFmt numFmtId="165" formatCode="[$-40A]d&quot; de &quot;mmmm;@"/></numFmts>
<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>"""


def cell(value: Any, texts: list[str], place: str = "") -> str:
    """Return a cell: of a text, a number, a truth, or of a type, a style and what the XML is to say."""
    at = f' r="{place}"' if place else ""
    match value:
        case None:
            return ""
        case tuple():
            kind, style, inner = value
            return f'<c{at} t="{kind}" s="{style}">{inner}</c>'
        case bool():
            return f'<c{at} t="b"><v>{int(value)}</v></c>'
        case int() | float():
            return f"<c{at}><v>{value}</v></c>"
        case _:
            if value not in texts:
                texts.append(value)
            return f'<c{at} t="s"><v>{texts.index(value)}</v></c>'


def sheet_of(rows: Iterable[Iterable[Any]], texts: list[str]) -> str:
    """Return a sheet; texts that its cells share are added to the list."""
    lines = []
    for number, row in enumerate(rows, 1):
        cells = [cell(one, texts, f"{chr(64 + at)}{number}") for at, one in enumerate(row, 1)]
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def workbook(
    sheets: Mapping[str, Iterable[Iterable[Any]] | str],
    *,
    from_1904: bool = False,
    parts: Mapping[str, str | bytes | None] | None = None,
) -> bytes:
    """Return a workbook.

    Args:
        sheets: By name, the rows, or the XML.
        from_1904: Whether days are counted from 1904.
        parts: Others, or in place of those that are made; None for one that is to be left out.
    """
    texts: list[str] = []
    written = [one if isinstance(one, str) else sheet_of(one, texts) for one in sheets.values()]
    names = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(sheets, 1)
    )
    shared = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in texts)
    targets = [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(written) + 1)]
    targets += [("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")]
    content: dict[str, str | bytes | None] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr date1904="{int(from_1904)}"/>'
        f"<sheets>{names}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(targets),
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{shared}</sst>',
        **{f"xl/worksheets/sheet{at}.xml": one for at, one in enumerate(written, 1)},
        **(parts or {}),
    }
    return zipped({name: part for name, part in content.items() if part is not None})


def relations(targets: Iterable[tuple[str, str]]) -> str:
    """Return the part that says what another one refers to."""
    lines = [
        f'<Relationship Id="rId{at}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(targets, 1)
    ]
    return f'<Relationships xmlns="{PACKAGE}">{"".join(lines)}</Relationships>'


def zipped(parts: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()
