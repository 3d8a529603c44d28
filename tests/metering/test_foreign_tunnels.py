"""Which tunnels count together, and what a log alone tells; no frpc is needed for that."""

from __future__ import annotations

from frp_wrapper.config import TunnelConfig
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.foreign_tunnels import ForeignMetering, _destinations, _groups

HERE, THERE, ELSEWHERE = (b"\x7f\0\0\1", 80), (b"\0" * 15 + b"\1", 80), (b"\x0a\0\0\5", 80)


def test_tunnels_with_a_common_destination_count_together() -> None:
    """Tunnels that share a destination are one group, also by way of a third; the same port elsewhere is another."""
    leading = {"a": [HERE], "b": [THERE], "c": [HERE, THERE], "d": [ELSEWHERE], "nowhere": []}
    groups = dict(_groups(leading))
    assert groups == {("a", "b", "c"): {HERE, THERE}, ("d",): {ELSEWHERE}}


def test_where_tunnels_lead() -> None:
    """Addresses and names give what the kernel shows; a name that does not exist gives nothing."""

    def of(host: str) -> set[tuple[bytes, int]]:
        return set(_destinations(TunnelConfig(name="a", tunnel_type="tcp", local_host=host, local_port=80)))

    local = (b"\x7f\0\0\1".ljust(16, b"\0"), 80)
    assert of("127.0.0.1") == of("0.0.0.0") == {local}
    assert of("::1") == {(b"\0" * 15 + b"\1", 80)}
    assert local in of("localhost")
    assert of("no..host") == set()


def test_a_log_without_the_kernel() -> None:
    """A log alone tells of connections and failures, and leaves bytes unknown."""
    told: list[tuple[str, str]] = []

    def tell(name: str, kind: str, connection: Connection) -> None:
        told.append((name, kind))

    metering = ForeignMetering("test", tell, None, is_logged=True)
    statistics = metering.meter(TunnelConfig(name="web", tunnel_type="tcp", local_port=1))
    assert statistics.read("web").connection_count is None  # it may be that none is told of
    failed = {"type": "connection_error", "level": "error", "local_port": 1, "message": "refused"}
    opened = {
        "type": "connection_opened", "level": "debug", "message": "",
        "local_addr": "127.0.0.1:5", "service_addr": "127.0.0.1:1",
    }  # fmt: skip
    metering.recall(failed, "web")
    metering.on_record(failed, "web")
    metering.on_record(opened, "web")
    metering.on_record(opened, "another")
    metrics = statistics.read("web")
    assert (metrics.connection_count, metrics.error_count, metrics.bytes_sent) == (2, 1, None)
    assert told == [("web", "failed"), ("web", "opened")]
    assert metrics.source == "log"
