"""Runs a worker: `python -m workers`, settings from the environment; as many processes as are useful."""

import asyncio
from datetime import UTC, datetime

import uvloop

from events.times import to_milliseconds
from service_kit import mongo
from service_kit.clocks import ClockWatch
from service_kit.ids import new_id
from service_kit.images.stores import open_stores
from service_kit.logs import configure_logs
from service_kit.settings import Settings, load_settings
from service_kit.tasks import end
from service_kit.web import create_app, serve
from workers.consumer import LIVED_SECONDS, Worker
from workers.feed_store import FeedStore
from workers.images import ImageRemover, tend
from workers.import_counts import ImportCounts
from workers.lines import Stamps
from workers.store import Store
from workers.sweep import ImageSweep


async def work(settings: Settings, lived_seconds: float = LIVED_SECONDS) -> None:
    """Consume commands, and serve health and metrics, until SIGTERM; finish what is under way.

    Args:
        settings: The process's settings.
        lived_seconds: How long it must have lived before it tries suspects.
    """
    client = mongo.connect(settings, "rollcall-worker")
    store = Store(client, settings.mongo_db)
    stamps = Stamps(lambda: to_milliseconds(datetime.now(UTC)), new_id, "email" in settings.unique)
    feed = FeedStore(client, settings.mongo_db)
    url = settings.amqp_url.get_secret_value()
    worker = Worker(url, settings.partitions, store, feed, stamps, lived_seconds)
    clocks = ClockWatch(client, lambda: datetime.now(UTC))
    parts = {"rabbitmq": worker.check, "mongodb": store.check, "feed": store.gaps.check}
    app = create_app("Rollcall worker", parts, remarks={"clock": clocks.check})
    stores = open_stores(settings, client)
    remover = ImageRemover(client, settings.mongo_db, stores.all)
    sweep = ImageSweep(client, settings.mongo_db, stores.all, lambda: datetime.now(UTC))
    counting_client = mongo.connect(settings, "rollcall-worker counts", lasting=True)
    counts = ImportCounts(counting_client, settings.mongo_db, lambda: to_milliseconds(datetime.now(UTC)))
    tasks = {
        asyncio.create_task(worker.run()),
        asyncio.create_task(store.visibility.watch()),
        asyncio.create_task(tend(url, remover, sweep)),
        asyncio.create_task(counts.run()),
        asyncio.create_task(clocks.run()),
    }
    serving = asyncio.create_task(serve(app, settings.host, settings.worker_port))
    try:
        await asyncio.wait({*tasks, serving}, return_when=asyncio.FIRST_COMPLETED)
        await worker.stop()
        for task in (*tasks, serving):
            if task.done():
                task.result()  # a fault of ours: let it end the process
    finally:
        await end([*tasks, serving])
        stores.close()
        await mongo.close(client)
        await mongo.close(counting_client)


def main() -> None:
    """Work until SIGTERM."""
    settings = load_settings("mongo_uri")
    configure_logs("worker", settings.log_level)
    uvloop.run(work(settings))


if __name__ == "__main__":
    main()
