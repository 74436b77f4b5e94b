"""What no program of the image does: evaluate texts, open objects, start programs, ask addresses, set cookies."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PACKAGES = re.findall(r"^COPY (\S+) \./\1$", DOCKERFILE, re.MULTILINE)
TREES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

EVALUATE = {"eval", "exec", "compile", "__import__", "breakpoint"}
METHODS = {"set_cookie", "system", "popen", "mktemp"}
MODULES = {
    "what makes objects of bytes": {"pickle", "marshal", "shelve", "dill", "yaml", "copyreg"},
    "what starts programs": {"subprocess", "pty", "code"},
    "what runs foreign memory": {"ctypes", "cffi", "mmap"},
    "what makes pages of templates": {"jinja2", "mako", "string"},
    "other parsers of XML": {"xml.etree", "xml.dom", "xml.sax", "lxml"},
    "mail, directories, caches, shells elsewhere": {
        *("smtplib", "imaplib", "poplib", "ldap", "ldap3", "memcache", "pymemcache", "ftplib", "paramiko"),
    },
    "clients of addresses": {"urllib.request", "httpx", "requests", "aiohttp", "websockets"},
}
ONLY_HERE = {
    "random": {
        "service_kit/broker/connection.py": "the order of nodes",
        "service_kit/retries.py": "how long to wait",
        "workers/erasing/expiry.py": "when to look",
        "workers/erasing/sweep.py": "when to sweep",
        "workers/erasing/transport_expiry.py": "likewise",
        "workers/images/removal.py": "likewise",
        "workers/parking/expiry.py": "likewise",
    },
    "http.client": {
        "operations/transfer/api.py": "the APIs, at the operator's address",
        "operations/transfer/exports.py": "likewise",
        "service_kit/http/probe.py": "the service in the same container",
        "subscriber/opening.py": "the query API, at the subscriber's operator's address",
    },
    "urllib3": {"service_kit/images/cloud.py": "how Cloudinary's SDK asks again"},
    "xml.parsers": {"command_api/imports/workbook/xml.py": "no document types, so no entities"},
}
WEAK = {"md5", "sha1"}
WEAK_HERE = {"service_kit/ids.py": "UUIDs of version 5, which are no secret"}
PATTERNS_HERE = {
    "command_api/imports/rows.py": "the delimiter, escaped",
    "events/accounts/event.py": "the kinds of streams, ours",
    "service_kit/http/addresses.py": "the routes' own templates, escaped",
    "service_kit/http/reasons.py": "our own sentences, escaped",
    "service_kit/person_values/phones.py": "the numbering plans of phonenumbers",
}
FORMATS_HERE = {
    "query_api/report/page.py": "sentences of ours, escaped once they are whole",
    "service_kit/http/reasons.py": "sentences of ours",
}


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def is_ours(node: ast.expr) -> bool:
    """Return whether a text is written in the program: a constant, by itself, by name, or with others."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name.isupper()
        case ast.BinOp(left=left, right=right):
            return is_ours(left) and is_ours(right)
        case ast.JoinedStr(values=values):
            return all(is_ours(one) for one in values)
        case ast.Attribute(value=value, attr=name):
            return name.isupper() or is_ours(value)
        case ast.FormattedValue(value=value):
            return is_ours(value)
    return False


def test_the_packages_are_those_of_the_image():
    assert {"command_api", "query_api", "workers", "service_kit", "operations"} < set(PACKAGES)
    assert len(TREES) > 200


@pytest.mark.parametrize("kind", MODULES)
def test_the_image_does_without(kind):
    unwanted = re.compile("|".join(rf"{re.escape(module)}(\..+)?" for module in MODULES[kind]))
    for file, tree in TREES.items():
        for module in imported(tree):
            assert not unwanted.fullmatch(module), f"{file}: {module}"


@pytest.mark.parametrize("module", ONLY_HERE)
def test_some_modules_are_used_where_it_is_known_what_for(module):
    users = {
        file
        for file, tree in TREES.items()
        if any(one == module or one.startswith(f"{module}.") for one in imported(tree))
    }
    assert users == set(ONLY_HERE[module])


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def test_no_text_is_evaluated_no_cookie_set_and_nobody_sent_on():
    for file, tree in TREES.items():
        for name, node in calls(tree):
            where = f"{file}:{node.lineno}: {name}"
            assert not (isinstance(node.func, ast.Name) and name in EVALUATE), where
            assert name not in METHODS, where
            assert name != "RedirectResponse", where


def test_weak_hashes_guard_nothing():
    users = set()
    for file, tree in TREES.items():
        names = set(imported(tree))
        for name, node in calls(tree):
            if name in WEAK and (isinstance(node.func, ast.Attribute) or f"hashlib.{name}" in names):
                users.add(file)
                assert any(one.arg == "usedforsecurity" for one in node.keywords), file
    assert users == set(WEAK_HERE)


def test_no_pattern_and_no_format_comes_from_outside():
    patterns, formats = set(), set()
    for file, tree in TREES.items():
        for name, node in calls(tree):
            function = node.func
            if not isinstance(function, ast.Attribute):
                continue
            if isinstance(function.value, ast.Name) and function.value.id == "re" and name != "escape":
                patterns |= set() if is_ours(node.args[0]) else {file}
            elif name in ("format", "format_map") and not is_ours(function.value):
                formats.add(file)
    assert patterns == set(PATTERNS_HERE)
    assert formats == set(FORMATS_HERE)


def test_a_slip_would_be_found():
    tree = ast.parse("import os.path\nfrom urllib import request\nre.compile(f'{given}x')\n'{}'.format(1)")
    assert {"os.path", "urllib.request"} <= set(imported(tree))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    pattern = next(node for node in found if node.func.attr == "compile")
    assert not is_ours(pattern.args[0])
    assert is_ours(ast.parse("rf'(?!{CORRELATION}){_CAUSATION.pattern}'").body[0].value)


def test_neither_git_nor_secrets_get_into_the_image():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert let_in == {*PACKAGES, "requirements.txt"}
