"""Gathers all that is kept about a person: from the log, what waits, and the access records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from events.person.rejections import PersonNotFound
from events.person.schema.declarations import PersonSchema
from events.person.views import person_view
from events.times import rfc3339
from query_api.accesses.queries import AccessesOfPersonQuery, AccessesQuery, AccessReads, Wanted
from query_api.accesses.views import seen_access
from query_api.dead_letters.queries import ParkedReads
from query_api.history.filters import HistoryQuery
from query_api.history.folding import Folds
from query_api.history.queries import LogReads
from query_api.history.views import seen_event
from query_api.people.queries import Answer
from service_kit.person_view import PersonView

SHOWN: Final = 100
"""Entries of each part; where there are more, the part says where."""
LOOKED_THROUGH: Final = 60
"""Batches of access records that are looked through for exports and followers, of up to 500 records each."""
_LISTS: Final = frozenset({"/people/export", "/events/stream"})
"""What names nobody and may show everybody."""
_EVENTS: Final = "/events"
_NONE: Final[Mapping[str, Any]] = {"items": (), "next": None}


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes reports.

    Attributes:
        folds: Tells what a person is.
        log: Tells what was done to it.
        parked: Tells what waits.
        accesses: Tells who read.
        schema: What a person is.
        access_days: How long access records are kept.
        clock: Tells the time, UTC.
    """

    folds: Folds
    log: LogReads
    parked: ParkedReads
    accesses: AccessReads
    schema: PersonSchema
    access_days: int
    clock: Callable[[], datetime]

    async def of(self, subject: str, person_id: str, view: PersonView) -> Answer:
        """Return the report on a person, as the primary knows it: deleted, parked and erased people, too.

        Args:
            subject: Who asks.
            person_id: The person.
            view: What the caller sees of people.

        Raises:
            PersonNotFound: Nothing is known of such a person.
            RollcallError: A part is not to be had now.
        """
        state, member, is_erased = await self.folds.state_at(subject, person_id, strong=True)
        waiting = await self._waiting(person_id)
        if state.status == "absent" and not waiting["items"]:
            raise PersonNotFound(f"nothing is known of a person {person_id}")
        active = state.status == "active" and not is_erased
        report: dict[str, Any] = {
            "person_id": person_id,
            "status": "erased" if is_erased else state.status,
            "made_at": rfc3339(self.clock()),
            "person": view.of_values(person_view(state, self.schema)) if active else None,
            "unique": [
                kind
                for kind, names in self.schema.unique.items()
                if active and view.hidden.isdisjoint(names) and not {*names} - state.fields.keys()
            ],
            "history": _NONE if state.status == "absent" else await self._history(subject, person_id, view),
            "accesses": None,
            "recipients": None,
            "waiting": waiting,
            "holds": [{"reference": one, "reason": reason} for one, reason in sorted(state.holds.items())],
            "retention": {"access_days": self.access_days},
        }
        if report["status"] != "erased":
            report["accesses"] = await self._accesses(person_id, view)
            since = state.created_at
            report["recipients"] = _NONE if since is None else await self._recipients(since, view)
        return Answer([report], member)

    async def _history(self, subject: str, person_id: str, view: PersonView) -> dict[str, Any]:
        query = HistoryQuery(include="rejected", limit=SHOWN, consistency="strong")
        page = await self.log.history(subject, person_id, query)
        more = {"include": "rejected", "limit": SHOWN, "cursor": page.next}
        path = f"/people/{person_id}/history"
        items = [seen_event(one, ("changes", "former_names"), view) for one in page.answer.documents]
        return {"items": items, "next": _link(path, more) if page.next else None}

    async def _waiting(self, person_id: str) -> dict[str, Any]:
        commands, more = await self.parked.summary(person_id, SHOWN)
        return {"items": commands, "next": f"/dead-letters/{person_id}" if more else None}

    async def _accesses(self, person_id: str, view: PersonView) -> dict[str, Any]:
        query = AccessesOfPersonQuery(limit=SHOWN, consistency="strong")
        page = await self.accesses.page(Wanted(query, person_id))
        more = {"limit": SHOWN, "cursor": page.next}
        path = f"/people/{person_id}/accesses"
        items = [seen_access(one, view) for one in page.answer.documents]
        return {"items": items, "next": _link(path, more) if page.next else None}

    async def _recipients(self, since: datetime, view: PersonView) -> dict[str, Any]:
        """Return the exports and followers since a time, an export with its end.

        Only the newest batches are looked through: whoever wants all goes on from there by hand.
        """
        query = AccessesQuery.model_validate(
            {"from": rfc3339(since), "outcome": "answered", "consistency": "strong"}
        )
        items: list[dict[str, Any]] = []
        ends: dict[str, Mapping[str, Any]] = {}
        number, until = 0, None
        async for batch, some in self.accesses.batches(Wanted(query, None)):
            for _, access in some:
                if access["begun"] is not None:
                    ends[access["begun"]] = access
                elif access["route"] in _LISTS or (access["route"] == _EVENTS and access["id"] in ends):
                    end = ends.get(access["id"], access)
                    told = {**access, "lines": end["lines"], "whole": end["whole"]}
                    items.append(seen_access(told, view))
            number += 1
            if number >= LOOKED_THROUGH or len(items) >= SHOWN:
                # Others may have written at the same time: rather some twice than one not at all.
                until = batch["ended_at"] + timedelta(milliseconds=1)
                break
        more = {"from": rfc3339(since), "to": rfc3339(until), "outcome": "answered"} if until else {}
        return {"items": items[:SHOWN], "next": _link("/accesses", more) if more else None}


def _link(path: str, query: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(query)}"
