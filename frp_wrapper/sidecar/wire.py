"""The frames on the control socket between the host and its sidecar.

A frame is a kind byte, a length of four bytes (big endian) and the payload: ``J`` carries a JSON object, ``O`` raw
output of the program. Output stays raw because it is hostile text that may be no valid UTF-8, and because a busy
program writes much of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

_HEADER = struct.Struct("!cI")
_JSON = b"J"
_OUTPUT = b"O"
MAX_FRAME = 4 << 20
"""Bytes of payload a frame may have; more means the other side is broken."""

Message = dict[str, Any]


class WireError(Exception):
    """The other side sent something that is not a frame."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Give the frame of a control message."""
    payload = json.dumps(message).encode()
    return _HEADER.pack(_JSON, len(payload)) + payload


def encode_output(chunk: bytes) -> bytes:
    """Give the frame of raw program output."""
    return _HEADER.pack(_OUTPUT, len(chunk)) + chunk


class Decoder:
    """Turns received bytes into messages; holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message | bytes]:
        """Give the frames that are complete now: a dict is a control message, bytes are output.

        Raises:
            WireError: The stream is not in frames, or a frame is over `MAX_FRAME` bytes.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise WireError(f"a frame of {length} bytes is over the limit of {MAX_FRAME}")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield _decode(kind, payload)


def _decode(kind: bytes, payload: bytes) -> Message | bytes:
    if kind == _OUTPUT:
        return payload
    if kind != _JSON:
        raise WireError(f"unknown kind of frame {kind!r}")
    try:
        message = json.loads(payload)
    except ValueError as exc:
        raise WireError(f"a control frame is not JSON: {exc}") from exc
    if not isinstance(message, dict):
        raise WireError("a control frame is not an object")
    return message
