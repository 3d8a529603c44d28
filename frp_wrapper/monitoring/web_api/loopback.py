"""Whether who connects over loopback is a program of this machine, or may be a tunnel's visitor."""

from __future__ import annotations

from frp_wrapper import refused_ports
from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.web_api.views import Client

__all__ = ["Loopback"]

_PROXIES = frozenset({"http_proxy", "socks5"})


class Loopback:
    """Looks at the tunnels of a client, once after each change of state."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._version: object = self  # like no version of a client
        self._is_private = False

    def is_private(self) -> bool:
        """Say whether no tunnel is a proxy by which its visitors reach loopback."""
        version = self._client.state_version
        if version != self._version:
            configs = [tunnel.config for tunnel in self._client.list_tunnels()]
            self._is_private = not any(_may_be_proxy(config) or _leads_here(config) for config in configs)
            self._version = version
        return self._is_private


def _may_be_proxy(config: TunnelConfig) -> bool:
    if config.plugin is None:
        return config.local_port is None  # of an frpc of somebody else's: its plugin is not known
    return config.plugin.type in _PROXIES


def _leads_here(config: TunnelConfig) -> bool:
    """Say whether a tunnel leads to a dashboard of this process: one of an frpc of somebody else's could not be refused."""
    try:
        refused_ports.check(config)
    except ConfigError:
        return True
    return False
