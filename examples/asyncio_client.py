"""The same in asyncio: a server, a client, two tunnels at once."""

import asyncio

from frp_wrapper import AsyncFRPClient, FRPServer


async def main() -> None:
    with FRPServer(vhost_http_port=0) as server:
        async with AsyncFRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
            tcp, path = await asyncio.gather(client.expose_tcp(3000), client.expose_path(3000, "/api"))
            print(tcp.url, path.url)


if __name__ == "__main__":
    asyncio.run(main())
