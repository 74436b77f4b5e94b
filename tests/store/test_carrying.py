"""Events of accounts that an earlier version kept among those of people, on either topology."""

from tests.store.log import harm


async def test_the_initialiser_carries_them_over_as_they_are(log, system, mongo_clients):
    await log.fill(4)
    await log.fill_accounts(mongo_clients["pymongo"], ("ada", "ben"))
    written: list[dict] = []

    def to_before(accounts):
        written.extend(accounts.find())
        harm(log, lambda people: people.insert_many(written))
        # Cut off: the last run had copied one, and taken it out nowhere.
        accounts.delete_many({"version": 2})

    harm(log, to_before, "account_events")
    line = "carried 4 events of accounts, in 2 streams, over to account_events"
    assert line in system.initialise(log.address.database)
    assert system.initialise(log.address.database) == []

    def compare(accounts):
        assert sorted(accounts.find(), key=str) == sorted(written, key=str)

    harm(log, compare, "account_events")
    harm(log, _only_people)
    assert await log.verify() == set()


def _only_people(events) -> None:
    assert all(":" not in event["person_id"] for event in events.find())
    assert events.count_documents({}) == 7
