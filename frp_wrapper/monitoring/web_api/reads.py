"""The routes that only show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.history import SERIES, TIERS
from frp_wrapper.monitoring.log_ring import LEVELS
from frp_wrapper.monitoring.web_api.assets import Assets
from frp_wrapper.monitoring.web_api.encode import encode
from frp_wrapper.monitoring.web_api.exposition import families, media_type
from frp_wrapper.monitoring.web_api.faults import ApiError
from frp_wrapper.monitoring.web_api.guard import Guard
from frp_wrapper.monitoring.web_api.openapi import document
from frp_wrapper.monitoring.web_api.runtime import Runtime
from frp_wrapper.monitoring.web_api.snapshot import Steps
from frp_wrapper.monitoring.web_api.views import connection_views, event_view, tunnel_view, usage_view
from frp_wrapper.tunnel import Tunnel

__all__ = ["Reads", "json_response"]

MAX_LIMIT = 1000
MAX_IDS = 100
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_SERVER_PATIENCE = 1.0
"""Seconds to wait for frps's own counters; then those of before are shown."""
_LONGEST_RANGE = TIERS[-1].step * TIERS[-1].points


def json_response(body: bytes, status: int = 200) -> Response:
    """Give a JSON answer."""
    return Response(body, status, media_type="application/json")


class Reads:
    """The handlers; each takes a request that has been let through.

    Args:
        runtime: What is shown.
        assets: The page.
        guard: Knows the token.
    """

    def __init__(self, runtime: Runtime, assets: Assets, guard: Guard) -> None:
        self._runtime = runtime
        self._assets = assets
        self._guard = guard

    async def page(self, request: Request) -> Response:
        """``/``: the page; with ``?token=`` the token becomes a cookie, and goes from the address."""
        token = request.query_params.get("token")
        if token is None:
            return self._assets.answer("index.html", request.headers)
        if not self._guard.is_token(token):
            return RedirectResponse("?refused", 303)
        answer = RedirectResponse(str(request.scope.get("root_path", "")) + "/", 303)
        answer.raw_headers.append((b"set-cookie", self._guard.cookie(request.scope)))
        return answer

    async def asset(self, request: Request) -> Response:
        """``/assets/{path}``."""
        return self._assets.answer(request.path_params["path"], request.headers)

    async def healthz(self, request: Request) -> Response:
        """``/healthz``: this process answers."""
        return json_response(b'{"status":"ok"}')

    async def readyz(self, request: Request) -> Response:
        """``/readyz``: the client is logged in and every tunnel is online."""
        client = self._runtime.client
        reasons = [] if client.is_connected() else ["the client is not connected"]
        reasons += [
            f"tunnel {tunnel.id} is {tunnel.status.value}"
            for tunnel in client.list_tunnels()
            if tunnel.status.value != "online"
        ]
        body = encode({"ready": not reasons, "reasons": reasons[:MAX_IDS]})
        return json_response(body, 503 if reasons else 200)

    async def status(self, request: Request) -> Response:
        """``/api/status``."""
        return json_response(await self._runtime.status.get())

    async def tunnels(self, request: Request) -> Response:
        """``/api/tunnels``."""
        return json_response(await self._runtime.tunnels.get())

    async def tunnel(self, request: Request) -> Response:
        """``/api/tunnels/{id}``."""
        tunnel = self.find(request)
        counters = await self._runtime.call(lambda: tunnel.server_counters(_SERVER_PATIENCE))
        view = tunnel_view(tunnel, tunnel.metrics) | {"server_counters": counters}
        return json_response(encode(view))

    async def connections(self, request: Request) -> Response:
        """``/api/tunnels/{id}/connections``."""
        tunnel = self.find(request)
        return json_response(encode(await self._runtime.call(lambda: connection_views(tunnel))))

    async def usage(self, request: Request) -> Response:
        """``/api/tunnels/{id}/usage``."""
        tunnel = self.find(request)
        return json_response(encode(await self._runtime.call(lambda: usage_view(tunnel))))

    async def history(self, request: Request) -> Response:
        """``/api/tunnels/{id}/metrics``."""
        tunnel_id = self.find(request).id
        seconds, chart = self._chart(request, [tunnel_id], SERIES)
        return json_response(
            encode(
                {
                    "tunnel_id": tunnel_id,
                    "range": seconds,
                    "step": chart.step,
                    "time": chart.time,
                    "series": chart.tunnels[tunnel_id],
                }
            )
        )

    async def histories(self, request: Request) -> Response:
        """``/api/metrics``: the charts of many tunnels at once."""
        ids = request.query_params.get("ids", "").split(",")
        if len(ids) > MAX_IDS or not all(_NAME.match(name) for name in ids):
            raise _bad_query("ids", f"names of 1 to {MAX_IDS} tunnels with commas between them")
        series = request.query_params.get("series", ",".join(SERIES)).split(",")
        if len(series) > len(SERIES) or not set(series) <= set(SERIES):
            raise _bad_query("series", f"some of {', '.join(SERIES)}")
        seconds, chart = self._chart(request, ids, tuple(series))
        body = {"range": seconds, "step": chart.step, "time": chart.time, "tunnels": chart.tunnels}
        return json_response(encode(body))

    async def events(self, request: Request) -> Response:
        """``/api/events``."""
        query = request.query_params
        wanted = choice(query, "type", tuple(kind.value for kind in EventType))
        tunnel_id = query.get("tunnel_id")
        after = number(query, "after", 0, 0, 2**63 - 1)
        limit = number(query, "limit", MAX_LIMIT, 1, MAX_LIMIT)
        known = self._runtime.client.events.history(EventType(wanted) if wanted else None, after=after)
        meant = [event for event in known if tunnel_id in (None, event.data.get("tunnel_id"))][-limit:]
        body = {
            "events": [event_view(event) for event in meant],
            "first_id": meant[0].id if meant else None,
            "last_id": meant[-1].id if meant else None,
        }
        return json_response(encode(body))

    async def alerts(self, request: Request) -> Response:
        """``/api/alerts``."""
        return json_response(encode(self._runtime.alerts.view()))

    async def logs(self, request: Request) -> Response:
        """``/api/logs``."""
        query = request.query_params
        limit = number(query, "limit", 200, 1, MAX_LIMIT)
        ring = self._runtime.client.log_lines
        lines = ring.lines(
            level=choice(query, "level", LEVELS) or "trace",
            tunnel_id=query.get("tunnel_id"),
            text=query.get("q", ""),
            before=number(query, "before", 2**63 - 1, 0, 2**63 - 1),
            limit=limit + 1,
        )
        more = len(lines) > limit
        return json_response(encode({"lines": lines[-limit:], "more": more, "dropped": ring.dropped}))

    async def metrics(self, request: Request) -> Response:
        """``/metrics``: for Prometheus."""
        steps = Steps(hurry=True)
        snapshot = await self._runtime.snapshots.take(steps)
        media = media_type(request.headers.get("accept", ""))
        pieces = []
        for piece in families(snapshot, self._runtime, media):
            pieces.append(piece)
            await steps.pause()
        return Response(b"".join(pieces), headers={"content-type": media})

    async def openapi(self, request: Request) -> Response:
        """``/openapi.json``."""
        return json_response(encode(document(str(request.scope.get("root_path", "")))))

    def find(self, request: Request) -> Tunnel:
        """Give the tunnel that a path names.

        Raises:
            ApiError: There is none.
        """
        wanted = request.path_params["id"]
        for tunnel in self._runtime.client.list_tunnels():
            if tunnel.id == wanted:
                return tunnel
        raise ApiError(
            404, "not_found", "there is no tunnel of this name", "GET api/tunnels lists those that are open."
        )

    def _chart(self, request: Request, ids: list[str], series: tuple[str, ...]) -> Any:
        query = request.query_params
        seconds = number(query, "range", 300, 60, _LONGEST_RANGE)
        step = number(query, "step", 0, 0, 3600) or None
        now = self._runtime.now()
        return seconds, self._runtime.history.chart(ids, seconds, now, step=step, series=series)


def number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Give a whole number of the query.

    Raises:
        ApiError: It is none, or out of its range.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and least <= int(text) <= most):
        raise _bad_query(name, f"a whole number from {least} to {most}")
    return int(text)


def choice(query: Mapping[str, str], name: str, words: tuple[str, ...]) -> str | None:
    """Give a word of the query; None: it is not there.

    Raises:
        ApiError: It is none of the words.
    """
    word = query.get(name)
    if word is not None and word not in words:
        raise _bad_query(name, f"one of {', '.join(words)}")
    return word


def _bad_query(name: str, meant: str) -> ApiError:
    return ApiError(400, "bad_query", f"{name} must be {meant}", f"Correct {name}, or leave it out.")
