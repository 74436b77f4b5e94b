"""What is cancelled while it waits for a member or a connection takes nothing from those that come after it."""

import asyncio
import random

from pymongo.errors import PyMongoError

from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.system import eventually

ROUNDS = 40
NEW_EACH = 5
AT_ONCE = 80


async def is_answered(people):
    try:
        # No deadline of the driver's ends a wait for a lock.
        async with asyncio.timeout(60):
            await people.find_one({})
    except (PyMongoError, TimeoutError):
        return False
    return True


async def test_operations_that_are_cancelled_twice_leave_the_client_as_it_was(system, driver):
    settings = Settings(mongo_uri=system.mongo.uri, amqp_url=system.rabbit.url, mongo_driver=driver)
    chance = random.Random(1)
    for _ in range(ROUNDS // NEW_EACH):
        # A new client knows no member, so the first operations wait for one.
        client = mongo.connect(settings, "tests")
        people = mongo.reading(client, "rollcall", strong=True)["people"]
        try:
            for _ in range(NEW_EACH):
                # More than the driver opens connections at once for, so most of them wait for another.
                reads = [asyncio.ensure_future(people.find({}, limit=1).to_list(1)) for _ in range(AT_ONCE)]
                await asyncio.sleep(chance.random() * 0.03)
                for _ in range(2):
                    for read in reads:
                        read.cancel()
                    for _ in range(chance.randint(0, 6)):
                        await asyncio.sleep(0)
                ended, waiting = await asyncio.wait(reads, timeout=30)
                assert not waiting
                failures = [read.exception() for read in ended if not read.cancelled()]
                # A busy machine may let a deadline pass; a lock that nobody holds is no such thing.
                assert not [one for one in failures if one and not isinstance(one, PyMongoError)]
                await eventually(lambda people=people: is_answered(people))
        finally:
            async with asyncio.timeout(30):
                await mongo.close(client)
