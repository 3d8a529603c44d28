"""The routes that change something; all need the token, and none is answered to another site's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.files.own import tunnel_table
from frp_wrapper.files.setup import make_tunnel
from frp_wrapper.monitoring.web_api.bodies import only, optional_text, positive_number, read_object
from frp_wrapper.monitoring.web_api.encode import encode
from frp_wrapper.monitoring.web_api.faults import ApiError, of_frp_error
from frp_wrapper.monitoring.web_api.reads import Reads, json_response
from frp_wrapper.monitoring.web_api.runtime import Runtime
from frp_wrapper.monitoring.web_api.views import tunnel_view
from frp_wrapper.tunnel import Tunnel, generated_name

__all__ = ["Writes"]

LONGEST_SILENCE = 30 * 24 * 3600
T = TypeVar("T")


class Writes:
    """The handlers; each takes a request that has been let through.

    Args:
        runtime: What is changed.
        reads: Finds tunnels.
    """

    def __init__(self, runtime: Runtime, reads: Reads) -> None:
        self._runtime = runtime
        self._find = reads.find

    async def add_tunnel(self, request: Request) -> Response:
        """``POST /api/tunnels``: open a tunnel, and do not wait for the server's answer."""
        body = await read_object(request)
        if "plugin" in body:
            raise ApiError(
                403,
                "plugin_refused",
                "a tunnel with a plugin cannot be opened here: it may reach all of this machine",
                "Open it from Python, or from the file of tunnels.",
            )
        config = await self._do(lambda: self._tunnel_config(body))
        tunnel = await self._do(lambda: self._runtime.client.expose(config, wait=False))
        return _tunnel_response(tunnel, 201)

    async def close_tunnel(self, request: Request) -> Response:
        """``DELETE /api/tunnels/{id}``."""
        tunnel = self._find(request)
        await self._do(tunnel.close)
        return Response(status_code=204)

    async def restart_tunnel(self, request: Request) -> Response:
        """``POST /api/tunnels/{id}/restart``: take it down and open it again."""
        tunnel = self._find(request)
        await self._do(lambda: self._runtime.client.restart(tunnel))
        return _tunnel_response(tunnel, 202)

    async def silence(self, request: Request) -> Response:
        """``POST /api/silences``."""
        body = await read_object(request)
        only(body, "seconds", "rule", "tunnel_id")
        seconds = positive_number(body, "seconds", LONGEST_SILENCE)
        view = self._runtime.alerts.silence(
            seconds, optional_text(body, "rule"), optional_text(body, "tunnel_id")
        )
        return json_response(encode(view), 201)

    async def end_silence(self, request: Request) -> Response:
        """``DELETE /api/silences/{id}``."""
        if not self._runtime.alerts.end_silence(request.path_params["id"]):
            raise ApiError(
                404, "not_found", "there is no such silence", "GET api/alerts lists those that hold."
            )
        return Response(status_code=204)

    def _tunnel_config(self, body: dict[str, object]) -> TunnelConfig:
        table = dict(body)
        name = table.pop("name", None)
        port = table.get("local_port")
        made_up = generated_name(str(table.get("type", "http")), port if isinstance(port, int) else None)
        return make_tunnel(
            tunnel_table(made_up if name is None else name, table, self._runtime.client.server)
        )

    async def _do(self, action: Callable[[], T]) -> T:
        """Run what waits for frpc on a thread, and answer for what it raises."""
        try:
            return await self._runtime.call(action)
        except FRPError as exc:
            raise of_frp_error(exc) from exc


def _tunnel_response(tunnel: Tunnel, status: int) -> Response:
    return json_response(encode(tunnel_view(tunnel, tunnel.metrics)), status)
