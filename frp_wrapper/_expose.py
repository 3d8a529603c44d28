"""The ``expose_*`` and ``visit_*`` methods: one for each kind of tunnel, all in terms of `expose` and `visit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Unpack

from frp_wrapper.config import (
    TunnelConfig,
    TunnelOptions,
    TunnelType,
    VisitorConfig,
    VisitorOptions,
    VisitorType,
)
from frp_wrapper.tunnel import Tunnel, Visitor, generated_name

ANSWER_TIMEOUT = 15.0
"""Seconds that frps may take to answer, unless the caller says otherwise."""


class ExposeOptions(TunnelOptions, total=False):
    """The keyword arguments of every ``expose_*`` method: those of `TunnelOptions`, and these two."""

    name: str
    """Unique on the server: letters, digits, ``.``, ``_`` and ``-``. Made up when not given."""
    timeout: float
    """Seconds to wait for frps; 15 when not given."""


class VisitOptions(VisitorOptions, total=False):
    """The keyword arguments of every ``visit_*`` method: those of `VisitorOptions`, and these two."""

    name: str
    """Unique within this client. Made up when not given."""
    timeout: float
    """Seconds to wait until the visitor listens; 15 when not given."""


class Exposing(ABC):
    """What a client offers for making tunnels.

    Every method waits until frps has answered and gives a tunnel that is online, or raises:

    - ConfigError: arguments are not valid; all faults are listed, and nothing was started;
    - TunnelError: frps refuses the tunnel; ``reason`` and ``hint`` say why and what to do;
    - TimeoutError: frps has not answered in time;
    - ProcessError: the client is not connected.

    ``local_port`` is the port of the local service; it is left out only with a ``plugin``.
    """

    @property
    @abstractmethod
    def server(self) -> str:
        """The server's host."""

    @abstractmethod
    def expose(self, config: TunnelConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Tunnel:
        """Open a tunnel from a complete configuration; without ``wait``, do not wait for the server's answer."""

    @abstractmethod
    def visit(self, config: VisitorConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Visitor:
        """Open the local end of somebody's secret tunnel from a complete configuration."""

    def expose_tcp(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local TCP service reachable at ``remote_port`` of the server; frps chooses the port if not given."""
        return self._expose("tcp", local_port, options)

    def expose_udp(self, local_port: int, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local UDP service reachable at ``remote_port`` of the server; frps chooses the port if not given."""
        return self._expose("udp", local_port, options)

    def expose_http(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local web service reachable at ``custom_domains`` and/or ``subdomain`` on the server's HTTP port."""
        return self._expose("http", local_port, options)

    def expose_path(self, local_port: int, path: str, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local web service reachable at ``http://SERVER/path``; many can share one domain.

        Args:
            local_port: The port of the local service; it sees the path as the visitor wrote it, prefix included.
            path: The first part of the path, with or without a leading slash.
            options: ``custom_domains`` replaces the server's own name as the domain.
        """
        options.setdefault("custom_domains", (self.server,))
        options["locations"] = ("/" + path.strip("/"),)
        return self._expose("http", local_port, options)

    def expose_https(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local TLS service reachable at ``custom_domains`` and/or ``subdomain`` on the server's HTTPS port.

        TLS passes through to the local service, or a plugin ends it (``plugin=Https2HttpPlugin(...)``).
        """
        return self._expose("https", local_port, options)

    def expose_tcpmux(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Make a local TCP service reachable by HTTP CONNECT to ``custom_domains`` on the server's tcpmux port."""
        options.setdefault("multiplexer", "httpconnect")
        return self._expose("tcpmux", local_port, options)

    def expose_stcp(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Offer a local TCP service to visitors who know ``secret_key``; it has no public address (see `visit_stcp`)."""
        return self._expose("stcp", local_port, options)

    def expose_sudp(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Offer a local UDP service to visitors who know ``secret_key``; it has no public address."""
        return self._expose("sudp", local_port, options)

    def expose_xtcp(self, local_port: int | None = None, **options: Unpack[ExposeOptions]) -> Tunnel:
        """Offer a local TCP service to visitors who know ``secret_key``, peer to peer past the server."""
        return self._expose("xtcp", local_port, options)

    def visit_stcp(self, server_name: str, bind_port: int, **options: Unpack[VisitOptions]) -> Visitor:
        """Listen at ``bind_port`` on this machine for the stcp tunnel named ``server_name`` of another client."""
        return self._visit("stcp", server_name, bind_port, options)

    def visit_sudp(self, server_name: str, bind_port: int, **options: Unpack[VisitOptions]) -> Visitor:
        """Listen at ``bind_port`` on this machine for the sudp tunnel named ``server_name`` of another client."""
        return self._visit("sudp", server_name, bind_port, options)

    def visit_xtcp(self, server_name: str, bind_port: int, **options: Unpack[VisitOptions]) -> Visitor:
        """Listen at ``bind_port`` on this machine for the xtcp tunnel named ``server_name`` of another client."""
        return self._visit("xtcp", server_name, bind_port, options)

    def _expose(self, kind: TunnelType, local_port: int | None, options: ExposeOptions) -> Tunnel:
        fields: dict[str, Any] = dict(options)
        timeout = fields.pop("timeout", ANSWER_TIMEOUT)
        name = fields.pop("name", None) or generated_name(kind, local_port)
        return self.expose(
            TunnelConfig(name=name, tunnel_type=kind, local_port=local_port, **fields), timeout=timeout
        )

    def _visit(self, kind: VisitorType, server_name: str, bind_port: int, options: VisitOptions) -> Visitor:
        fields: dict[str, Any] = dict(options)
        timeout = fields.pop("timeout", ANSWER_TIMEOUT)
        name = fields.pop("name", None) or generated_name(f"{kind}-visitor", bind_port)
        config = VisitorConfig(
            name=name, visitor_type=kind, server_name=server_name, bind_port=bind_port, **fields
        )
        return self.visit(config, timeout=timeout)
