"""The report on a person as a page to print: no script, no file beside it, every value escaped. Pure."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from events.person.schema.declarations import PersonSchema
from service_kit.http.reasons import Language

_STYLE: Final = """
body { font: 11pt/1.4 sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem; break-after: avoid }
table { border-collapse: collapse; width: 100% } tr { break-inside: avoid }
th, td { border-bottom: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere }
thead { display: table-header-group } img { max-width: 12rem; max-height: 12rem }
@media print { body { margin: 0; max-width: none; font-size: 9pt } a { color: inherit } }
"""
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_ES: Final[Mapping[str, str]] = {
    "Report on a person": "Informe sobre una persona",
    "Made at {time}, of the person {person_id}: {status}.": (
        "Hecho a las {time}, de la persona {person_id}: {status}."
    ),
    "active": "activa",
    "deleted": "eliminada",
    "erased": "borrada definitivamente",
    "absent": "sin crear",
    "Values": "Valores",
    "There are no present values.": "No hay valores actuales.",
    "Image": "Imagen",
    "What nobody else may have": "Lo que nadie más puede tener",
    "Holds": "Retenciones",
    "Waiting commands": "Comandos en espera",
    "History": "Historial",
    "Who read it": "Quién lo leyó",
    "Exports and followers that may have had it": "Exportaciones y seguidores que pueden haberlo recibido",
    "How long it is kept": "Cuánto tiempo se guarda",
    "Access records are kept {days} days; values until the person is erased.": (
        "Los registros de acceso se guardan {days} días; los valores, hasta que la persona se borre "
        "definitivamente."
    ),
    "Of an erased person there is only the proof.": (
        "De una persona borrada definitivamente solo queda la prueba."
    ),
    "None.": "Nada.",
    "There is more at {link}": "Hay más en {link}",
    "Field": "Campo",
    "Value": "Valor",
    "Reference": "Referencia",
    "Reason": "Motivo",
    "Time": "Momento",
    "What": "Qué",
    "Who": "Quién",
    "From where": "Desde dónde",
    "Changes": "Cambios",
    "Purpose": "Finalidad",
    "Lines": "Líneas",
    "erased: {names}": "borrado: {names}",
}
"""What the page says, in Spanish by the English words."""


class _Words:
    """Says things in a language, escaped."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def __call__(self, text: str, **parts: object) -> str:
        said = _ES[text] if self._language == "es" else text
        return escape(said.format(**parts))


def policy_of(report: Mapping[str, Any]) -> str:
    """Return the content security policy of a page: its own style, the image's address, nothing else."""
    image = (report["person"] or {}).get("thumbnail_url")
    images = "'none'"
    if image is not None:
        place = urlsplit(image)
        images = f"{place.scheme}://{place.netloc}" if place.scheme in ("http", "https") else "'self'"
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src {images}; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def page_of(report: Mapping[str, Any], schema: PersonSchema, language: Language) -> str:
    """Return a report as HTML.

    Args:
        report: As of `Reports.of`.
        schema: What a person is: says what fields are called.
        language: Of the page's own words.
    """
    say = _Words(language)
    labels = {one.name: one.labels.get(language, one.name) for one in schema.fields}
    title = say("Report on a person")
    head = say(
        "Made at {time}, of the person {person_id}: {status}.",
        time=report["made_at"],
        person_id=report["person_id"],
        status=_ES[report["status"]] if language == "es" else report["status"],
    )
    parts = [f"<h1>{title}</h1><p>{head}</p>", *_values(report, labels, say)]
    parts += [
        _section(say("What nobody else may have"), _listed(report["unique"], say)),
        _section(
            say("Holds"),
            _table(
                [say("Reference"), say("Reason")],
                [[escape(one["reference"]), escape(one["reason"])] for one in report["holds"]],
                say,
            ),
        ),
        _part(say("Waiting commands"), report["waiting"], ["Time", "What", "Who", "Reason"], _command, say),
        _part(
            say("History"),
            report["history"],
            ["Time", "What", "Who", "From where", "Changes"],
            lambda one: _entry(one, labels, say),
            say,
        ),
    ]
    reads = ["Time", "What", "Who", "From where", "Purpose", "Lines"]
    for heading, name in (
        ("Who read it", "accesses"),
        ("Exports and followers that may have had it", "recipients"),
    ):
        if report[name] is None:
            parts.append(_section(say(heading), f"<p>{say('Of an erased person there is only the proof.')}"))
        else:
            parts.append(_part(say(heading), report[name], reads, _access, say))
    kept = say(
        "Access records are kept {days} days; values until the person is erased.",
        days=report["retention"]["access_days"],
    )
    parts.append(_section(say("How long it is kept"), f"<p>{kept}</p>"))
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _values(report: Mapping[str, Any], labels: Mapping[str, str], say: _Words) -> Iterable[str]:
    person = report["person"]
    if person is None:
        yield _section(say("Values"), f"<p>{say('There are no present values.')}</p>")
        return
    rows = [
        [escape(labels.get(name, name)), _text(value)] for name, value in person.items() if value is not None
    ]
    yield _section(say("Values"), _table([say("Field"), say("Value")], rows, say))
    if person.get("thumbnail_url"):
        address = escape(str(person["thumbnail_url"]))
        yield _section(say("Image"), f'<p><img src="{address}" alt="{say("Image")}"></p>')


def _section(heading: str, content: str) -> str:
    return f"<h2>{heading}</h2>{content}"


def _listed(names: Sequence[str], say: _Words) -> str:
    return f"<p>{', '.join(map(escape, names)) or say('None.')}</p>"


def _part(heading: str, part: Mapping[str, Any], columns: Sequence[str], row: Any, say: _Words) -> str:
    table = _table([say(one) for one in columns], [row(one) for one in part["items"]], say)
    more = f"<p>{say('There is more at {link}', link=part['next'])}</p>" if part["next"] else ""
    return _section(heading, table + more)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], say: _Words) -> str:
    """Return a table of cells that are escaped already."""
    if not rows:
        return f"<p>{say('None.')}</p>"
    head = "".join(f"<th>{one}</th>" for one in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _command(one: Mapping[str, Any]) -> list[str]:
    return [escape(one["accepted_at"]), escape(one["type"]), escape(one["actor"]), escape(one["reason"])]


def _entry(one: Mapping[str, Any], labels: Mapping[str, str], say: _Words) -> list[str]:
    actor = one["actor"]
    who = " ".join(filter(None, (actor["subject"], actor["name"])))
    changes = [
        f"{escape(labels.get(name, name))}: {_text(change['from'])} → {_text(change['to'])}"
        for name, change in one.get("changes", {}).items()
    ]
    if one.get("erased"):
        changes.append(
            say("erased: {names}", names=", ".join(labels.get(name, name) for name in one["erased"]))
        )
    what = one["type"] if one["status"] == "applied" else f"{one['type']}: {one['reason']}"
    place = " ".join(filter(None, (one["source_address"], one["user_agent"])))
    time = one.get("applied_at") or one["rejected_at"]
    return [escape(time), escape(what), escape(who), escape(place), "<br>".join(changes)]


def _access(one: Mapping[str, Any]) -> list[str]:
    what = f"{one['method']} {one['route']}: {one['outcome']}"
    cells = (one["at"], what, one["subject"], one["address"], one["purpose"], one["lines"])
    return [_text(cell) for cell in cells]


def _text(value: Any) -> str:
    """Return a value, escaped; nothing for none."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    return escape(str(value))
