"""A real Prometheus scrapes a real client."""

from __future__ import annotations

import json
import shutil
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from frp_wrapper import FRPClient, MonitoringDashboard
from frp_wrapper.frp.frpc import free_port
from tests.integration.conftest import eventually, exchange
from tests.processes import start

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="there is no prometheus on PATH"),
]

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: tunnels
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def query(port: int, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url, timeout=5) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result


def test_prometheus_knows_what_the_client_knows(client: FRPClient, echo: int, tmp_path: Path) -> None:
    """What Prometheus has scraped are the tunnel's own numbers, under its name and type; and they end with it."""
    tunnel = client.expose_tcp(echo, name="web")
    for _ in range(3):
        exchange(tunnel.public_port or 0, b"x" * 1000)
    eventually(lambda: tunnel.metrics.bytes_sent == 3000)
    dashboard = MonitoringDashboard(client)
    dashboard.start(port=0)
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(token=dashboard.token, port=dashboard.port))
    options = {"config.file": config, "storage.tsdb.path": tmp_path / "data"}
    options["web.listen-address"] = f"127.0.0.1:{port}"
    process = start("prometheus", *(f"--{name}={value}" for name, value in options.items()))
    try:
        eventually(lambda: query(port, "frp_wrapper_tunnel_bytes_sent_total"), timeout=30)
        (sample,) = query(port, "frp_wrapper_tunnel_bytes_sent_total")
        assert sample["value"][1] == "3000"
        assert (sample["metric"]["tunnel"], sample["metric"]["type"]) == ("web", "tcp")
        assert query(port, "frp_wrapper_client_connected")[0]["value"][1] == "1"
        tunnel.close()
        eventually(lambda: not query(port, "frp_wrapper_tunnel_bytes_sent_total"), timeout=30)
    finally:
        process.terminate()
        process.wait(10)
        dashboard.stop()
