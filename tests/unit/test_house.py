"""Rules of the house that a program can hold."""

import ast
import inspect
from pathlib import Path

import aiormq
import pytest
from aio_pika.exceptions import AMQPConnectionError

import events
from events import account_errors, errors, image_errors, rejections
from events.errors import BrokerUnavailable, RollcallError
from events.position import Position
from events.rejections import REJECTIONS, Rejection, ValueTaken
from events.vocabulary import DOCUMENT_WORDS, GENDER_WORDS
from service_kit.broker import broker_errors
from service_kit.problems import problem_of, status_of
from service_kit.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "cli",
    "command_api",
    "events",
    "local",
    "query_api",
    "service_kit",
    "subscriber",
    "verifier",
    "workers",
    "bench",
)
ADAPTERS = {
    "aio_pika": {
        "service_kit/broker.py",
        "service_kit/declaring.py",
        "cli/replay_queue.py",
        "service_kit/dead_letters.py",
        "service_kit/replacing.py",
        "command_api/open_channel.py",
        "command_api/publisher.py",
        "service_kit/announcements.py",
        "service_kit/publishing.py",
        "command_api/replies.py",
        "query_api/replays.py",
        "query_api/tail.py",
        "service_kit/stream.py",
        "subscriber/dead.py",
        "subscriber/queue.py",
        "subscriber/stream.py",
        "workers/announcer.py",
        "workers/consumer.py",
        "workers/mark_search.py",
        "workers/prover.py",
        "workers/session.py",
        "service_kit/feed_comparison.py",
        "cli/feed.py",
        "workers/intake.py",
    },
    "pymongo": {
        "command_api/imports/store.py",
        "query_api/lease.py",
        "workers/visibility.py",
        "cli/log_reader.py",
        "workers/attempts.py",
        "cli/read_model.py",
        "command_api/accounts/journal.py",
        "command_api/accounts/session_store.py",
        "command_api/accounts/store.py",
        "service_kit/clocks.py",
        "service_kit/images/gridfs.py",
        "service_kit/mongo.py",
        "workers/store.py",
        "workers/feed_store.py",
        "local/mongo.py",
    },
    "cloudinary": {"service_kit/images/cloud.py", "service_kit/images/cloud_calls.py"},
    "PIL": {"command_api/pictures.py"},
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
KINDS = sorted(
    {
        kind
        for module in (errors, rejections, account_errors, image_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, RollcallError)
    },
    key=lambda kind: kind.__name__,
)


def test_events_is_ours_and_not_the_package_of_that_name():
    assert Path(events.__file__).parent == ROOT / "events"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_opens_with_a_sentence(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 275
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("library", ADAPTERS)
def test_vendors_are_imported_in_adapters_only(library):
    users = set()
    for path in FILES:
        if path.is_relative_to(ROOT / "bench") or path.is_relative_to(ROOT / "local"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            if any(name.split(".")[0] == library for name in names):
                users.add(str(path.relative_to(ROOT)))
    assert users <= ADAPTERS[library]


def test_the_error_tree_is_drawn_as_it_is():
    drawn = f"{errors.__doc__}{rejections.__doc__}{account_errors.__doc__}{image_errors.__doc__}"
    for kind in KINDS:
        assert kind.__name__ in drawn, kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code(kind):
    status, title = status_of(kind)
    assert 400 <= status <= 503
    assert title
    more = {errors.Forbidden: "people:read", errors.PositionGone: Position(7)}
    error = kind("x", more[kind]) if kind in more else kind("x")
    assert problem_of(error).status_code == status


def test_every_rejection_can_be_told_from_its_code():
    leaves = {kind for kind in KINDS if issubclass(kind, Rejection) and not kind.__subclasses__()}
    assert set(REJECTIONS.values()) == leaves - {Rejection, ValueTaken}
    assert all(code == kind.code for code, kind in REJECTIONS.items())


@pytest.mark.parametrize(
    "failure",
    [
        AMQPConnectionError("x"),
        aiormq.exceptions.ChannelInvalidStateError("x"),
        aiormq.exceptions.ChannelPreconditionFailed("x"),
        ConnectionResetError("x"),
        OSError("x"),
        TimeoutError(),
        RuntimeError("x"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_every_failure_of_the_amqp_client_becomes_ours(failure):
    with pytest.raises(BrokerUnavailable), broker_errors("trying"):
        raise failure


def test_the_readme_lists_the_vocabulary_and_the_settings():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for table in (DOCUMENT_WORDS, GENDER_WORDS):
        for code, words in table.items():
            assert f"| `{code}` | {', '.join(words)} |" in readme
    assert "`CLOUDINARY_URL`" in readme
    for name in Settings.model_fields.keys() - {"cloudinary_url"}:
        prefix, _, last = name.rpartition("_")
        assert (
            f"`ROLLCALL_{name.upper()}`" in readme
            or f"`_{name.upper()}`" in readme
            or (f"`ROLLCALL_{prefix.upper()}" in readme and f"`_{last.upper()}`" in readme)
        ), name
