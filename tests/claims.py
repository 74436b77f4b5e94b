"""Names of claims under secrets that tests know."""

from typing import Any

from events.person.claims import ClaimNames, ClaimSecret
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.claim_secrets import read_claim_names
from service_kit.seals.kek import KekFile, Keks
from service_kit.seals.wrapping import SECRETS, bound_to
from tests.system import System

SECRET = ClaimSecret(1, "whole", b"c" * 32)


def secret_row(keks: Keks) -> dict[str, Any]:
    """Return the row of keys that has the secret of these tests."""
    id_ = f"claims.{SECRET.number}"
    kek, key = keks.wrap(SECRET.secret, bound_to(SECRETS, id_))
    return {"_id": id_, "state": SECRET.state, "kek": kek, "key": key}


def known_names(schema: PersonSchema, *secrets: ClaimSecret) -> ClaimNames:
    """Return names under some secrets; by default under one."""
    return ClaimNames(schema, secrets or (SECRET,))


def names_in(system: System, database: str, schema: PersonSchema) -> ClaimNames:
    """Return names under the secrets of a database of the system."""
    return read_claim_names(system.mongo.uri, database, Keks(KekFile(system.kek_file).keks()), schema)
