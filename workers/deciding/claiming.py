"""Reserves what decisions need, before their events are in the log."""

from collections.abc import Collection

from events.person.claims import Claim, coming_kind, taken
from workers.deciding.person_batch import Decision, DecisionInputs, PersonBatch
from workers.outcomes import EventlessCommand, RejectedCommand
from workers.store import Store

Planned = list[tuple[PersonBatch, Decision]]
PlannedEventless = tuple[PersonBatch, EventlessCommand]


async def win_claims(
    planned: Collection[tuple[PersonBatch, Decision]], store: Store, inputs: DecisionInputs
) -> dict[str, PlannedEventless]:
    """Reserve what decisions need.

    What is only to be unique is reserved, too, and nobody is refused for it: what is prepared is withdrawn
    instead, before two people have the same values.

    Args:
        planned: The decisions, each with its person.
        store: Where values are reserved.
        inputs: The person schema, and what withdraws.

    Returns:
        By command id, those that are to be rejected: a value belongs to somebody else.

    Raises:
        StoreUnavailable: MongoDB is away; or what was prepared is in force by now, so that it has to be
            decided by the newer schema.
    """
    claims = [
        (one, decision, Claim(name, one.state.person_id, decision.event.version))
        for one, decision in planned
        for name in sorted(decision.needs)
    ]
    beaten: dict[str, PlannedEventless] = {}
    if not claims:
        return beaten
    shared: set[str] = set()
    lost = await store.claim([claim for _, _, claim in claims])
    for position, (one, decision, claim) in enumerate(claims):
        if position not in lost:
            one.note_claimed(claim.name)
        elif coming := coming_kind(claim.name, inputs.schema):
            shared.add(coming)
        else:
            rejected = RejectedCommand(decision.command, taken(claim.name, inputs.schema))
            beaten.setdefault(decision.command.command_id, (one, rejected))
    if shared:
        await inputs.withdraw(shared)
    return beaten
