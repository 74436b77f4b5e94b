"""What a start refuses before anything is started: servers of two owners, and data of another shape."""

from __future__ import annotations

from pathlib import Path

from devstack.paths import Paths
from devstack.shape import Shape
from operations.errors import SetupError
from operations.terminal import short_path


def set_data(paths: Paths) -> Path:
    """Return where the replica set keeps its data."""
    return paths.data / "mongo"


def cluster_data(paths: Paths) -> Path:
    """Return where the sharded cluster keeps its data."""
    return paths.data / "mongo-cluster"


def refuse_contradictions(shape: Shape, *, own_mongo: bool, own_rabbit: bool) -> None:
    """Return if no servers of our own are wanted beside those that the user names.

    Args:
        shape: What is wanted.
        own_mongo: Whether MongoDB is ours.
        own_rabbit: Whether RabbitMQ is.

    Raises:
        SetupError: Some are.
    """
    for wanted, own, option, setting in (
        (shape.shards > 0, own_mongo, "--sharded", "ROLLCALL_MONGO_URI"),
        (shape.brokers > 1, own_rabbit, "--brokers", "ROLLCALL_AMQP_URL"),
    ):
        if wanted and not own:
            raise SetupError(f"{option} starts servers of its own, and {setting} names others: unset one.")


def refuse_other_data(paths: Paths, shape: Shape) -> None:
    """Return if nobody begins empty beside people who are there, in a database of the other shape.

    Args:
        paths: Where the state is.
        shape: What is wanted.

    Raises:
        SetupError: They are there.
    """
    if shape.shards and set_data(paths).exists():
        stored, option = "a replica set", "without `--sharded`"
    elif not shape.shards and cluster_data(paths).exists():
        stored, option = "a sharded cluster", "with `--sharded`"
    else:
        return
    raise SetupError(
        f"The data in {short_path(paths.data)} is that of {stored}: start {option}, or begin anew with "
        "`./run reset`."
    )
