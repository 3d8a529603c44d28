"""Share a local port until Ctrl-C: ``python share_a_port.py 3000 frp.example.com TOKEN [PORT]``."""

import contextlib
import sys
import time

from frp_wrapper import FRPClient


def main(local_port: int, server: str, token: str, port: int = 7000) -> None:
    with FRPClient(server, port, auth_token=token) as client:
        tunnel = client.expose_tcp(local_port)
        print(tunnel.url, flush=True)
        while True:
            time.sleep(2)
            metrics = tunnel.metrics
            print(f"{metrics.open_connections} open, {metrics.bytes_sent} bytes sent", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(int(sys.argv[1]), *sys.argv[2:4], *(int(part) for part in sys.argv[4:5]))
