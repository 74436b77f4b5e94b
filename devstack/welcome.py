"""What `up` prints when everything is ready: the addresses, a token, and three lines to try."""

from __future__ import annotations

from operations.addresses import ServicePorts

# The time in the document makes each paste create another person.
_NOW = "'\"$(date +%s)\"'"
_PERSON = (
    f'"document_type":"Cédula","document_id":"{_NOW}","first_name":"Ada",'
    '"last_name":"Lovelace","birth_date":"1990-12-10","gender":"Femenino",'
    f'"email":"ada.{_NOW}@example.com","phone":"+573001234567"'
)


def welcome(ports: ServicePorts, token: str, password: str | None) -> str:
    """The text; every curl line works by itself, in sh, bash and zsh.

    Args:
        ports: Where the services listen.
        token: A token with every scope that the lines need.
        password: The first administrator's one-time password, if the account was made just now.
    """
    create, page, search = curl_lines(ports, token)
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


def curl_lines(ports: ServicePorts, token: str) -> tuple[str, str, str]:
    """Create, list and search, each to be pasted alone."""
    bearer = f"-H 'Authorization: Bearer {token}'"
    create = (
        f"curl -sS -X POST {ports.command_url}/people {bearer} -H 'Content-Type: application/json' "
        f"-H 'Prefer: wait=5' -d '{{{_PERSON}}}'; echo"
    )
    page = f"curl -sS '{ports.query_url}/people?sort=last_name&limit=5' {bearer}; echo"
    search = f"curl -sS '{ports.query_url}/people?q=ada&count=true' {bearer}; echo"
    return create, page, search
