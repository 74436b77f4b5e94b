"""Who may do what: tokens that prove nothing, tokens that prove too little."""

import base64
import json
import secrets
import time

import jwt
import pytest

from tests.system import TOPOLOGIES, new_person

# Nothing of this depends on the store.
pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")

PERSON = "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


def unsigned(claims: dict) -> str:
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
        + "."
    )


def claims(**changes) -> dict:
    now = int(time.time())
    base = {
        "iss": "rollcall",
        "aud": "rollcall",
        "sub": "x",
        "iat": now,
        "exp": now + 60,
        "scope": "people:read people:write",
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def bad_authorizations(system) -> dict[str, str | None]:
    def bearer(**changes) -> str:
        return f"Bearer {jwt.encode(claims(**changes), system.key, algorithm='HS256')}"

    good = bearer()
    return {
        "none at all": None,
        "another scheme": "Basic dTpw",
        "no token": "Bearer",
        "no JWT": "Bearer abc",
        "expired": bearer(exp=int(time.time()) - 60),
        "another audience": bearer(aud="other"),
        "another issuer": bearer(iss="other"),
        "no expiry": bearer(exp=None),
        "no subject": bearer(sub=None),
        "empty subject": bearer(sub=""),
        "no issue time": bearer(iat=None),
        "no audience": bearer(aud=None),
        "issued in the future": bearer(iat=int(time.time()) + 600),
        "forged": f"Bearer {jwt.encode(claims(), secrets.token_hex(32), algorithm='HS256')}",
        "another algorithm": f"Bearer {jwt.encode(claims(), system.key * 2, algorithm='HS512')}",
        "changed": good[:-2] + ("AA" if not good.endswith("AA") else "BB"),
        "alg none": f"Bearer {unsigned(claims())}",
    }


async def test_a_token_that_proves_nothing_is_401_with_a_challenge(system, commands, queries):
    for case, value in bad_authorizations(system).items():
        headers = {"Authorization": value} if value is not None else {}
        for client, method, path in ((commands, "POST", "/people"), (queries, "GET", PERSON)):
            body = new_person() if method == "POST" else None
            request = client.build_request(method, path, json=body)
            request.headers.pop("Authorization")
            request.headers.update(headers)
            response = await client.send(request)
            assert response.status_code == 401, case
            assert response.headers["www-authenticate"].startswith("Bearer "), case
            assert response.headers["content-type"] == "application/problem+json"


async def test_tokens_of_other_issuers_are_read_as_these_write_them(system, services, queries):
    now = int(time.time())
    page = "/people?limit=1"
    for changes, status in (
        ({"iat": now + 3, "nbf": now + 3}, 200),
        ({"exp": now - 3}, 200),
        ({"scope": ["people:read"]}, 200),
        ({"scope": None, "scp": "people:read"}, 200),
        ({"scope": None, "scp": ["events:read", "people:read"]}, 200),
        ({"aud": ["other", "rollcall"]}, 200),
        ({"aud": ["other"]}, 401),
        ({"scope": None, "scp": ["events:read"]}, 403),
        ({"scope": None, "roles": ["viewer"]}, 403),
        ({"iat": now + 60}, 401),
    ):
        token = jwt.encode(claims(**changes), system.key, algorithm="HS256")
        answer = await queries.get(page, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, changes
    mapped = system.service("query_api", ROLLCALL_JWT_ROLES="hr.read=viewer", ROLLCALL_JWT_LEEWAY="0")
    mapped.spawn()
    await mapped.wait_ready()
    try:
        for changes, status in (
            ({"scope": None, "roles": ["hr.read", "hr.admin"]}, 200),
            ({"scope": None, "roles": ["hr.admin"]}, 403),
            ({"iat": now + 60}, 401),
        ):
            token = jwt.encode(claims(**changes), system.key, algorithm="HS256")
            async with system.client(mapped, token) as client:
                assert (await client.get(page)).status_code == status, changes
    finally:
        mapped.stop()


LINE = f"/dead-letters/{PERSON.rpartition('/')[2]}"
MESSAGE = "0123456789abcdef"
IMPORT = f"/imports/{PERSON.rpartition('/')[2]}"
ROUTES = [
    ("command_api", "POST", "/people", "people:write"),
    ("command_api", "PATCH", PERSON, "people:write"),
    ("command_api", "POST", f"{PERSON}/revert", "people:write"),
    ("command_api", "DELETE", PERSON, "people:delete"),
    ("command_api", "PATCH", f"{PERSON}/image", "people:write"),
    ("command_api", "DELETE", f"{PERSON}/image", "people:write"),
    ("command_api", "POST", f"{PERSON}/image/upload-ticket", "people:write"),
    ("command_api", "POST", f"{PERSON}/image/confirm", "people:write"),
    ("command_api", "POST", "/people/import", "people:write"),
    ("query_api", "GET", "/people", "people:read"),
    ("query_api", "GET", "/people/export", "people:read"),
    ("query_api", "GET", IMPORT, "people:read"),
    ("query_api", "GET", f"{IMPORT}/errors", "people:read"),
    ("query_api", "GET", PERSON, "people:read"),
    ("query_api", "GET", "/people/by-document/CC/123456", "people:read"),
    ("query_api", "GET", "/people/by-email/ana@example.com", "people:read"),
    ("query_api", "GET", f"{PERSON}/commands/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", "people:read"),
    ("query_api", "GET", f"{PERSON}/history", "audit:read"),
    ("query_api", "GET", "/events", "audit:read"),
    ("query_api", "GET", "/events/stream?from=never", "events:read"),
    ("query_api", "POST", "/events/stream/tickets", "events:read"),
    ("query_api", "POST", "/events/open", "events:read audit:read"),
    ("query_api", "GET", f"{PERSON}/accesses", "audit:read"),
    ("query_api", "GET", "/accesses", "audit:read"),
    ("query_api", "GET", "/dead-letters", "ops"),
    ("query_api", "GET", LINE, "ops"),
    ("command_api", "POST", f"{LINE}/retry", "ops"),
    ("command_api", "DELETE", LINE, "ops"),
    ("command_api", "DELETE", f"{LINE}/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", "ops"),
    ("command_api", "GET", "/dead-letters/messages", "ops"),
    ("command_api", "GET", f"/dead-letters/messages/{MESSAGE}", "ops"),
    ("command_api", "POST", f"/dead-letters/messages/{MESSAGE}/retry", "ops"),
    ("command_api", "DELETE", f"/dead-letters/messages/{MESSAGE}", "ops"),
    ("command_api", "POST", "/dead-letters/messages/retry", "ops"),
]


ANY_TOKEN = {"/schema"}
# The address of an image, or the ticket for one, is the permission.
OPEN = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/images/{image_id}",
    "/images/{image_id}/thumbnail",
    "/images/uploads",
}


@pytest.mark.parametrize(("module", "method", "path", "scopes"), ROUTES)
async def test_a_route_wants_its_scope_and_no_other(system, services, module, method, path, scopes):
    from service_kit.auth.tokens import SCOPES

    body = None if method in ("GET", "DELETE") else {"gender": "M"}
    others = [known for known in SCOPES if known not in scopes.split()]
    scope = scopes.split()[0]
    async with system.client(services[module], system.token(*others)) as client:
        response = await client.request(method, path, json=body)
        assert response.status_code == 403
        assert f'scope="{scope}"' in response.headers["www-authenticate"]
    for one in scopes.split():
        async with system.client(services[module], system.token(one)) as client:
            response = await client.request(method, path, json=body)
            assert response.status_code not in (401, 403)


async def test_every_route_is_in_the_table_above_and_documented(commands, queries):
    known = {(method, path.partition("?")[0]) for _, method, path, _ in ROUTES}
    for client in (commands, queries):
        document = (await client.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if path in OPEN or path.startswith(("/auth/", "/.well-known/")):
                    assert not operation.get("security")
                    continue
                concrete = (
                    path.replace("{person_id}", PERSON.rpartition("/")[2])
                    .replace("{import_id}", PERSON.rpartition("/")[2])
                    .replace("{command_id}", PERSON.rpartition("/")[2])
                    .replace("{document_type}", "CC")
                    .replace("{document_id}", "123456")
                    .replace("{email}", "ana@example.com")
                    .replace("{id}", MESSAGE)
                )
                assert operation["security"] == [{"bearer": []}]
                assert {"401", "503"} <= set(operation["responses"])
                if path in ANY_TOKEN:
                    continue
                assert (method.upper(), concrete) in known
                assert "403" in operation["responses"]


async def test_both_apis_count_requests_and_guard_their_answers(commands, queries):
    for client in (commands, queries):
        answer = await client.get(PERSON)
        assert answer.headers["x-content-type-options"] == "nosniff"
        counted = answer.headers["ratelimit-policy"]
        assert counted.startswith('"address";q=1000000;w=1')
        assert (', "subject";q=1000000;w=1' in counted) == (client is queries), "there is no such route"
        document = (await client.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert {"414", "431"} <= set(operation["responses"])
                assert ("429" in operation["responses"]) == (path not in ("/healthz", "/readyz", "/metrics"))
