"""Names of claims under secrets that tests know."""

from events.person.claims import ClaimNames, ClaimSecret
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.claim_secrets import read_claim_names
from service_kit.seals.kek import KekFile, Keks
from tests.system import System

SECRET = ClaimSecret(1, "whole", b"c" * 32)


def known_names(schema: PersonSchema, *secrets: ClaimSecret) -> ClaimNames:
    """Return names under some secrets; by default under one."""
    return ClaimNames(schema, secrets or (SECRET,))


def names_in(system: System, database: str, schema: PersonSchema) -> ClaimNames:
    """Return names under the secrets of a database of the system."""
    return read_claim_names(system.mongo.uri, database, Keks(KekFile(system.kek_file).keks()), schema)
