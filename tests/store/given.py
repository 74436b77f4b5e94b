"""What the store's tests are given: commands of people, and a batch run as the pipeline runs it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from events.log.event import GENESIS, Event, RecordedEvent, hash_of, record
from events.log.stored import event_document, event_of
from events.person.claims import ClaimNames
from events.person.commands import CreatePerson, DeletePerson, Reversion, RevertPerson, UpdatePerson
from events.person.decider import PersonState, fold
from events.person.rejections import Rejection
from service_kit.ids import new_id
from service_kit.mongo.keys import PersonKeys
from service_kit.read_model import person_document, state_of
from service_kit.seals.kek import Keks
from service_kit.seals.person_key import PersonKey
from tests.claims import known_names
from tests.default_schema import SCHEMA, PersonChanges, PersonFields
from tests.system import TEST_KEKS
from tests.transport import known_keys
from workers.announcing.feed_store import KnownGaps
from workers.deciding.batches import BatchDecider
from workers.deciding.person_batch import DecisionInputs
from workers.outcomes import (
    AppliedCommand,
    Outcomes,
    PersonChange,
    RejectedCommand,
    UnchangedCommand,
    changes_of_people,
)
from workers.parking.parked import WaitingCommands
from workers.store import Store
from workers.streams import Streams

KEKS = Keks(TEST_KEKS)
NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
_documents = count(100_000)


def new_value() -> str:
    """Return a document number that no other test uses."""
    return f"P{next(_documents)}"


def claim_names() -> ClaimNames:
    return known_names(SCHEMA)


async def load_claims() -> ClaimNames:
    return claim_names()


def inputs(*times: datetime) -> DecisionInputs:
    later = iter(times)
    return DecisionInputs(lambda: next(later, NOW), new_id, SCHEMA, claim_names, load_claims)


def envelope(person_id: str, **more):
    command_id = new_id()
    return {
        "command_id": command_id,
        "person_id": person_id,
        "accepted_at": NOW,
        "actor": "ada",
        "correlation_id": command_id,
        **more,
    }


def fields(**changes):
    number = next(_documents)
    base = {
        "document_type": "passport",
        "document_id": f"P{number}",
        "first_name": "Ana",
        "last_name": "Ríos",
        "birth_date": "1990-12-10",
        "gender": "female",
        "email": f"p{number}@example.com",
        "phone": "+573001234567",
    }
    return PersonFields(**{**base, **changes})


def create(person_id: str | None = None, **changes) -> CreatePerson:
    return CreatePerson(data=fields(**changes), **envelope(person_id or new_id()))


def update(person_id: str, expected=None, **changes) -> UpdatePerson:
    return UpdatePerson(
        data=PersonChanges(**changes), **envelope(person_id, expected_versions=expected and {expected})
    )


def delete(person_id: str) -> DeletePerson:
    return DeletePerson(**envelope(person_id))


def revert(person_id: str, to_version: int, expected=None) -> RevertPerson:
    data = Reversion(to_version=to_version)
    return RevertPerson(data=data, **envelope(person_id, expected_versions=expected and {expected}))


def document_of(command: CreatePerson) -> dict[str, str]:
    """Return what together belongs to nobody else."""
    return {name: getattr(command.data, name) for name in SCHEMA.unique["document"]}


def claim_of(command: CreatePerson) -> str:
    """Return the name of the claim on what together belongs to nobody else."""
    return claim_names().name("document", list(document_of(command).values()))


@dataclass(frozen=True)
class Decided:
    """What became of a batch."""

    outcomes: Outcomes

    @property
    def applied(self) -> dict[str, AppliedCommand]:
        return {id_: one for id_, one in self.outcomes.items() if isinstance(one, AppliedCommand)}

    @property
    def rejections(self) -> dict[str, Rejection]:
        return {id_: one.rejection for id_, one in self.outcomes.items() if isinstance(one, RejectedCommand)}

    @property
    def unchanged(self) -> dict[str, int]:
        return {
            id_: one.state.version for id_, one in self.outcomes.items() if isinstance(one, UnchangedCommand)
        }

    @property
    def changes(self) -> dict[str, PersonChange]:
        return changes_of_people(self.outcomes)

    @property
    def states(self) -> dict[str, PersonState]:
        return {person_id: change.after for person_id, change in self.changes.items()}


async def run(store: Store, *commands, project: bool = True, unprojected=None, given=None) -> Decided:
    """Decide a batch and project it, as the pipeline does."""
    parked = WaitingCommands(store._db["parked"], known_keys())
    decider = BatchDecider(store, streams_of(store), keys_of(store), parked, KnownGaps(), given or inputs())
    decided = Decided(await decider.decide_together(commands, unprojected or {}))
    if project:
        await store.project(decided.changes.values())
    return decided


async def long_stream(store: Store, length: int) -> list[RecordedEvent]:
    """Put a person with so many events into the log and the read model, as if before there were milestones."""
    person = create()
    person_id, log = person.person_id, list[RecordedEvent]()
    key = PersonKey.new()
    await keys_of(store).insert({person_id: key})
    changes = (update(person_id, address=f"Calle {number}") for number in range(2, length + 1))
    for version, command in enumerate((person, *changes), 1):
        first = version == 1
        event = Event(
            "person.created" if first else "person.updated", command.data.model_dump(exclude_unset=True)
        )
        prev = GENESIS if first else log[-1].hash
        stamps = {"event_id": new_id(), "version": version, "applied_at": NOW, "prev": prev}
        log.append(record(event, command, schema=SCHEMA, key=key, **stamps))
    await store._db["events"].insert_many([event_document(event) for event in log])
    await store._people.insert_one(person_document(fold(person_id, log), SCHEMA))
    return log


def streams_of(store: Store) -> Streams:
    return Streams(store._db.client, store._db.name, keys_of(store))


def store_in(client, database: str) -> Store:
    """Return a store of a database, sealed as all of the tests' are."""
    return Store(client, database, SCHEMA, PersonKeys(client, database, KEKS))


def keys_of(store: Store) -> PersonKeys:
    return PersonKeys(store._db.client, store._db.name, KEKS)


async def streams(store: Store, person_ids):
    """Return every event of each person, in order of version."""
    found: dict[str, list[RecordedEvent]] = {person_id: [] for person_id in person_ids}
    events = store._db["events"].find({"person_id": {"$in": list(found)}}, sort=[("version", 1)])
    for document in await keys_of(store).open(await events.to_list(None)):
        found[document["person_id"]].append(event_of(document))
    return found


async def stream(store: Store, person_id: str):
    return (await streams(store, [person_id]))[person_id]


async def check_stream(store: Store, person_id: str, length: int) -> None:
    """Versions 1..n without gap, hashes that chain, and a read model that is the fold."""
    log = await stream(store, person_id)
    assert [event.version for event in log] == list(range(1, length + 1))
    previous = GENESIS
    for event in log:
        assert (event.prev, event.hash) == (previous, hash_of(event))
        previous = event.hash
    times = [event.applied_at for event in log]
    assert times == sorted(times)
    state = fold(person_id, log)
    document = await store._people.find_one({"_id": person_id})
    assert document == (person_document(state, SCHEMA) if log else None)
    found = (await store.heads([person_id])).get(person_id)
    head = state_of(found, SCHEMA) if found else PersonState(person_id)
    assert (head.version, head.hash, head.status, dict(head.fields)) == (
        state.version,
        state.hash,
        state.status,
        dict(state.fields),
    )
