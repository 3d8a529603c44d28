"""What the meters of sockets could not see, for exporters to read."""

from __future__ import annotations

from frp_wrapper.monitoring.counters import default_counters

__all__ = ["watch_losses"]

_LOSSES = {
    "lost_events": (
        "frp_wrapper_kernel_events_lost_total",
        "Times that the kernel had to drop news of closing sockets.",
    ),
    "unnamed_dropped": (
        "frp_wrapper_sockets_unnamed_total",
        "Closed sockets to ports of local services that frpc never named.",
    ),
    "untold_ends": (
        "frp_wrapper_socket_ends_untold_total",
        "Sockets that closed and whose last numbers the kernel has not told.",
    ),
}


def watch_losses(meter: object, *attributes: str) -> None:
    """Let these attributes of a meter be read as counters, as long as it lives."""
    for attribute in attributes:
        default_counters.watch(meter, attribute, *_LOSSES[attribute])
