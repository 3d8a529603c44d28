"""Tests against real frpc and frps."""
