"""Puts a worker together: all that is wired is wired here."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from events.person.envelope import Envelope
from events.person.schema.declarations import PersonSchema
from service_kit.broker.dead_letters import give_up_all_of
from service_kit.broker.handing_in import hand_in
from service_kit.broker.sealed_messages import transport_keys_in_queues
from service_kit.erasure_journal import ErasureJournal
from service_kit.http.serving import serve
from service_kit.http.web import create_app
from service_kit.images.stores import open_stores
from service_kit.mongo import connection as mongo
from service_kit.mongo.claim_secrets import ClaimSecrets
from service_kit.mongo.clocks import ClockWatch
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.rounds import Rounds
from service_kit.mongo.schema_watch import SchemaWatch
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.person_schema import load_person_schema
from service_kit.seals.kek import Keks
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings
from service_kit.tasks import end
from workers.accesses.expiry import AccessExpiry
from workers.announcing.announcer import Announcer
from workers.announcing.feed_store import FeedStore, KnownGaps
from workers.announcing.marks import PartitionMarks
from workers.announcing.reconciler import FeedReconciler
from workers.consuming.consumer import CommandConsumer, Consumption
from workers.consuming.deliveries import DeliveryQueue
from workers.consuming.partitions import PartitionConsumers
from workers.consuming.pipeline import Pipeline
from workers.consuming.unreadable import UnreadableHandler
from workers.deciding.batches import BatchDecider
from workers.deciding.person_batch import DecisionInputs
from workers.deciding.preparation import Preparation
from workers.erasing.eraser import Eraser
from workers.erasing.expiry import DeletedExpiry
from workers.erasing.journal_check import JournalCheck
from workers.erasing.sweep import ErasureSweep
from workers.erasing.transport_expiry import TransportExpiry
from workers.images.removal import ImageRemover, tend
from workers.images.sweep import ImageSweep
from workers.imports.counts import ImportCounts
from workers.imports.expiry import ImportExpiry
from workers.parking.attempts import Attempts
from workers.parking.expiry import ParkedExpiry
from workers.parking.parked import WaitingCommands
from workers.parking.retrying import ControlHandler
from workers.parking.suspects import SuspectTrials
from workers.projecting.projector import Projector, keep_until_stored
from workers.projecting.visibility import Visibility
from workers.schema_lease import SchemaLease
from workers.store import Store
from workers.streams import Streams

LIVED_SECONDS: Final = 10.0
"""So long a worker has lived before it tries suspects: in one that ends sooner, the fault is elsewhere."""


async def work(
    settings: Settings,
    clock: Callable[[], datetime],
    new_id: Callable[[], str],
    lived_seconds: float = LIVED_SECONDS,
    schema: PersonSchema | None = None,
    keks: Keks | None = None,
) -> None:
    """Consume commands, and serve health and metrics, until SIGTERM; finish what is under way.

    It ends, too, once something new is on record about the person schema: whoever started it starts it anew,
    and it goes by that then.

    Args:
        settings: The process's settings.
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes an event's id.
        lived_seconds: How long the worker must have lived before it tries suspects.
        schema: What a person is; without it, what the settings' file says.
        keks: The key-encryption keys; without them, those that the settings name.
    """
    url = settings.amqp_url.get_secret_value()
    client = mongo.connect(settings, "rollcall-worker")
    counting_client = mongo.connect(settings, "rollcall-worker counts", lasting=True)
    database = mongo.writing(client, settings.mongo_db)
    images = open_stores(settings, client)

    # What outlives a connection to the broker.
    schema = schema or load_person_schema(settings.person_schema)
    keks = keks or keks_of(settings)
    claims = ClaimSecrets(client, settings.mongo_db, keks, schema, makes=True)
    withdraw = Preparation(client, settings.mongo_db, schema, clock, new_id).withdraw
    inputs = DecisionInputs(clock, new_id, schema, claims.names, claims.load, withdraw=withdraw)
    keys = PersonKeys(client, settings.mongo_db, keks)
    lease = SchemaLease(client, settings.mongo_db, schema)
    store = Store(client, settings.mongo_db, schema, keys, lease.check)
    streams = Streams(client, settings.mongo_db, keys, schema)
    transport = TransportKeys(client, settings.mongo_db, keks, clock, makes=True)
    waiting = WaitingCommands(database["parked"], transport)
    attempts = Attempts(database["attempts"])
    feed = FeedStore(client, settings.mongo_db)
    gaps = KnownGaps()
    visibility = Visibility(client, settings.mongo_db)
    journal = ErasureJournal(settings.erasure_journal)
    give_up = partial(give_up_all_of, url)
    eraser = Eraser(client, settings.mongo_db, keys, journal, give_up, clock)
    decider = BatchDecider(store, streams, keys, waiting, gaps, inputs)
    try_from = time.monotonic() + lived_seconds

    def wire(connection: AbstractConnection, channel: Channel) -> Consumption:
        """Return what works on a connection to consume from and a channel to publish on."""
        announcer = Announcer(channel)
        deliveries = DeliveryQueue()
        consumers = PartitionConsumers(connection, deliveries, settings.partitions, announcer.send_probes)
        marks = PartitionMarks(feed, settings.partitions)
        reconciler = FeedReconciler(connection, announcer, feed, marks, consumers, deliveries, gaps, clock)
        projector = Projector(store, streams, announcer, reconciler.wait_until_reconciled, eraser)
        controls = ControlHandler(store, streams, waiting, decider, projector, inputs)
        trials = SuspectTrials(deliveries, attempts, try_from, clock)
        unreadable = UnreadableHandler(store, announcer, transport)
        pipeline = Pipeline(
            deliveries,
            decider,
            projector,
            announcer,
            waiting,
            controls,
            visibility,
            trials,
            unreadable,
            inputs,
            transport,
        )
        return Consumption(deliveries, consumers, reconciler, pipeline)

    consumer = CommandConsumer(url, settings.partitions, wire)
    remover = ImageRemover(client, settings.mongo_db, keys, images.all)
    sweep = ImageSweep(client, settings.mongo_db, keys, images.all, store, clock)
    rounds = Rounds(client, settings.mongo_db, clock)
    erasures = ErasureSweep(client, settings.mongo_db, keys, store, streams, eraser, rounds, clock)
    journalled = JournalCheck(settings.erasure_journal, keys, erasures)

    async def consume() -> None:
        await journalled.until_clear()
        await consumer.consume()

    async def hand_in_sealed(messages: Sequence[Envelope]) -> None:
        await hand_in(url, settings.partitions, messages, transport.current())

    deleted = DeletedExpiry(client, settings.mongo_db, streams, hand_in_sealed, clock, new_id)
    in_queues = partial(transport_keys_in_queues, url, settings.partitions)
    sealing = TransportExpiry(client, settings.mongo_db, in_queues, clock)
    wait = timedelta(days=settings.parked_days)
    parked = ParkedExpiry(client, settings.mongo_db, wait, hand_in_sealed, clock, new_id)
    counts = ImportCounts(counting_client, settings.mongo_db, clock)
    expiry = ImportExpiry(client, settings.mongo_db, timedelta(days=settings.import_days), clock)
    accesses = AccessExpiry(client, settings.mongo_db, timedelta(days=settings.access_days), clock)
    clocks = ClockWatch(client, clock)
    schemas = SchemaWatch(client, settings.mongo_db, schema)
    app = create_app(
        "Rollcall worker",
        {
            "rabbitmq": consumer.check_consuming,
            "mongodb": store.check_indexes,
            "feed": gaps.check_gaps,
            "erasures": journalled.check,
        },
        remarks={"clock": clocks.check, "schema": schemas.check},
    )
    tasks = {
        asyncio.create_task(transport.run()),
        asyncio.create_task(consume()),
        asyncio.create_task(visibility.watch()),
        asyncio.create_task(tend(url, remover, sweep)),
        asyncio.create_task(erasures.run()),
        *(asyncio.create_task(deleted.run(keep, rounds)) for keep in (settings.erase_deleted_after,) if keep),
        asyncio.create_task(parked.run(rounds)),
        asyncio.create_task(sealing.run()),
        asyncio.create_task(counts.run()),
        asyncio.create_task(expiry.run()),
        asyncio.create_task(accesses.run()),
        asyncio.create_task(clocks.run()),
        asyncio.create_task(schemas.run()),
        asyncio.create_task(lease.run()),
        asyncio.create_task(lease.until_behind()),
    }
    serving = asyncio.create_task(serve(app, settings.host, settings.worker_port))
    # Query APIs look values up by the first secret of claims, which is there from the first start on.
    making = asyncio.create_task(keep_until_stored("reading secrets", claims.load))
    try:
        await asyncio.wait({*tasks, serving}, return_when=asyncio.FIRST_COMPLETED)
        await consumer.finish_batches()
        for task in (*tasks, serving):
            if task.done():
                task.result()  # a fault of ours: let it end the process
    finally:
        await end([*tasks, serving, making])
        await lease.end()
        images.close()
        await mongo.close(client)
        await mongo.close(counting_client)
