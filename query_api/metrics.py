"""Owns the query API's own metric: how far each secondary is behind the primary."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class ReplicationLag(Collector):
    """Tells each secondary's lag from the driver's last heartbeats, without asking anybody.

    Args:
        client: A client of either driver.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the lag of each known secondary; none behind a router, which hides its members."""
        lag = GaugeMetricFamily(
            "rollcall_replication_lag_seconds",
            "Last write of the primary less this member's",
            labels=["member"],
        )
        members = self._client.topology_description.server_descriptions().values()
        primary = [m.last_write_date for m in members if m.server_type_name == "RSPrimary"]
        for member in members:
            if member.server_type_name == "RSSecondary" and primary and primary[0] and member.last_write_date:
                seconds = (primary[0] - member.last_write_date).total_seconds()
                lag.add_metric(["{}:{}".format(*member.address)], max(0.0, seconds))
        yield lag
