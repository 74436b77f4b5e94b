"""Lets an erase go ahead of what waits of its person, and finds one again that is in the log.

Both want no fold of the person, which may be what fails, and for which the key may be gone.
"""

from collections.abc import Collection, Mapping, Sequence

from events.person.commands import PROTECTIONS, Command, ErasePerson, Protection, decode_command
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.connection import Document
from service_kit.mongo.transport_keys import content_of
from service_kit.seals.person_key import PersonKey
from workers.deciding.person_batch import PersonBatch
from workers.erasing.ahead import ahead_of_line
from workers.parking.parked import WaitingCommands
from workers.streams import Streams


class ErasuresAhead:
    """Makes the batches of such people.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        streams: The log by people.
        waiting: The commands that wait.
        schema: What a person is.
    """

    def __init__(self, streams: Streams, waiting: WaitingCommands, schema: PersonSchema) -> None:
        self._streams = streams
        self._waiting = waiting
        self._schema = schema

    async def batch_of(
        self, person_id: str, commands: Sequence[Command], key: PersonKey | None
    ) -> PersonBatch:
        """Return the batch of a person.

        Args:
            person_id: The id.
            commands: Those that came, in order, without an outcome that is no event; an erase is among them.
            key: The person's, if there is one.
        """
        state = (await self._streams.bare_heads([person_id]))[person_id]
        one = PersonBatch(state, is_bare=True, key=key)
        if state.status == "erased":
            one.undecided.extend(commands)
            await self.read_again(one)
            return one
        bodies = await self._waiting.of_types(person_id, PROTECTIONS)
        waiting = [decode_command(content_of(body), self._schema) for body in bodies]
        protections = [command for command in waiting if isinstance(command, Protection)]
        one.state, decided, one.following = ahead_of_line(state, protections, commands)
        one.undecided.extend(decided)
        return one

    async def read_again(self, one: PersonBatch) -> None:
        """Take a person from the log, and find there what was applied before; as `take_from_log` does."""
        person_id = one.state.person_id
        one.state = (await self._streams.bare_heads([person_id]))[person_id]
        ids = [command.command_id for command in one.undecided]
        events = await self._streams.events_of(person_id, ids)
        for command in list(one.undecided):
            if (event := events.get(command.command_id)) is not None:
                one.take_out(command.command_id)
                one.applied.append((command, event, one.state))
        one.applied.sort(key=lambda applied: applied[1].version)


def what_follows(one: PersonBatch) -> list[Command]:
    """Return the commands that wait on; those of an erased person are to be decided instead."""
    left, one.following = one.following, []
    if one.state.status == "erased":
        one.undecided.extend(left)
        return []
    return left


def going_ahead(
    commands: Sequence[Command],
    parked: Collection[str],
    applied: Mapping[str, Document],
    eventless: Mapping[str, Document],
) -> dict[str, list[Command]]:
    """Return the commands of people whose erase is in the log, the journal, or to go ahead of what waits.

    Those that have an outcome without an event are not among them.
    """
    erasures = {
        command.person_id
        for command in commands
        if isinstance(command, ErasePerson)
        and (
            command.command_id in applied
            # By the journal's word the key is destroyed already: there is nothing left to fold.
            or (
                (command.person_id in parked or command.data.from_journal)
                and command.command_id not in eventless
            )
        )
    }
    by_person: dict[str, dict[str, Command]] = {person_id: {} for person_id in erasures}
    for command in commands:
        is_open = command.command_id in applied or command.command_id not in eventless
        if command.person_id in erasures and is_open:
            by_person[command.person_id].setdefault(command.command_id, command)
    return {person_id: list(its.values()) for person_id, its in by_person.items()}
