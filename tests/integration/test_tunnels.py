"""Every type of tunnel carries data through real frpc and frps."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.request

import pytest

from frp_wrapper import FRPClient, FRPServer, Tunnel, TunnelStatus
from tests.integration.conftest import eventually, exchange

pytestmark = pytest.mark.integration


def get(url: str, host: str | None = None) -> str:
    """Fetch a page, asking for ``host`` if it is given."""
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read().decode()


def test_tcp(client: FRPClient, echo: int) -> None:
    """A tcp tunnel is reachable at the port in its URL, which frps chose."""
    tunnel = client.expose_tcp(echo)
    assert tunnel.url == f"tcp://localhost:{tunnel.public_port}"
    assert exchange(tunnel.public_port or 0) == b"hello"


def test_tcp_at_a_wanted_port(client: FRPClient, echo: int) -> None:
    """``remote_port`` decides the port in the URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tunnel = client.expose_tcp(echo, remote_port=port)
    assert tunnel.url == f"tcp://localhost:{port}"
    assert exchange(port) == b"hello"


def test_udp(client: FRPClient) -> None:
    """A datagram comes back through a udp tunnel."""
    with socket.socket(type=socket.SOCK_DGRAM) as service, socket.socket(type=socket.SOCK_DGRAM) as visitor:
        service.bind(("127.0.0.1", 0))
        service.settimeout(10)
        visitor.settimeout(10)
        tunnel = client.expose_udp(service.getsockname()[1])
        visitor.sendto(b"ping", ("127.0.0.1", tunnel.public_port or 0))
        data, peer = service.recvfrom(100)
        service.sendto(data + b"pong", peer)
        assert visitor.recv(100) == b"pingpong"
    assert tunnel.url == f"udp://localhost:{tunnel.public_port}"


def test_path(client: FRPClient, server: FRPServer, web: int) -> None:
    """A path tunnel serves its path on the server's HTTP port and nothing else."""
    tunnel = client.expose_path(web, "/api")
    assert tunnel.url == f"http://localhost:{server.vhost_http_port}/api"
    assert get(f"{tunnel.url}/users") == f"/api/users localhost:{server.vhost_http_port}"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"http://localhost:{server.vhost_http_port}/other")


def test_two_paths_of_one_domain(client: FRPClient, web: int) -> None:
    """Several path tunnels share the server's name."""
    first, second = client.expose_path(web, "a"), client.expose_path(web, "b")
    assert get(first.url or "").startswith("/a ")
    assert get(second.url or "").startswith("/b ")


def test_http_domain(client: FRPClient, server: FRPServer, web: int) -> None:
    """An http tunnel answers to its domains, with the options that frp has for it."""
    tunnel = client.expose_http(web, custom_domains=["app.example.com"], host_header_rewrite="inner.local")
    assert tunnel.url == f"http://app.example.com:{server.vhost_http_port}"
    answer = get(f"http://127.0.0.1:{server.vhost_http_port}/x", host="app.example.com")
    assert answer == "/x inner.local"


def test_http_subdomain(frpc_path: object, frps_path: object, web: int) -> None:
    """``subdomain`` is a name below the server's own domain."""
    with (
        FRPServer(vhost_http_port=0, subdomain_host="example.com") as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
    ):
        tunnel = client.expose_http(web, subdomain="blog")
        assert tunnel.url == f"http://blog.example.com:{server.vhost_http_port}"
        assert get(f"http://127.0.0.1:{server.vhost_http_port}/", host="blog.example.com").startswith("/ ")


def test_https_passes_through(client: FRPClient, server: FRPServer) -> None:
    """An https tunnel hands the visitor's TLS to the local service as it is."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        tunnel = client.expose_https(service.getsockname()[1], custom_domains=["tls.example.com"])
        assert tunnel.url == f"https://tls.example.com:{server.vhost_https_port}"
        first: list[bytes] = []

        def take() -> None:
            connection, _ = service.accept()
            with connection:
                first.append(connection.recv(4096))

        thread = threading.Thread(target=take)
        thread.start()
        with socket.create_connection(("127.0.0.1", server.vhost_https_port or 0), timeout=10) as plain:
            context = ssl.create_default_context()
            with pytest.raises(OSError):
                context.wrap_socket(plain, server_hostname="tls.example.com")
        thread.join(10)
    assert first[0][0] == 0x16  # a TLS handshake record
    assert b"tls.example.com" in first[0]


def test_tcpmux(client: FRPClient, server: FRPServer, echo: int) -> None:
    """A tcpmux tunnel is reached by HTTP CONNECT."""
    tunnel = client.expose_tcpmux(echo, custom_domains=["mux.example.com"])
    port = server.config.tcpmux_httpconnect_port
    assert tunnel.url == f"tcpmux://mux.example.com:{port}"
    with socket.create_connection(("127.0.0.1", port or 0), timeout=10) as visitor:
        visitor.sendall(b"CONNECT mux.example.com:80 HTTP/1.1\r\nHost: mux.example.com\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += visitor.recv(1)
        assert head.startswith(b"HTTP/1.1 200")
        visitor.sendall(b"hello")
        assert visitor.recv(100) == b"hello"


def test_stcp_and_its_visitor(client: FRPClient, server: FRPServer, echo: int) -> None:
    """A secret tunnel is reached through a visitor of another client who knows the key."""
    tunnel = client.expose_stcp(echo, secret_key="s3cret", name="vault")
    assert tunnel.url is None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as other:
        visitor = other.visit_stcp("vault", port, secret_key="s3cret")
        assert visitor.status is TunnelStatus.ONLINE
        assert visitor.local_address == f"127.0.0.1:{port}"
        assert exchange(port) == b"hello"
        assert other.list_visitors() == [visitor]


def test_tunnels_of_a_user(server: FRPServer, echo: int) -> None:
    """The ``user`` of frp is part of the name on the server, not of the id here."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token, user="bob") as client:
        tunnel = client.expose_tcp(echo, name="ssh")
        assert tunnel.id == "ssh"
        assert exchange(tunnel.public_port or 0) == b"hello"
        eventually(lambda: tunnel.metrics.connection_count == 1)


def test_a_tunnel_is_a_context_manager(client: FRPClient, echo: int) -> None:
    """Leaving the block closes the tunnel, and nothing listens any more."""
    with client.expose_tcp(echo) as tunnel:
        port = tunnel.public_port or 0
        assert client.list_tunnels() == [tunnel]
    assert tunnel.status is TunnelStatus.CLOSED
    assert client.list_tunnels() == []
    eventually(lambda: not can_connect(port))


def test_tunnels_come_and_go_without_touching_others(client: FRPClient, echo: int) -> None:
    """A connection through one tunnel lives on while another is added and closed."""
    tunnel = client.expose_tcp(echo)
    with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=10) as visitor:
        for number in range(3):
            other = client.expose_tcp(echo)
            assert exchange(other.public_port or 0) == b"hello"
            other.close()
            visitor.sendall(b"%d" % number)
            assert visitor.recv(10) == b"%d" % number


def test_a_plugin_is_a_service(client: FRPClient, tmp_path: object) -> None:
    """A tunnel can end in one of frp's plugins instead of a local port."""
    from frp_wrapper.plugins import StaticFilePlugin

    (tmp_path / "hello.txt").write_text("from a file")  # type: ignore[operator]
    tunnel = client.expose_tcp(plugin=StaticFilePlugin(local_path=str(tmp_path)))
    connection = http.client.HTTPConnection("127.0.0.1", tunnel.public_port, timeout=10)
    connection.request("GET", "/hello.txt")
    assert connection.getresponse().read() == b"from a file"
    connection.close()
    assert tunnel.metrics.bytes_sent is None  # nobody measures a plugin


def test_many_tunnels(client: FRPClient, echo: int) -> None:
    """Fifty tunnels of one client all work."""
    tunnels: list[Tunnel] = [client.expose_tcp(echo) for _ in range(50)]
    assert {exchange(tunnel.public_port or 0) for tunnel in tunnels} == {b"hello"}


def can_connect(port: int) -> bool:
    """Say whether anything listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
