"""Random people and what happened to them, kept beside the system as plain data: what its lists must show."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from command_api.imports.drafting import Refused
from command_api.imports.record import ImportRequest
from command_api.imports.store import ImportStore
from events.imports.states import causation_of, correlation_of
from events.person.commands import Command, DeletePerson, UpdatePerson
from tests.default_schema import FIELD_NAMES, SCHEMA, PersonChanges
from tests.store.given import claim_names, create, envelope, load_claims, run
from tests.transport import known_keys, sealed
from workers.deciding.person_batch import DecisionInputs
from workers.outcomes import BEHIND, ParkedCommand, Reason
from workers.parking.parked import WaitingCommands, WaitingMessage
from workers.store import Store

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
GROUPS = {"Actor": 100, "Baker": 101, "Cook": 102, "Doctor": 199, "Editor": 200, "Farmer": 201}
"""How many people have these occupations, to the end: around the sizes at which drivers and pages break off."""
OTHERS = ("Guard", "Húsar", "Judge")
FIRST = ("Ana", "ana maría", "Ánna", "Åke", "Zoé", "zoe", "Żaneta", "Мария", "李", "O'Brien", "각" * 100)
LAST = ("Paz", "Paz Ruiz", "páz-ruiz", "Ñu", "Nu", "Ōe", "Ríos", "ﷺ" * 100, "Åström", "D'Arc")
BATCH = 100


def plain(text: str) -> str:
    """Return a text without accents, case, apostrophes and hyphens."""
    text = text.replace("'", "").replace("-", " ")
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).split())


def shown(time: datetime) -> str:
    """Return a time as the API shows it."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Register:
    """What is there, as plain data.

    Attributes:
        random: Makes all choices.
        people: Everybody who is not deleted, by id, as the API shows them.
        events: What happened, in no order: the parts of an event that its lists show.
        refused: Refused commands by person: time, command id.
        star: The person with a long history.
        lines: What waits of each parked person: command ids, in order.
        import_id: The import with many errors.
        errors: Its errors, in order: row, field, reason, code.
    """

    random: Random
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    star: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)
    import_id: str = ""
    errors: list[tuple[int, str, str, str]] = field(default_factory=list)
    now: datetime = START
    versions: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def id(self) -> str:
        """Return an id; later ones are not greater."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    async def fill(self, store: Store, imports: ImportStore) -> None:
        """Make everything happen, by the functions of the product."""
        self.star = self.id()
        births = [self._birth(occupation) for occupation, many in GROUPS.items() for _ in range(many)]
        births += [self._birth(self.random.choice([*OTHERS, None])) for _ in range(300)]
        births += [create(self.star, occupation="Star", first_name="Star")]
        self.random.shuffle(births)
        await self._happen(store, births)
        commands: list[Command] = []
        ids = sorted(id_ for id_, one in self.people.items() if one["occupation"] not in GROUPS)
        ids.remove(self.star)
        for _ in range(500):
            commands.append(self._change(self.random.choice(ids)))
            commands.append(self._change(self.star))
            # No person is ever at such a version.
            commands.append(self._change(self.star, expected=10_000))
        self.random.shuffle(commands)
        await self._happen(store, commands)
        await self._happen(store, [DeletePerson(**envelope(id_)) for id_ in ids[:60]])
        await self._happen(store, [self._change(id_) for id_ in ids[:60]])  # nobody is there any more
        await self._fail_import(store, imports)
        await self._park(store)

    def _birth(self, occupation: str | None) -> Command:
        choice = self.random.choice
        return create(
            self.id(),
            first_name=choice(FIRST),
            last_name=choice(LAST),
            occupation=occupation,
            birth_date=f"19{choice('3579')}0-0{choice('123')}-0{choice('123')}",
            gender=choice(("male", "female", "non_binary", "undisclosed")),
            document_type=choice(("citizen_id", "passport", "tax_id")),
        )

    def _change(self, person_id: str, expected: int | None = None) -> Command:
        choice = self.random.choice
        values: dict[str, Any] = {
            "first_name": choice(FIRST),
            "last_name": choice(LAST),
            "occupation": choice(OTHERS),
            "address": choice((None, "Calle 1", "Calle 2")),
            "gender": choice(("male", "female")),
        }
        names = self.random.sample(sorted(values), self.random.randint(1, 3))
        data = PersonChanges(**{name: values[name] for name in names})
        return UpdatePerson(
            data=data,
            **envelope(
                person_id, expected_versions=expected and {expected}, actor=choice(("ada", "ben", "cy"))
            ),
        )

    async def _happen(self, store: Store, commands: Sequence[Command]) -> None:
        """Let a worker decide commands, batch by batch, each within a few milliseconds; note what it must do."""
        for at in range(0, len(commands), BATCH):
            batch = commands[at : at + BATCH]
            self.now += timedelta(milliseconds=self.random.randint(1, 2_000))
            ids = {}
            inputs = DecisionInputs(lambda: self.now, self.id, SCHEMA, claim_names, load_claims)
            decided = await run(store, *batch, given=inputs)
            for command_id, done in decided.applied.items():
                ids[command_id] = done.event.event_id
            for command in batch:
                self._note(command, ids.get(command.command_id))

    def _note(self, command: Command, event_id: str | None) -> None:
        """Note what a command must have done; the id of its event is all that the system tells."""
        id_, time = command.person_id, shown(self.now)
        before = self.people.get(id_)
        if isinstance(command, DeletePerson | UpdatePerson) and (before is None or command.expected_versions):
            assert event_id is None
            self.refused[id_].append((time, command.command_id))
            if command.correlation_id.startswith("import:"):
                row = int((command.causation_id or "").removeprefix("row:"))
                self.errors.append((row, "id", f"there is no person {id_}", "person-not-found"))
            return
        asked = {} if isinstance(command, DeletePerson) else command.data.model_dump(exclude_unset=True)
        if before is not None and asked and all(before[name] == value for name, value in asked.items()):
            assert event_id is None  # it was so before
            return
        assert event_id is not None
        self.versions[id_] += 1
        after: dict[str, Any] | None = None
        if not isinstance(command, DeletePerson):
            after = {
                **dict.fromkeys((*FIELD_NAMES, "image_url", "thumbnail_url")),
                "created_at": time,
                **(before or {}),
                **asked,
                "id": id_,
                "updated_at": time,
                "version": self.versions[id_],
            }
        kind = {"person.create": "created", "person.update": "updated", "person.delete": "deleted"}
        old, new = before or {}, after or {}
        self.events.append(
            {
                "event_id": event_id,
                "person_id": id_,
                "version": self.versions[id_],
                "type": f"person.{kind[command.type]}",
                "actor": command.actor,
                "correlation_id": command.correlation_id,
                "applied_at": time,
                "changes": {
                    name: {"from": old.get(name), "to": new.get(name)}
                    for name in FIELD_NAMES
                    if old.get(name) != new.get(name)
                },
            }
        )
        if after is None:
            del self.people[id_]
        else:
            self.people[id_] = after

    async def _fail_import(self, store: Store, imports: ImportStore) -> None:
        """Import a file of which every third row is not valid, and a third is refused by the rules."""
        self.import_id = self.id()
        order = ImportRequest(self.import_id, "ada", "upsert", False, "application/x-ndjson", None, None)
        await imports.begin(order, "tests", self.now, {"actor_name": None, "packed": False})
        wrong = []
        for row in range(1, 1_501, 3):
            names = self.random.sample(("email", "phone", "gender"), self.random.randint(1, 2))
            wrong.append(Refused(row, [{"field": name, "reason": "is wrong, =1+1"} for name in names]))
            self.errors += [(row, name, "is wrong, =1+1", "not-valid") for name in names]
        await imports.refuse(self.import_id, wrong)
        commands = [
            UpdatePerson(
                data=PersonChanges(gender="male"),
                **envelope(
                    self.id(),
                    correlation_id=correlation_of(self.import_id),
                    causation_id=causation_of(row),
                ),
            )
            for row in range(2, 1_501, 3)
        ]
        await self._happen(store, commands)

    async def _park(self, store: Store) -> None:
        """Let commands of many people wait, and very many of one."""
        people = [self.id() for _ in range(420)]
        waiting = []
        for person_id in [*people, *(people[7:8] * 450)]:
            command = self._change(person_id)
            line = self.lines.setdefault(person_id, [])
            reason = BEHIND if line else Reason("KeyError", "KeyError")
            body = sealed(command)
            waiting.append(WaitingMessage(ParkedCommand(command, reason), body))
            line.append(command.command_id)
        await WaitingCommands(store._db["parked"], known_keys()).park(waiting, self.now)
