"""Sweeps the images: finds those that no person has and nobody will get any more, and removes them.

A picture is stored before its command is published, so one without an event is either left over from a crash
or still waits for its command, which may be in a queue for long. The sweep decides which: it refuses the
command, on record like any refusal, and removes the picture only the next time, when no worker can be about
to apply the command that has not seen the refusal.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, cast

from events.accounts.event import ROLLCALL
from events.log.stored import payload_of
from events.person.rejections import ImageExpired
from events.times import to_milliseconds
from service_kit.images import FoundImage, ImageStore, image_name
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from workers.store import Store

GRACE: Final = timedelta(hours=1)
_BATCH: Final = 200
"""Who refuses, in the record of it."""


class Verdict(Enum):
    """What becomes of an image."""

    WANTED = "wanted"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    REFUSED = "refused"
    REMOVED = "removed"


@dataclass(slots=True)
class Swept:
    """How many images a sweep came upon, and what became of them.

    Attributes:
        wanted: They are what a person has.
        unknown: They do not say whose they are: none of ours.
        waiting: Their command was refused, a moment ago.
        refused: Their command was not decided: it is refused now.
        removed: Nobody has them.
    """

    wanted: int = 0
    unknown: int = 0
    waiting: int = 0
    refused: int = 0
    removed: int = 0

    @property
    def described(self) -> str:
        """The counts in words."""
        return ", ".join(f"{count:,} {name}" for name, count in asdict(self).items())


@dataclass(frozen=True, slots=True)
class Known:
    """What is on record of the people and commands of some images.

    Attributes:
        current: The name of the image that each person has, by the log: the read model may be behind it.
        in_log: Names of images, and commands, that are in the log.
        refused: When each refused command was refused.
    """

    current: set[str] = field(default_factory=set)
    in_log: set[str] = field(default_factory=set)
    refused: dict[str, datetime] = field(default_factory=dict)


def judge(image: FoundImage, known: Known, before: datetime) -> Verdict:
    """Return what is to become of an image that was stored before a time.

    Args:
        image: The image.
        known: What is on record.
        before: A refusal counts if it is older than this.
    """
    if not (image.person_id and image.command_id):
        return Verdict.UNKNOWN
    if image.name in known.current:
        return Verdict.WANTED
    if image.name in known.in_log or image.command_id in known.in_log:
        return Verdict.REMOVED
    refused_at = known.refused.get(image.command_id)
    if refused_at is None:
        return Verdict.REFUSED
    return Verdict.REMOVED if refused_at < before else Verdict.WAITING


class ImageSweep:
    """Sweeps every store.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        stores: Where images may be.
        records: Keeps refusals.
        clock: Tells the time, UTC.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        keys: PersonKeys,
        stores: Sequence[ImageStore],
        records: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = writing(client, database)
        self._keys = keys
        self._records = records
        self._stores = stores
        self._clock = clock

    async def run(self, grace: timedelta = GRACE, *, dry: bool = False) -> Swept:
        """Sweep; again finds what was refused now.

        Args:
            grace: Younger images are left alone, and younger refusals not acted on.
            dry: Only count.

        Raises:
            Unavailable: A store or the database is away.
        """
        swept = Swept()
        before = self._clock() - grace
        for store in self._stores:
            batch: dict[str, FoundImage] = {}
            async for image in store.older_than(before):
                batch[image.name] = image
                if len(batch) == _BATCH:
                    await self._sweep_some(store, batch.values(), before, swept, dry=dry)
                    batch = {}
            await self._sweep_some(store, batch.values(), before, swept, dry=dry)
        return swept

    async def _sweep_some(
        self, store: ImageStore, images: Collection[FoundImage], before: datetime, swept: Swept, *, dry: bool
    ) -> None:
        known = await self._known(images)
        refused = []
        for image in images:
            verdict = judge(image, known, before)
            setattr(swept, verdict.value, getattr(swept, verdict.value) + 1)
            if verdict is Verdict.REFUSED:
                refused.append(self._refusal(image))
            elif verdict is Verdict.REMOVED and not dry:
                await store.delete(image.name)
        if not dry:
            await self._records.record_eventless(refused)

    async def _known(self, images: Collection[FoundImage]) -> Known:
        people = list({image.person_id: None for image in images if image.person_id})
        commands = [image.command_id for image in images if image.command_id]
        known = Known()
        if not people:
            return known
        of_them = {"person_id": {"$in": people}}
        with store_errors():
            kinds = {"type": {"$in": ["person.image_changed", "person.deleted", "person.erased"]}}
            events = self._db["events"].find({**of_them, **kinds}, sort=[("person_id", 1), ("version", 1)])
            current: dict[str, str | None] = {}
            for event in await self._keys.open(await events.to_list(None)):
                _, data = payload_of(event)
                image_id = cast("str | None", data.get("image_id"))
                name = image_name(image_id) if image_id else None
                current[event["person_id"]] = name
                known.in_log.update({event["command_id"], name} - {None})
            known.current.update(name for name in current.values() if name)
            found = self._db["rejections"].find({**of_them, "command_id": {"$in": commands}})
            known.refused.update({one["command_id"]: one["rejected_at"] for one in await found.to_list(None)})
        return known

    def _refusal(self, image: FoundImage) -> dict[str, Any]:
        return {
            "_id": image.command_id,
            "command_id": image.command_id,
            "person_id": image.person_id,
            "type": "person.change_image",
            "code": ImageExpired.code,
            "detail": "the image waited too long to be applied: send it again",
            "actor": ROLLCALL,
            "accepted_at": image.stored_at,
            "rejected_at": to_milliseconds(self._clock()),
            "correlation_id": image.command_id,
        }
