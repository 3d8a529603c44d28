"""The description is true: requests made from it get the answers that it promises, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from frp_wrapper.errors import AuthenticationError
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.server_counters import ServerCounters
from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from frp_wrapper.monitoring.web_api.openapi import document
from tests.monitoring.dashboards import TOKEN, StandIn, record, running

schema = schemathesis.openapi.from_dict(document("")).exclude(
    path="/api/stream"
)  # it does not end; see test_dashboard_stream


@schema.auth()
class Token:
    """Sends the token where a request is not meant to go without."""

    def get(self, case: schemathesis.Case, context: object) -> str:
        """Give it."""
        return TOKEN

    def set(self, case: schemathesis.Case, data: str, context: object) -> None:
        """Send it."""
        case.headers["Authorization"] = f"Bearer {data}"


EXCLUDED = {
    "/api/tunnels": [
        positive_data_acceptance
    ],  # which options go together is more than a JSON schema can say
    "/api/silences": [positive_data_acceptance],  # a rule must be one of the monitor's
    "/readyz": [not_a_server_error],  # 503 is what it is for
}


@pytest.fixture
def dashboard() -> Iterator[MonitoringDashboard]:
    """Give the dashboard of a client that has something of everything."""
    client = StandIn("web", "db")
    now = datetime.now(UTC)
    client.meters["web"].open = [Connection("192.0.2.1:5", now, None, 1, None)]
    client.meters["web"].closed = [Connection(None, now, now, None, None, "127.0.0.1:6", "refused")]
    for level in ("debug", "info", "error"):
        client.log_lines.add(record("detail", level, level, "web"))
    client.server_api = object()
    client.server_counters_error = AuthenticationError(
        "wrong", reason="server_dashboard_auth", hint="Correct it."
    )
    client.counted_by_frps["web"] = ServerCounters(9, 7, None, "11-25 15:41:15", None, now)
    client.session.log_out("server_lost")
    with running(client) as dashboard:
        dashboard.monitor.check_now()
        dashboard.monitor.silence(3600, rule="tunnel_down")
        yield dashboard


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_description_is_true(case: schemathesis.Case, dashboard: MonitoringDashboard) -> None:
    """Every operation answers what it may: no status, type or shape that is not described, and nothing without the token."""
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{dashboard.port}",
        timeout=20,
        excluded_checks=EXCLUDED.get(case.path, []),
    )
