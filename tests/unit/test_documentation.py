"""What the documentation says is there: links, commands, settings; and the site is built without a warning."""

import html
import re
import shlex
from pathlib import Path

import pytest
import yaml

from devstack import __main__ as command_line
from devstack.checks import _checks
from devstack.documentation import build
from events.errors import RollcallError
from operations.__main__ import parser
from query_api.history.filters import EventsQuery
from query_api.people.sorting import orders_of
from service_kit.auth.roles import ROLES, SCOPES
from service_kit.http.problems import STATUS
from service_kit.settings import Settings
from service_kit.version import VERSION
from tests.default_schema import SCHEMA, PeopleQuery
from tests.unit.test_house import KINDS, PACKAGES, ROOT
from verifier.__main__ import _parser as verifier_parser
from workers.outcomes import BEHIND, ENDED, LOG_BEHIND

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *(ROOT / folder / "README.md" for folder in ("mongo-cluster", "rabbitmq")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
# What stands for a value in the guides, and a value of that kind.
PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
SHELL = {"$PERSON": PERSON, "$COMMAND": PERSON, "\\\n": " "}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A word, quoted or not, up to what ends a command: a comment, a pipe, a parenthesis, a redirection.
WORDS = r"""((?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|[^\s"'|;&()<>#])+)+)"""
MODULE = command_line.__name__.partition(".")[0]
COMMAND = re.compile(rf"(?:\./run|(?<![\w/-])rollcall|python -m {MODULE}){WORDS}")
VERIFIER = re.compile(rf"python -m verifier{WORDS}")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> str:
    text = "\n".join(text for language, text in BLOCK.findall(text_of(path)) if language in ("", "sh"))
    for word, value in SHELL.items():
        text = text.replace(word, value)
    return text


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_internal_link_leads_somewhere(page):
    for target in LINK.findall(text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(file), f"{target} has no such heading"


def test_code_names_decisions_that_are_there():
    files = [*(ROOT / package for package in PACKAGES), ROOT / "mongo-cluster"]
    for path in [path for folder in files for path in folder.rglob("*.py")]:
        for number in re.findall(r"docs/adr/(\d+)", text_of(path)):
            assert list((ROOT / "docs" / "adr").glob(f"{number}-*.md")), f"{name_of(path)}: {number}"


def test_decisions_are_numbered_without_a_gap_and_titled_as_they_are_filed():
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for path in files:
        assert text_of(path).startswith(f"# {int(path.name[:4])}. "), path.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_code_block_is_understood(page):
    for words in COMMAND.findall(blocks(page)):
        arguments = shlex.split(words)
        if arguments and arguments[0] in command_line.FORWARDING:
            continue
        try:
            parser("./run", command_line.VERBS, arguments[0] if arguments else None).parse_args(arguments)
        except SystemExit as exc:
            assert exc.code == 0, f"./run{words}"
    for words in VERIFIER.findall(blocks(page)):
        verifier_parser().parse_args(shlex.split(words))


def test_commands_are_looked_for_in_every_form():
    found = [words.split() for words in COMMAND.findall("A=$(./run token --sub 'a b') | x; ./run up # now")]
    assert found == [["token", "--sub", "'a", "b'"], ["up"]]
    assert sum(len(COMMAND.findall(blocks(page))) for page in PAGES) > 60
    assert sum(len(VERIFIER.findall(blocks(page))) for page in PAGES) >= 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_is_a_setting(page):
    named = set(re.findall(r"\bROLLCALL_[A-Z_]*[A-Z]\b", text_of(page)))
    assert named <= SETTINGS | OTHER_VARIABLES | FORMER_VARIABLES.get(page.name, set())


SETTINGS = {f"ROLLCALL_{name.upper()}" for name in Settings.model_fields if name != "cloudinary_url"}
# Read elsewhere than in the settings of a service: by `./run`, the initialiser, or the files of Docker Compose.
OTHER_VARIABLES = {
    name
    for path in (
        ROOT / "run",
        *ROOT.glob("docker-compose*.yml"),
        *(path for folder in (*PACKAGES, "mongo-cluster") for path in (ROOT / folder).rglob("*.py")),
    )
    for name in re.findall(r"\bROLLCALL_[A-Z_]*[A-Z]\b", text_of(path))
}
FORMER_VARIABLES = {"CHANGELOG.md": {"ROLLCALL_JWT_KEY", "ROLLCALL_UNIQUE"}}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `./run docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    assert build(ROOT, folder) == 0, "Sphinx warns, or is not installed: `./run docs --build` installs it"
    return folder / "html"


def shown(site: Path, name: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", text_of(site / "reference" / f"{name}.html")))


def test_the_reference_has_every_setting(site):
    page = shown(site, "settings")
    for name in SETTINGS | {"CLOUDINARY_URL"}:
        assert re.search(rf"\b{name}\b", page), name


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_reference_has_every_verb_and_option(site):
    page = shown(site, "commands")
    for name in command_line.VERBS:
        assert f"./run {name}" in page, name
    for name in command_line.VERBS.keys() - command_line.FORWARDING.keys():
        usage = parser("./run", command_line.VERBS, name)._subparsers._group_actions[0].choices[name]
        for option in re.findall(r"--[a-z-]+", usage.format_usage()):
            assert option in page, f"{name} {option}"


def test_the_reference_has_every_problem(site):
    page = shown(site, "problems")
    answered = [kind for kind in KINDS if issubclass(kind, tuple(STATUS)) and kind is not RollcallError]
    for kind in answered:
        assert re.search(rf"\b{kind.code}\b", page) or kind.code == "access-denied", kind


def test_the_reference_has_every_metric(site):
    page, named = shown(site, "metrics"), set()
    for path in [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]:
        named |= set(
            re.findall(r"(?:Counter|Gauge|Histogram|MetricFamily)\(\s*\"(rollcall_\w+)\"", text_of(path))
        )
    assert len(named) > 20
    for name in named:
        assert re.search(rf"\b{name}\b", page), name


def test_the_reference_has_every_word_role_filter_and_reason(site):
    words = shown(site, "accepted")
    for field in SCHEMA.fields:
        for code, known in field.words.items():
            assert code in words
            assert ", ".join(known) in words
    access, queries = shown(site, "access"), shown(site, "queries")
    assert all(name in access for name in (*ROLES, *SCOPES))
    for name in (*PeopleQuery.model_fields, *EventsQuery.model_fields, *orders_of(SCHEMA).names):
        assert re.search(rf"\b{name.rstrip('_')}\b", queries), name
    letters = shown(site.joinpath(""), "../how-to/dead-letters")
    assert all(reason.kind in letters for reason in (BEHIND, LOG_BEHIND, ENDED))


def test_every_page_can_be_read_without_a_network(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]*\"", text_of(page)
        )
        assert not loaded, name_of_page(site, page)


def name_of_page(site: Path, page: Path) -> str:
    return str(page.relative_to(site))


def test_the_glossary_lists_each_word_once():
    words = re.findall(r"^([A-Z][\w -]*)$", text_of(ROOT / "docs" / "glossary.md"), re.MULTILINE)
    assert len(words) > 40
    assert len(words) == len(set(words))


def test_the_readme_is_short_and_leads_on():
    readme = text_of(ROOT / "README.md")
    assert len(readme.splitlines()) < 200
    for name in ("LICENSE", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/"):
        assert f"({name}" in readme


def test_git_hooks_run_what_the_checks_run():
    hooks = yaml.safe_load(text_of(ROOT / ".pre-commit-config.yaml"))["repos"][0]["hooks"]
    run = {hook["entry"].removeprefix("bash -c ").strip("'") for hook in hooks}
    programs = Path(".venv/bin")
    for title, command in _checks(programs, ROOT):
        line = " ".join(command)
        if title == "types of the scripts":
            line = f"{programs}/mypy docs/*.py mongo-cluster/*.py"
        assert line in run, title


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"rollcall {VERSION}\n"
    assert f"## [{VERSION}]" in text_of(ROOT / "CHANGELOG.md")
