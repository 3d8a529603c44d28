"""Reads a client and its tunnels from a file: our own ``tunnels.toml``, or an ``frpc.toml``/``.json``/``.ini`` of frp."""

from frp_wrapper.files.load import load
from frp_wrapper.files.setup import Setup

__all__ = ["Setup", "load"]
