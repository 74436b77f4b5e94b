"""Removes images that no person has any more: soon, by following the events; surely, by sweeping."""

import asyncio
import random
from collections.abc import Sequence
from typing import Final, cast

import structlog

from events.errors import Unavailable
from events.log.stored import payload_of
from service_kit.broker.topology import IMAGE_TOPICS, IMAGES
from service_kit.images import ImageStore, image_name
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.mongo.keys import PersonKeys
from service_kit.tasks import together
from subscriber import Event, subscribe
from workers.erasing.eraser import ERASED, ERASURES
from workers.images.sweep import ImageSweep

SWEEP_SECONDS: Final = 6 * 3600.0

log = structlog.get_logger()


class ImageRemover:
    """Removes the image that an event has taken from its person.

    Args:
        client: A client of either driver.
        database: Database name.
        keys: The people's keys.
        stores: Where images may be.
    """

    def __init__(self, client: Client, database: str, keys: PersonKeys, stores: Sequence[ImageStore]) -> None:
        collections = writing(client, database)
        self._events, self._erasures = collections["events"], collections[ERASURES]
        self._keys = keys
        self._stores = stores

    async def handle(self, event: Event) -> None:
        """Remove it, or all that an erased person ever had; again does no harm.

        Raises:
            Unavailable: A store is away; the event is to come again.
        """
        if event["type"] == ERASED:
            names = await self._images_of_erased(event["subject"])
        else:
            image_id = await self._image_taken(event["subject"], event["version"])
            names = [] if image_id is None else [image_name(image_id)]
        for name in names:
            # Its id opens it, so the log has the event alone.
            removed = [store.name for store in self._stores if await store.delete(name)]
            log.info("image removed", event_id=event["id"], person_id=event["subject"], stores=removed)

    async def _images_of_erased(self, person_id: str) -> list[str]:
        """Return the names that were listed while the person's events could be opened."""
        with store_errors():
            listed = await self._erasures.find_one({"_id": person_id})
        return [] if listed is None else list(listed.get("images", ()))

    async def _image_taken(self, person_id: str, version: int) -> str | None:
        """Return the image that a person had just before a version and has no more, as the log tells."""
        wanted = {"person_id": person_id, "type": "person.image_changed", "version": {"$lte": version}}
        with store_errors():
            found = self._events.find(wanted, sort=[("version", -1)], limit=2)
            documents = await self._keys.open(await found.to_list(2))
        images = {one["version"]: payload_of(one)[1].get("image_id") for one in documents}
        # An event names its own image, if it has one: never the one that it replaced.
        own = images.pop(version, None)
        before = next(iter(images.values()), None)
        return None if before == own else cast("str | None", before)


async def tend(url: str, remover: ImageRemover, sweep: ImageSweep) -> None:
    """Follow the events and sweep now and then, until cancelled.

    Args:
        url: AMQP URL.
        remover: Gets the events; of several processes, one at a time does.
        sweep: Finds what is left.
    """
    await together(subscribe(url, IMAGES, remover.handle, topics=IMAGE_TOPICS), _keep_sweeping(sweep))


async def _keep_sweeping(sweep: ImageSweep) -> None:
    while True:
        # Processes that started together do not sweep together.
        await asyncio.sleep(SWEEP_SECONDS * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret
        try:
            swept = await sweep.run()
        except Unavailable as exc:
            log.warning("sweep of images broken off", reason=exc.detail)
        else:
            log.info("images swept", result=swept.described)
