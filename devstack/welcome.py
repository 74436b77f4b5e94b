"""What `up` prints when everything is ready: the addresses, a token, and three lines to try."""

from __future__ import annotations

import json
import time

from devstack.demo.values import made_person
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema
from operations.addresses import ServicePorts

# The time in it makes each paste create another person.
_NOW = "'\"$(date +%s)\"'"
_FROM = 1_000_000_007


def _person(schema: PersonSchema) -> str:
    """Return a person as JSON in single quotes; what must differ from others has the time in it."""
    if schema.names == default_schema().names:
        return (
            f'{{"document_type":"Cédula","document_id":"{_NOW}","first_name":"Ada",'
            '"last_name":"Lovelace","birth_date":"1990-12-10","gender":"Femenino",'
            f'"email":"ada.{_NOW}@example.com","phone":"+573001234567"}}'
        )
    number = int(time.time()) % _FROM
    return json.dumps(made_person(schema, number), ensure_ascii=False).replace("'", "’")


def welcome(ports: ServicePorts, token: str, password: str | None, schema: PersonSchema) -> str:
    """The text; every curl line works by itself, in sh, bash and zsh.

    Args:
        ports: Where the services listen.
        token: A token with every scope that the lines need.
        password: The first administrator's one-time password, if the account was made just now.
        schema: What a person is.
    """
    create, page, search = curl_lines(ports, token, schema)
    return f"""
Rollcall is ready.

  Command API  {ports.command_url}   documentation: {ports.command_url}/docs
  Query API    {ports.query_url}   documentation: {ports.query_url}/docs

{_first_login(ports, password)}Token (12 hours, all scopes; more with ./run token):

{token}

Create a person, and wait until she is there:

{create}

The first page, sorted by name:

{page}

Search by name, and count:

{search}

Stop with Ctrl-C here, or with ./run down from elsewhere. Data stays.
"""


def _first_login(ports: ServicePorts, password: str | None) -> str:
    """The part on the first administrator; nothing if there was one before."""
    if password is None:
        return ""
    body = f'{{"name":"admin","password":"{password}","new_password":"…"}}'
    return f"""First administrator, with a password for one login within 24 hours, which is shown this once:

admin {password}

Log in, and choose a password of 12 characters or more:

curl -sS {ports.command_url}/auth/login -H 'Content-Type: application/json' -d '{body}'; echo

"""


def curl_lines(ports: ServicePorts, token: str, schema: PersonSchema) -> tuple[str, str, str]:
    """Create, list and search, each to be pasted alone."""
    bearer = f"-H 'Authorization: Bearer {token}'"
    create = (
        f"curl -sS -X POST {ports.command_url}/people {bearer} -H 'Content-Type: application/json' "
        f"-H 'Prefer: wait=5' -d '{_person(schema)}'; echo"
    )
    page = f"curl -sS '{ports.query_url}/people?sort={schema.default_sort}&limit=5' {bearer}; echo"
    search = f"curl -sS '{ports.query_url}/people?q=ada&count=true' {bearer}; echo"
    return create, page, search
