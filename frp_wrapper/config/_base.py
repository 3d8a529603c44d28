"""What the configurations have in common."""

from __future__ import annotations

from typing import Literal

LogLevel = Literal["trace", "debug", "info", "warn", "error"]

STRICT = {"extra": "forbid", "revalidate_instances": "always"}
"""An unknown key in a file is a mistake, not something to ignore; and a dataclass by itself checks no types."""
