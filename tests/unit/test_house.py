"""Rules of the house that a program can hold."""

import ast
import inspect
import re
import subprocess
from pathlib import Path

import aiormq
import pytest
from aio_pika.exceptions import AMQPConnectionError

import events
from events import errors
from events.accounts import errors as account_errors
from events.errors import BrokerUnavailable, RollcallError
from events.feed import errors as feed_errors
from events.feed.errors import PositionGone
from events.feed.position import Position
from events.images import errors as image_errors
from events.person import rejections
from events.person.rejections import REJECTIONS, Rejection, ValueTaken
from service_kit.broker.connection import broker_errors
from service_kit.http.problems import problem_of, status_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "command_api",
    "devstack",
    "events",
    "operations",
    "query_api",
    "service_kit",
    "subscriber",
    "verifier",
    "workers",
    "bench",
)
ADAPTERS = {
    "aio_pika": {
        "service_kit/broker/connection.py",
        "service_kit/broker/declaring.py",
        "operations/replay/queue.py",
        "service_kit/broker/dead_letters.py",
        "service_kit/broker/handing_in.py",
        "service_kit/broker/replacing.py",
        "command_api/dispatch/open_channel.py",
        "command_api/dispatch/publisher.py",
        "service_kit/broker/announcements.py",
        "service_kit/broker/publishing.py",
        "command_api/dispatch/replies.py",
        "query_api/feed/replays.py",
        "query_api/feed/reader.py",
        "service_kit/broker/stream.py",
        "subscriber/dead.py",
        "subscriber/queue.py",
        "subscriber/stream.py",
        "workers/announcing/announcer.py",
        "workers/consuming/consumer.py",
        "workers/announcing/mark_search.py",
        "workers/announcing/reconciler.py",
        "workers/consuming/partitions.py",
        "service_kit/broker/feed_comparison.py",
        "operations/feed/verb.py",
        "workers/consuming/deliveries.py",
        "workers/app.py",
    },
    "pymongo": {
        "command_api/imports/store.py",
        "query_api/feed/tickets.py",
        "query_api/reading/lease.py",
        "workers/projecting/visibility.py",
        "workers/deciding/preparation.py",
        "workers/schema_lease.py",
        "operations/log_opening.py",
        "operations/erasing/listing.py",
        "operations/erasing/oplogs.py",
        "operations/keys/renewing_claims.py",
        "operations/log_reader.py",
        "workers/parking/attempts.py",
        "operations/rebuild/read_model.py",
        "command_api/accounts/account_log.py",
        "command_api/accounts/login_store.py",
        "command_api/accounts/store.py",
        "service_kit/mongo/addresses.py",
        "service_kit/mongo/budgets.py",
        "service_kit/mongo/claim_secrets.py",
        "service_kit/mongo/transport_keys.py",
        "service_kit/mongo/clocks.py",
        "service_kit/images/gridfs.py",
        "service_kit/mongo/access_store.py",
        "operations/proof/signed_accesses.py",
        "service_kit/mongo/connection.py",
        "service_kit/mongo/keys.py",
        "service_kit/mongo/key_rows.py",
        "service_kit/mongo/rounds.py",
        "service_kit/mongo/schema_record.py",
        "service_kit/mongo/schema_watch.py",
        "workers/store.py",
        "workers/streams.py",
        "workers/announcing/feed_store.py",
        "devstack/servers/mongo.py",
    },
    "cloudinary": {"service_kit/images/cloud.py", "service_kit/images/cloud_calls.py"},
    "PIL": {"command_api/images/pictures.py"},
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
KINDS = sorted(
    {
        kind
        for module in (errors, rejections, account_errors, image_errors, feed_errors)
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
    assert len(text.splitlines()) <= 320
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("library", ADAPTERS)
def test_vendors_are_imported_in_adapters_only(library):
    users = set()
    for path in FILES:
        if path.is_relative_to(ROOT / "bench") or path.is_relative_to(ROOT / "devstack"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            if any(name.split(".")[0] == library for name in names):
                users.add(str(path.relative_to(ROOT)))
    assert users <= ADAPTERS[library]


def test_a_worker_is_put_together_in_one_place():
    root = ROOT / "workers" / "app.py"
    tree = ast.parse(root.read_text(encoding="utf-8"))
    imported = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    parts = {name for name in called(tree) if name in imported and name[0].isupper()}
    assert {"Store", "Pipeline", "BatchDecider", "CommandConsumer"} <= parts
    for path in FILES:
        if path.is_relative_to(root.parent) and path != root:
            assert not parts & called(ast.parse(path.read_text(encoding="utf-8"))), path


def called(tree: ast.AST) -> set[str]:
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_the_error_tree_is_drawn_as_it_is():
    drawn = f"{errors.__doc__}{rejections.__doc__}{account_errors.__doc__}"
    drawn += f"{image_errors.__doc__}{feed_errors.__doc__}"
    for kind in KINDS:
        assert kind.__name__ in drawn, kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code(kind):
    status, title = status_of(kind)
    assert 400 <= status <= 503
    assert title
    more = {errors.Forbidden: ("people:read",), PositionGone: (Position(7),)}
    named = {ValueTaken: {"kind": "x", "fields": ("x",), "said": {"es": "x"}}}
    error = kind("x", *more.get(kind, ()), **named.get(kind, {}))
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


QUOTED: dict[str, str] = {
    "query_api/feed/routes.py": "our own words",
    "query_api/people/by_values.py": "our own words",
    "service_kit/auth/signing.py": "our own words, and names of files",
    "service_kit/auth/tokens.py": "our own words, and those of a setting",
    "service_kit/broker/declaring.py": "it is only looked at",
    "service_kit/http/conditions.py": "our own words",
    "service_kit/http/probe.py": "of our own health check, which sends nothing",
    "service_kit/settings.py": "our own words",
}
"""Where services repeat what an exception says, and why they may."""


def test_services_repeat_of_a_foreign_exception_only_what_it_is():
    """What it says may quote a value."""
    found = {
        str(path.relative_to(ROOT))
        for package in ("command_api", "query_api", "workers", "service_kit", "subscriber")
        for path in sorted((ROOT / package).rglob("*.py"))
        if re.search(
            r"\bstr\(exc\)|\{exc(![rsa])?[}:]|\bexc\.args\b|format_exc", path.read_text(encoding="utf-8")
        )
    }
    assert found == set(QUOTED)


def test_git_leaves_out_keys_and_files_of_people():
    inside = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=ROOT, capture_output=True, text=True)
    if inside.returncode or Path(inside.stdout.strip()) != ROOT:
        pytest.skip("this is no clone")
    written = {
        "keys/checkpoint.key",
        "subscriber.token",
        "checkpoints/1.json",
        "log.ndjson",
        "people.csv",
        "mirror.position",
        "x/up.log",
    }
    command = ["git", "check-ignore", "--no-index", *sorted(written), "examples/people.csv"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(ignored.stdout.split()) == written
