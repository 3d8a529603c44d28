"""The files of the page, from memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from frp_wrapper.monitoring.web_api.faults import ApiError

__all__ = ["WEB", "Assets"]

WEB = Path(__file__).parents[1] / "web"
"""``index.html`` is served as ``/``, every other file ``X`` here as ``/assets/X``."""
_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_LEAST_SAVED = 0.9
"""Files that compression makes hardly smaller are sent as they are."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to send."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str


class Assets:
    """Reads all files once.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path = WEB) -> None:
        self._files = {name: _read(file) for name, file in _walk(folder)}

    def answer(self, name: str, headers: Mapping[str, str]) -> Response:
        """Give the answer to a request for a file.

        Args:
            name: Its path below the folder.
            headers: Of the request.

        Raises:
            ApiError: There is no such file.
        """
        asset = self._files.get(name)
        if asset is None:
            raise ApiError(404, "not_found", "the page has no such file", "Reload the page.")
        answer_headers = {"etag": asset.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if asset.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=answer_headers)
        content = asset.content
        if asset.compressed is not None and "gzip" in headers.get("accept-encoding", ""):
            content = asset.compressed
            answer_headers["content-encoding"] = "gzip"
        return Response(content, headers=answer_headers | {"content-type": asset.media_type})


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), file


def _read(file: Path) -> Asset:
    content = file.read_bytes()
    compressed = gzip.compress(content, mtime=0)
    media_type = _TYPES.get(file.suffix, "application/octet-stream")
    is_worth_it = len(compressed) < _LEAST_SAVED * len(content)
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return Asset(content, compressed if is_worth_it else None, media_type, etag)
