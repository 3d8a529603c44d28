"""The asyncio face does what the client does, without blocking the loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from frp_wrapper import AsyncFRPClient, AuthenticationError, FRPServer, TunnelStatus
from tests.integration.conftest import exchange

pytestmark = pytest.mark.integration


def test_tunnels_at_once(server: FRPServer, frpc_path: object, echo: int) -> None:
    """Several tunnels are opened at the same time, used, and closed with the client."""

    async def run() -> None:
        async with AsyncFRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
            tunnels = await asyncio.gather(*(client.expose_tcp(echo) for _ in range(5)))
            answers = [await asyncio.to_thread(exchange, tunnel.public_port or 0) for tunnel in tunnels]
            assert answers == [b"hello"] * 5
            await client.close_tunnel(tunnels[0])
            assert len(client.client.list_tunnels()) == 4
        assert tunnels[1].status is TunnelStatus.CLOSED

    asyncio.run(run())


def test_the_loop_goes_on_while_it_waits(server: FRPServer, frpc_path: object) -> None:
    """Other coroutines run while a login is waited for, and its error arrives."""

    async def tick(ticks: list[float]) -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async def run() -> list[float]:
        ticks: list[float] = []
        ticking = asyncio.create_task(tick(ticks))
        with pytest.raises(AuthenticationError):
            await AsyncFRPClient("localhost", server.bind_port, auth_token="wrong").connect()
        ticking.cancel()
        return ticks

    assert len(asyncio.run(run())) >= 3
