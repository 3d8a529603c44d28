"""A local mirror of frp's releases, which can misbehave."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def archive(version: str, platform: str, *, padding: int = 0, says: str | None = None) -> bytes:
    """Make a release: scripts that print their version, and a member that climbs out, which nobody asked for."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as tar:
        for program in ("frpc", "frps"):
            script = f"#!/bin/sh\necho {says or version}\n".encode()
            add(tar, f"frp_{version}_{platform}/{program}", script)
        add(tar, "../../climbed", b"out")
        add(tar, f"frp_{version}_{platform}/padding", noise(padding))
    return content.getvalue()


def noise(size: int) -> bytes:
    """Give bytes that do not compress."""
    return b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(size // 32))


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o755
    tar.addfile(member, io.BytesIO(content))


@dataclass
class Mirror:
    """What the server gives, and what it was asked."""

    content: bytes
    url: str = ""
    break_after: int | None = None
    """Close the connection after so many bytes, once."""
    pause: float = 0.0
    """Seconds between pieces."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request."""


@contextmanager
def serve(mirror: Mirror) -> Iterator[Mirror]:
    """Run a mirror on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            mirror.ranges.append(asked)
            start = int(match[1]) if asked and (match := re.match(r"bytes=(\d+)-", asked)) else 0
            body = mirror.content[start:]
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._send(body)

        def _send(self, body: bytes) -> None:
            limit, mirror.break_after = mirror.break_after, None
            body = body if limit is None else body[:limit]
            try:
                for position in range(0, len(body), 65536):
                    self.wfile.write(body[position : position + 65536])
                    time.sleep(mirror.pause)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
