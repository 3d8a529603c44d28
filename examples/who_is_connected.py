"""A server, a client and a visitor in one process: who is connected, and what have they fetched?"""

import socket
import threading
import time

from frp_wrapper import FRPClient, FRPServer


def greet(service: socket.socket) -> None:
    while True:
        try:
            connection, _ = service.accept()
        except OSError:
            return
        connection.sendall(b"hello\n" * 1000)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        threading.Thread(target=greet, args=(service,), daemon=True).start()
        with (
            FRPServer() as server,
            FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        ):
            tunnel = client.expose_tcp(service.getsockname()[1], meter="relay")
            with socket.create_connection(("127.0.0.1", tunnel.public_port)) as visitor:
                visitor.recv(100)
                time.sleep(0.5)
                for connection in tunnel.connections():
                    print(
                        connection.visitor,
                        "got",
                        connection.bytes_sent,
                        "bytes in",
                        f"{connection.duration:.1f} s",
                    )


if __name__ == "__main__":
    main()
