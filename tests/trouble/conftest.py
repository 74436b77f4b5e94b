"""A system of its own for the tests that break things: servers, and one process of each service."""

from collections.abc import Iterator

import pytest
import pytest_asyncio

from tests.system import Service, System, eventually


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """MongoDB and RabbitMQ that no other tests use; a module says on which topologies it runs."""
    started = System.start(tmp_path_factory.mktemp("stage"), request.param, members=3)
    try:
        started.initialise()
        yield started
    finally:
        started.stop()


@pytest_asyncio.fixture(scope="session")
async def cast(stage: System) -> dict[str, Service]:
    """One process of each service on that system."""
    services = await stage.start_services()
    await stream_is_on_disk(stage, brokers=1)
    return services


async def stream_is_on_disk(system: System, brokers: int) -> None:
    """Return when every broker has the first stream's coordinator in a file, as it has some seconds later.

    Killed before that, RabbitMQ 3.10 knows the stream for ever but cannot open it.
    """

    async def written() -> bool:
        files = system.rabbit.directory.glob("mnesia/*/coordination/*/names.dets")
        return sum(b"rabbit_stream_coordinator" in path.read_bytes() for path in files) == brokers

    await eventually(written, pause=0.1)
