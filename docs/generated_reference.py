"""A Sphinx extension: the directive `generated` puts a part of the reference into a page, made from the code.

What it needs of the packages is imported here and nowhere else in this folder. Nothing that it makes is kept
in a file: `:::{generated} settings` is replaced while the site is built.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import workers.__main__ as worker
from command_api.app import build_app as build_command_api
from command_api.imports.formats import MEDIA_TYPES, UNTOLD
from command_api.people.input import input_forms
from devstack.__main__ import FORWARDING, VERBS
from events import errors
from events.imports.files import CSV, ENDINGS, JSON, NDJSON, WORKBOOK
from events.log.event import EVENT_TYPES
from events.person import rejections
from events.person.outcomes import Applied, Parked, Rejected, Unchanged, Unreadable
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema
from events.person.titles import titles_of
from operations.__main__ import parser
from query_api.app import build_app as build_query_api
from query_api.feed.routes import LiveQuery
from query_api.history.filters import EventsQuery, HistoryQuery
from query_api.metrics import ReplicationLag
from query_api.people.filters import PeopleFilters, PeopleQuery, people_queries
from query_api.people.sorting import orders_of
from service_kit.access_settings import AccessSettings
from service_kit.auth.roles import BUILT_IN
from service_kit.http.details import TITLES as SPANISH
from service_kit.http.parameters import parameters
from service_kit.http.problems import status_of
from service_kit.http.rates import Quota
from service_kit.http.reasons import ALL_REASONS
from service_kit.import_settings import ImportSettings
from service_kit.read_limits import ReadLimits
from service_kit.settings import MIN_SECRET_BYTES, Settings
from verifier.__main__ import _parser as verifier_parser
from workers.outcomes import BEHIND, ENDED, LOG_BEHIND

PREFIX: Final = "rollcall_"
REASONS: Final = (BEHIND, LOG_BEHIND, ENDED)
SCHEMA: Final = default_schema()
_OF_A_PAGE: Final = PeopleQuery.model_fields.keys() - PeopleFilters.model_fields.keys()
del worker  # imported for its metrics


def table(header: str, rows: Iterator[list[str]] | list[list[str]]) -> str:
    """Return a table in Markdown.

    Args:
        header: The titles of the columns, separated by `|`.
        rows: The cells of each row, in Markdown.
    """
    titles = header.split("|")
    lines = [titles, ["---"] * len(titles), *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _codes(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def settings() -> str:
    """Return each setting with its default and its meaning."""
    last = (
        ReadLimits.model_fields.keys()
        | ImportSettings.model_fields.keys()
        | AccessSettings.model_fields.keys()
    )
    names = sorted(Settings.model_fields, key=last.__contains__)
    return table("Variable|Default|Values|Meaning", list(map(_setting, names)))


def _setting(name: str) -> list[str]:
    field = Settings.model_fields[name]
    default = field.default
    if default is PydanticUndefined:
        shown = "needed"
    elif default is None or default in ("", (), frozenset()):
        shown = ""
    elif isinstance(default, Quota):
        shown = f"`{default.requests}/{default.seconds}`"
    elif isinstance(default, float):
        shown = f"`{default:g}`"
    else:
        shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return [f"`{variable(name)}`", shown, _codes(_choices(field.annotation)), field.description or ""]


def _choices(annotation: Any) -> list[str]:
    """Return the words that a type allows, none if it is not made of words."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for part in get_args(annotation) for word in _choices(part)]


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return name.upper() if name == "cloudinary_url" else f"ROLLCALL_{name.upper()}"


def problems() -> str:
    """Return every kind of error that an API answers with, by status."""
    kinds = sorted(_leaves(errors.RollcallError), key=lambda kind: (status_of(kind)[0], kind.code))
    rows, seen = [], set()
    for kind in kinds:
        status, title = status_of(kind)
        if kind.code in seen or kind in (errors.RollcallError, errors.AccessError):
            continue
        seen.add(kind.code)
        when = (kind.__doc__ or "").split("\n\n")[0]
        rows.append([f"`{kind.code}`", str(status), title, SPANISH[title], when])
    status, title = status_of(rejections.ValueTaken)
    rows += [[code, str(status), title, SPANISH[title], when] for code, when in _taken(SCHEMA)]
    rows.sort(key=lambda row: (row[1], row[0]))
    return table("Code|Status|Title|Spanish title|When", rows)


def _taken(schema: PersonSchema) -> Iterator[tuple[str, str]]:
    """Yield the code of each kind of value that belongs to one person, and when it is told."""
    for kind, names in schema.unique.items():
        yield (
            f"`{rejections.taken_code(kind)}`",
            f"Another person has the same {' and '.join(f'`{name}`' for name in names)}.",
        )


def field_codes() -> str:
    """Return every code of the error of a field or a row, with what is said in both languages."""
    rows = [
        [f"`{one.code}`", one.english, one.spanish] for one in sorted(ALL_REASONS, key=lambda one: one.code)
    ]
    return table("Code|English|Spanish", rows)


def _leaves(kind: type[errors.RollcallError]) -> Iterator[type[errors.RollcallError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _leaves(child)


def rejected() -> str:
    """Return the codes with which the rules reject a command."""
    rows = [
        [f"`{code}`", (kind.__doc__ or "").split("\n\n")[0]] for code, kind in rejections.REJECTIONS.items()
    ]
    return table("Code|When", [*rows, *map(list, _taken(SCHEMA))])


def outcomes() -> str:
    """Return the words for what became of a command."""
    names = [
        kind.model_fields["status"].default for kind in (Applied, Unchanged, Rejected, Parked, Unreadable)
    ]
    return _codes(names)


def event_types() -> str:
    """Return the types of a person's events."""
    return _codes(EVENT_TYPES)


def reasons() -> str:
    """Return why a person is parked, beside the failures that are named by their class."""
    return table("Reason|Meaning", [[f"`{reason.kind}`", reason.detail] for reason in REASONS])


def roles() -> str:
    """Return the roles and what each may do."""
    return BUILT_IN.table()


def person_fields() -> str:
    """Return the fields of a person as clients write them."""
    form = input_forms(SCHEMA).person.model_json_schema()
    rows = []
    for name in SCHEMA.names:
        shape = form["properties"][name]
        shape = shape.get("anyOf", [shape])[0]
        rows.append(
            [
                f"`{name}`",
                "yes" if name in form["required"] else "",
                str(shape["maxLength"]),
                _codes(shape["examples"]),
            ]
        )
    return table("Field|Needed|Characters, at most|For example", rows)


def document_words() -> str:
    """Return the words for types of documents."""
    return _words("document_type")


def gender_words() -> str:
    """Return the words for genders."""
    return _words("gender")


def _words(name: str) -> str:
    words = SCHEMA.by_name[name].words
    return table(f"`{name}`|also", [[f"`{code}`", ", ".join(known)] for code, known in words.items()])


def file_titles() -> str:
    """Return what the columns of a file may be called."""
    return table(
        "Field|also", [[f"`{name}`", ", ".join(titles)] for name, titles in titles_of(SCHEMA).items()]
    )


def file_forms() -> str:
    """Return the forms of files, their media types and the endings of their names."""
    names = {
        CSV: "CSV",
        NDJSON: "JSON, an object a line",
        JSON: "JSON array",
        WORKBOOK: "workbook (.xlsx)",
    }
    rows = [
        [
            name,
            _codes(media_type for media_type, form in MEDIA_TYPES.items() if form == one),
            _codes(ending for ending, form in ENDINGS.items() if form == one),
        ]
        for one, name in names.items()
    ]
    return table("File|`Content-Type`|Name ends with", rows)


def untold_types() -> str:
    """Return the media types that say nothing of a file's form."""
    return _codes(UNTOLD)


def query(form: type[BaseModel], skipped: Collection[str] = ()) -> str:
    """Return the parameters of a read.

    Args:
        form: What reads them.
        skipped: The names of those that are left out.
    """
    rows = [
        [f"`{parameter['name']}`", _values(parameter["schema"]), parameter["description"]]
        for parameter in parameters(form)
        if parameter["name"] not in skipped
    ]
    return table("Parameter|Values|Meaning", rows)


def _values(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return ", ".join(map(_values, schema["anyOf"]))
    if "enum" in schema:
        return _codes(schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**31 - 1:
        return f"{low} to {high}"
    default = schema.get("default")
    words = {"integer": "a number", "boolean": "`true`, `false`", "string": "text", "array": "a list"}
    return words[schema["type"]] + (
        f" (default: `{default}`)" if isinstance(default, str | int) and default else ""
    )


def people_filters() -> str:
    """Return what chooses people."""
    return query(people_queries(SCHEMA).people, _OF_A_PAGE)


def people_page() -> str:
    """Return what steers a page of people."""
    form = people_queries(SCHEMA).people
    return query(form, form.model_fields.keys() - _OF_A_PAGE)


def people_sorts() -> str:
    """Return the fields by which people are sorted."""
    return _codes(orders_of(SCHEMA).names)


def routes() -> str:
    """Return the routes of both APIs."""
    return "\n\n".join(
        f"### {title}\n\n" + table("Route|What it does", _routes(app)) for title, app in _applications()
    )


def _routes(app: Any) -> list[list[str]]:
    return [
        [f"`{method.upper()} {path}`", operation["summary"]]
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
    ]


def _applications() -> Iterator[tuple[str, Any]]:
    """Yield both APIs; nothing connects before they run."""
    with tempfile.TemporaryDirectory() as folder:
        key, kek = Path(folder) / "key", Path(folder) / "kek"
        key.write_text("x" * MIN_SECRET_BYTES)
        kek.write_text(f"one {'0' * 64}")
        kek.chmod(0o600)
        chosen = Settings(
            amqp_url="amqp://a:b@localhost/", mongo_uri="mongodb://localhost/", jwt_key_file=key, kek_file=kek
        )
        yield "Command API", build_command_api(chosen, lambda: datetime.now(UTC))
        yield "Query API", build_query_api(chosen)


def metrics() -> str:
    """Return every metric with its kind, its labels and the process that has it."""
    rows = [
        [f"`{name}`", kind, _codes(labels), text, who]
        for name, (kind, labels, text, who) in sorted(_metrics().items())
    ]
    return table("Metric|Kind|Labels|Meaning|Process", rows)


def _metrics() -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    """Return the metrics that the packages define, by the name under which Prometheus stores them."""
    owners = {"command_api": "command API", "query_api": "query API", "workers": "worker"}
    found: dict[str, tuple[str, tuple[str, ...], str, str]] = {}
    # The shared ones last: a service that imports one does not own it.
    packages = (*owners, "service_kit")
    for package in packages:
        for module in [module for name, module in sys.modules.items() if name.split(".")[0] == package]:
            for metric in vars(module).values():
                name = getattr(metric, "_name", None)
                if isinstance(name, str) and name.startswith(PREFIX) and hasattr(metric, "_documentation"):
                    kind = metric._type
                    stored = f"{name}_total" if kind == "counter" else name
                    who = owners.get(package, "each that does this")
                    found[stored] = (kind, metric._labelnames, metric._documentation, who)
    for family in ReplicationLag(cast(Any, _NoServers())).collect():
        found[family.name] = (family.type, family._labelnames, family.documentation, "query API")
    return found


class _NoServers:
    """A MongoDB client that knows no member."""

    topology_description: Final = type("Topology", (), {"server_descriptions": staticmethod(dict)})


def commands() -> str:
    """Return every verb of `./run`, with its options."""
    parts = [
        f"### `./run {name}`\n\n{_sentence(verb.summary)}"
        if name in FORWARDING
        else _verb(f"./run {name}", verb.summary, name)
        for name, verb in VERBS.items()
    ]
    parts.append(
        _described("python -m verifier", verifier_parser(), "verify an exported log without our database")
    )
    return "\n\n".join(parts)


def _verb(title: str, summary: str, name: str) -> str:
    choices = next(
        a for a in parser("./run", VERBS, name)._actions if isinstance(a, argparse._SubParsersAction)
    ).choices
    return _described(title, choices[name], summary)


def _described(title: str, one: argparse.ArgumentParser, summary: str, level: int = 3) -> str:
    """Return a parser's usage, options and sub-verbs."""
    parts = [f"{'#' * level} `{title}`", _sentence(summary)]
    actions = [action for action in one._actions if action.dest != "help"]
    nested = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    rows = [
        [_option(action), (action.help or "") % _expansions(action)]
        for action in actions
        if action not in nested
    ]
    if rows:
        parts.append(table("Argument|Meaning", rows))
    for group in nested:
        helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
        for name, child in group.choices.items():
            parts.append(_described(f"{title} {name}", child, helps.get(name, ""), level + 1))
    return "\n\n".join(parts)


def _expansions(action: argparse.Action) -> dict[str, Any]:
    return {"default": action.default, "prog": "./run"}


def _option(action: argparse.Action) -> str:
    if not action.option_strings:
        name = action.metavar or ("|".join(action.choices) if action.choices else action.dest)
        return f"`{name}`"
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
        value = f" {action.metavar or choices}"
    needed = " (needed)" if action.required else ""
    return ", ".join(f"`{option}{value}`" for option in action.option_strings) + needed


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


PARTS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings,
    "problems": problems,
    "field-codes": field_codes,
    "rejections": rejected,
    "outcomes": outcomes,
    "event-types": event_types,
    "reasons": reasons,
    "roles": roles,
    "person-fields": person_fields,
    "document-words": document_words,
    "gender-words": gender_words,
    "file-titles": file_titles,
    "file-forms": file_forms,
    "untold-types": untold_types,
    "people-filters": people_filters,
    "people-page": people_page,
    "people-sorts": people_sorts,
    "person": lambda: query(people_queries(SCHEMA).person),
    "history": lambda: query(HistoryQuery),
    "events": lambda: query(EventsQuery),
    "live": lambda: query(LiveQuery),
    "routes": routes,
    "metrics": metrics,
    "commands": commands,
}


class Generated(SphinxDirective):
    """`:::{generated} NAME`: the part of that name, as if it stood in the page."""

    required_arguments = 1

    def run(self) -> list[Any]:
        """Return the nodes of the part."""
        self.env.note_reread()  # its source is code, of which Sphinx knows nothing
        name = self.arguments[0]
        if name not in PARTS:
            raise self.error(f"no such part: {name}; there are {', '.join(PARTS)}")
        return self.parse_text_to_nodes(PARTS[name](), allow_section_headings=True)


class Adrs(SphinxDirective):
    """`:::{decisions}`: a table of the ADRs, by number, with the sentence that each decided."""

    def run(self) -> list[Any]:
        """Return the table, made from the files."""
        self.env.note_reread()
        return self.parse_text_to_nodes(decisions())


def decisions() -> str:
    """Return the ADRs with their titles."""
    rows = []
    for path in sorted((Path(__file__).parent / "adr").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").split("\n", 1)[0]
        number, _, words = re.sub(r"^# ", "", title).partition(". ")
        rows.append([number, f"[{words}](adr/{path.name})"])
    return table("No.|Decision", rows)


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directives known to Sphinx."""
    app.add_directive("generated", Generated)
    app.add_directive("decisions", Adrs)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
