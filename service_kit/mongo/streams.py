"""Folds people's streams from their newest milestones on, so that no fold grows with a person's history."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from events.log.stored import event_of
from events.person.decider import PersonState
from events.person.schema.declarations import PersonSchema
from service_kit.milestones import MILESTONE_EVERY, Milestone, Step, milestone_form, milestone_of, next_step
from service_kit.mongo.connection import Document
from service_kit.pieces import PIECE, next_piece

PORTION: Final = 1_000
"""Events that are read at once where milestones are missing, so that each operation keeps its deadline."""

_OLDEST: Final = (("version", 1),)
_NEWEST: Final = (("version", -1),)


class Find(Protocol):
    """Finds documents, on whichever members its owner reads from."""

    async def __call__(
        self, collection: str, wanted: Mapping[str, Any], *, sort: Sequence[tuple[str, int]], limit: int
    ) -> list[Document]:
        """Return the first documents of a collection that are as wanted; events are opened.

        Raises:
            StoreUnavailable: MongoDB is away, or too slow; or somebody's key is not there.
            Damaged: An event does not open with its person's key.
        """


async def state_at(
    find: Find,
    person_id: str,
    *,
    version: int | None = None,
    as_of: datetime | None = None,
    schema: PersonSchema | None = None,
) -> PersonState:
    """Return a person as it was; absent if the log that is read knows of none.

    Args:
        find: Reads `events`, opened, and `milestones`.
        person_id: The id.
        version: The version to go to; the newest one up to it that is there.
        as_of: Or the time to go to, UTC; neither: to the end.
        schema: The person schema in whose form the person is; None where there has been one alone.

    Raises:
        StoreUnavailable: MongoDB is away, or too slow; or the person's key is not there.
        Damaged: An event does not open with it.
    """
    state = PersonState(person_id)
    async for step in walk_stream(find, person_id, version=version, as_of=as_of, schema=schema):
        state = step.after
    return state


async def walk_stream(
    find: Find,
    person_id: str,
    *,
    since: int | None = None,
    version: int | None = None,
    as_of: datetime | None = None,
    schema: PersonSchema | None = None,
) -> AsyncGenerator[Step, None]:
    """Yield the last events of a person, in order: at most `MILESTONE_EVERY` more than are asked for.

    Where milestones are missing, as before the first rebuild after an upgrade, it begins earlier, and reads
    portion by portion. A milestone that is not of this log, as after a restore of an older one, is passed
    over.

    Args:
        find: Reads `events`, opened, and `milestones`.
        person_id: The id.
        since: The first version that is to be among them, with the person before it; None: the last will do.
        version: The last version.
        as_of: Or the time of the last one, UTC; neither: to the end.
        schema: As of `state_at`.

    Raises:
        StoreUnavailable: MongoDB is away, or too slow; or the person's key is not there.
        Damaged: An event does not open with it.
    """
    milestone = await _newest_milestone(find, person_id, since, version, as_of, milestone_form(schema))
    step: Step | None = None
    start, limit = (1 if milestone is None else milestone.state.version), MILESTONE_EVERY + 1
    last = {} if version is None else {"$lte": version}
    while True:
        # Times are compared here: a condition on them would have MongoDB look through all that came later.
        wanted = {"person_id": person_id, "version": {"$gte": start, **last}}
        documents = await find("events", wanted, sort=_OLDEST, limit=limit)
        if milestone is not None and not _is_of(milestone, documents):
            milestone, start = None, 1
            continue
        for number, document in enumerate(documents, 1):
            if not number % PIECE:
                await next_piece()
            event = event_of(document)
            if as_of is not None and event.applied_at > as_of:
                return
            if milestone is None:
                step = next_step(person_id, step, event, schema)
            else:
                step, milestone = Step(event, None, milestone.state, milestone.newest), None
            yield step
        if step is None or len(documents) < limit:
            return
        start, limit = step.event.version + 1, PORTION


async def _newest_milestone(
    find: Find, person_id: str, since: int | None, version: int | None, as_of: datetime | None, form: int
) -> Milestone | None:
    bounds = [one for one in (version, None if since is None else since - 1) if one is not None]
    if bounds and min(bounds) < MILESTONE_EVERY:
        return None
    wanted: dict[str, Any] = {"person_id": person_id, "form": form}
    if bounds:
        wanted["version"] = {"$lte": min(bounds)}
    if as_of is not None:
        wanted["applied_at"] = {"$lte": as_of}
    documents = await find("milestones", wanted, sort=_NEWEST, limit=1)
    return milestone_of(documents[0]) if documents else None


def _is_of(milestone: Milestone, documents: Sequence[Document]) -> bool:
    """Return whether the first of these events is the one that a milestone is of.

    Of an erased person nothing comes back, whatever milestone was left.
    """
    if not documents or any("erased" in one for one in documents):
        return False
    state = milestone.state
    return (documents[0]["version"], documents[0]["hash"]) == (state.version, state.hash)
