"""Which of the driver's failures are worth another try, and which are faults of ours."""

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, WTimeoutError

from events.errors import StoreUnavailable
from service_kit.mongo.connection import is_transient, kept_out, store_errors
from service_kit.mongo.schema_record import open_record

DUPLICATE, AWAY, STALE, BROKEN = ({"code": code} for code in (11000, 133, 13388, 121))


def bulk(*errors, concern=()) -> BulkWriteError:
    return BulkWriteError({"writeErrors": list(errors), "writeConcernErrors": list(concern)})


@pytest.mark.parametrize(
    ("failure", "transient"),
    [
        (AutoReconnect("lost"), True),
        (WTimeoutError("slow", 64, {}), True),
        (OperationFailure("moved", 13388), True),
        (OperationFailure("not allowed", 13), False),
        (DuplicateKeyError("twice", 11000), False),
        (bulk(AWAY), True),
        (bulk(DUPLICATE), False),
        # Of two shards, one refused a duplicate and the other was away: the same batch, once more.
        (bulk(DUPLICATE, AWAY, STALE), True),
        (bulk(DUPLICATE, BROKEN), False),
        (bulk(AWAY, BROKEN), False),
        (bulk(DUPLICATE, concern=[{"code": 64}]), True),
        (bulk(concern=[{"code": 100}]), False),
    ],
)
def test_a_failure_is_transient_if_the_same_may_succeed_later(failure, transient):
    assert is_transient(failure) == transient
    with pytest.raises(StoreUnavailable if transient else type(failure)), store_errors():
        raise failure


def test_what_a_unique_index_kept_out_is_told_by_position():
    assert kept_out(bulk({**DUPLICATE, "index": 1}, {**DUPLICATE, "index": 4})) == {1, 4}


@pytest.mark.parametrize("failure", [bulk(DUPLICATE, BROKEN), bulk(DUPLICATE, concern=[{"code": 64}])])
def test_what_failed_beside_that_is_not_swallowed(failure):
    with pytest.raises(BulkWriteError):
        kept_out(failure)


@pytest.mark.parametrize(("code", "said"), [(13, "is closed"), (18, "refuses the user or password")])
def test_a_record_of_schemas_that_refuses_says_what_to_mend(monkeypatch, code, said):
    def refuse(*_arguments, **_options):
        raise OperationFailure("refused: ana:secret", code)

    with open_record("mongodb://127.0.0.1:9/", "rollcall") as record:
        monkeypatch.setattr(record._events, "find", refuse)
        with pytest.raises(StoreUnavailable, match=said) as caught:
            record.all()
    assert "secret" not in caught.value.detail
