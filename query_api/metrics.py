"""The query API's own metric: how far each secondary is behind the primary."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service_kit.mongo.connection import Client


class ReplicationLag(Collector):
    """Tells each secondary's lag from the driver's last heartbeats, without asking anybody.

    Args:
        client: A client of either driver.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the lag of each known secondary; none behind a router, which hides its members."""
        lag = GaugeMetricFamily(
            "rollcall_replication_lag_seconds",
            "Time that a secondary is behind the primary",
            labels=["member"],
        )
        members = self._client.topology_description.server_descriptions().values()
        known = [member for member in members if member.last_write_date is not None]
        for primary in known:
            if primary.server_type_name == "RSPrimary":
                for member in known:
                    if member.server_type_name == "RSSecondary":
                        behind = _unwritten(member) - _unwritten(primary)
                        lag.add_metric(["{}:{}".format(*member.address)], max(0.0, behind))
        yield lag


def _unwritten(member: Any) -> float:
    """Return the seconds from a member's last write to our look at it.

    Members are asked at different moments; the difference of this between two cancels that out. See
    https://github.com/mongodb/specifications/blob/master/source/max-staleness/max-staleness.md.
    """
    return float(member.last_update_time - member.last_write_date)
