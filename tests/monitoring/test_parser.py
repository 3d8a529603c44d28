"""The parser reads what frp prints, of all versions, and nothing else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frp_wrapper.monitoring.parser import OutputParser
from tests.monitoring import frp_lines
from tests.monitoring.frp_lines import LAYOUTS, PREFIXES, RUN_ID, WRAPPINGS

HEADER = "2026-01-02 03:04:05.678 [I] [client/control.go:172] "
KEYS = {"type", "timestamp", "time", "level", "caller", "run_id", "tunnel_id", "message", "program"}


def parse(line: str, program: str | None = None) -> dict[str, Any]:
    """Parse a line that must be frp's."""
    record = OutputParser(program).parse_line(line)
    assert record is not None
    return record


def holds(record: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Say whether a record has these values."""
    return {key: record.get(key) for key in expected} == dict(expected)


def test_the_patterns_of_the_specification() -> None:
    """The three patterns give type, timestamp, tunnel and their own fields."""
    connected = parse("[2024-01-01 10:00:00] [I] [proxy] [web] proxy started")
    assert (connected["type"], connected["timestamp"], connected["tunnel_id"]) == (
        "tunnel_connected", "2024-01-01 10:00:00", "web",
    )  # fmt: skip
    failed = parse("[2024-01-01 10:00:00] [E] [proxy] [web] port already used")
    assert holds(failed, {"type": "tunnel_error", "error": "port already used", "level": "error"})
    assert failed["reason"] == "port_in_use"
    traffic = parse("[2024-01-01 10:00:00] [I] [proxy] [web] in:1024 out:2048")
    assert holds(traffic, {"type": "traffic_stats", "bytes_in": 1024, "bytes_out": 2048})
    assert set(OutputParser.PATTERNS) == {"tunnel_connected", "tunnel_error", "traffic_stats"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"2026-07-01 10:00:00.123 [I] [client/control.go:172] [{RUN_ID}] [ssh] start proxy success",
            {"type": "tunnel_connected", "tunnel_id": "ssh", "run_id": RUN_ID, "level": "info", "program": "frpc"},
        ),
        (
            f"2023/07/01 10:00:00 [W] [control.go:179] [{RUN_ID}] [ssh] start error: port already used",
            {"type": "tunnel_error", "tunnel_id": "ssh", "error": "port already used", "reason": "port_in_use"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [client/service.go:332] [{RUN_ID}] login to server success, get run id [{RUN_ID}]",
            {"type": "client_connected", "run_id": RUN_ID, "tunnel_id": None},
        ),
        (
            "2026-07-01 10:00:00.123 [W] [client/service.go:319] connect to server error: dial tcp 127.0.0.1:1: connect: connection refused",
            {"type": "login_failed", "error": "dial tcp 127.0.0.1:1: connect: connection refused", "reason": "server_unreachable"},
        ),
        (
            "2023/07/01 10:00:00 [W] [service.go:212] reconnect to server error: EOF, wait 1m2.5s for another retry",
            {"type": "login_failed", "error": "EOF", "wait": 62.5, "reason": "server_closed"},
        ),
        (
            "2023/07/01 10:00:00 [E] [service.go:295] token in login doesn't match token from configuration",
            {"type": "login_rejected", "error": "token in login doesn't match token from configuration", "reason": "auth_failed"},
        ),
        (
            "2019/07/01 10:00:00 [W] [service.go:298] authorization failed",
            {"type": "client_login_rejected", "reason": "auth_failed"},
        ),
        (
            "2017/07/01 10:00:00 [W] [control.go:172] [0123456789abcdef] timeout trying to get work connection",
            {"type": "connection_error", "tunnel_id": None},
        ),
        (
            f"2026-07-01 10:00:00.123 [D] [proxy/proxy.go:204] [{RUN_ID}] [web] join connections, localConn(l[127.0.0.1:5] r[127.0.0.1:80]) workConn(l[1.1.1.1:2] r[3.3.3.3:4])",
            {"type": "connection_opened", "tunnel_id": "web", "local_addr": "127.0.0.1:5", "service_addr": "127.0.0.1:80"},
        ),
        (
            f"2026-07-01 10:00:00.123 [E] [proxy/proxy.go:190] [{RUN_ID}] [web] connect to local service [127.0.0.1:80] error: dial tcp 127.0.0.1:80: connect: connection refused",
            {"type": "connection_error", "local_host": "127.0.0.1", "local_port": 80, "reason": "local_service_down"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [proxy/tcp.go:88] [{RUN_ID}] [bob.web] tcp proxy listen port [6000]",
            {"type": "tunnel_listening", "remote_port": 6000, "program": "frps", "tunnel_id": "bob.web"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [proxy/http.go:88] [{RUN_ID}] [web] http proxy listen for host [a.example.com] location [/x]",
            {"type": "tunnel_listening", "domain": "a.example.com", "location": "/x"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [proxy/proxy.go:115] [{RUN_ID}] [web] get a user connection [203.0.113.9:51234]",
            {"type": "connection_opened", "visitor": "203.0.113.9:51234"},
        ),
        (
            f"2026-07-01 10:00:00.123 [W] [proxy/proxy.go:115] [{RUN_ID}] [web] failed to send message to work connection from pool: EOF, times: 2",
            {"type": "connection_error", "attempt": 2, "error": "EOF"},
        ),
        (
            "2026-07-01 10:00:00.123 [I] [server/service.go:249] frps tcp listen on 0.0.0.0:7000",
            {"type": "server_listening", "address": "0.0.0.0:7000", "port": 7000},
        ),
        (
            '2026-07-01 10:00:00.123 [I] [client/config_manager.go:196] store: created visitor "web"',
            {"type": "store_changed", "tunnel_id": "web"},
        ),
        (
            f"2026-07-01 10:00:00.123 [W] [visitor/visitor_manager.go:140] [{RUN_ID}] start error: listen tcp 127.0.0.1:5: bind: address already in use",
            {"type": "visitor_error", "error": "listen tcp 127.0.0.1:5: bind: address already in use", "tunnel_id": None},
        ),
        (
            f"2026-07-01 10:00:00.123 [T] [xlog/log_writer.go:48] [{RUN_ID}] [ERR] yamux: keepalive failed: i/o deadline reached",
            {"type": "transport_detail", "tunnel_id": None},
        ),
        (
            "2016/12/14 15:22:16 [control.go:135] [E] ProxyName [web], connect to server [203.0.113.5:7000] error, dial tcp: EOF",
            {"type": "login_failed", "tunnel_id": "web", "server_port": 7000, "level": "error"},
        ),
        (
            "2017/10/07 16:45:26 [main.go:143] [E] Create server listener error, listen tcp :7000: bind: address already in use",
            {"type": "config_error", "reason": "port_in_use", "program": "frps"},
        ),
        (
            "login to the server failed: EOF. With loginFailExit enabled, no additional retries will be attempted",
            {"type": "login_failed_exit", "error": "EOF", "timestamp": None, "level": "error"},
        ),
        ("2018/01/07 21:05:26 [I] [control.go:437] [0123456789abcdef] try to register proxy [web]", {"type": "detail", "tunnel_id": "web"}),
        ("2017/12/07 21:05:26 [I] [control.go:120] [web_visitor] start vistor success", {"type": "visitor_started", "tunnel_id": "web_visitor"}),
        ("2024/02/22 15:08:05 [W] [control.go:170] [token-6e447a2e] [web] 启动失败", {"type": "detail", "tunnel_id": "web", "run_id": "token-6e447a2e"}),
        ("Frpc    | Error: unknown command \"./frpc\" for \"frpc\"", {"type": "config_error", "program": "frpc"}),
        ("Error: open ./frpc.ini: no such file or directory", {"type": "config_error", "path": "./frpc.ini"}),
        ("open ./frpc.ini: The system cannot find the file specified.", {"type": "config_error", "path": "./frpc.ini"}),
        ("2022/01/02 03:04:05 [D] [control.go:190] [0123456789abcdef] new work connection          registered", {"type": "work_connection"}),
        ("panic during panic", {"type": "panic"}),
        ("SIGILL: illegal instruction", {"type": "panic"}),
        ("PC=0x47a6cc m=0 sigcode=128", {"type": "panic"}),
        ("r0   0x0  r1   0x4  r2   0x1", {"type": "panic"}),
        ("frps  | invalid INI syntax on line 12: ]", {"type": "config_error", "line": 12}),
        ("2017/04/02 03:04:05 [metric.go:60] [I] ProxyName [web], type http listen for host [a.example] location []", {"type": "tunnel_listening", "tunnel_id": "web", "domain": "a.example"}),
        ("11월 11 15:16:24 host frps[57]: create server listener error, listen tcp :7000: bind: address already in use", {"type": "config_error"}),
        ("dial tcp: lookup frps.example on [::1]:53: read udp [::1]:39775->[::1]:53: read: connection refused", {"type": "login_failed_exit", "server_host": "frps.example"}),
        ("2019/01/02 03:04:05 [I] [visitor_manager.go:72] [web_visitor] start visitor success", {"type": "visitor_started", "tunnel_id": "web_visitor", "run_id": None}),
        ("2018/03/07 21:05:26 [W] [proxy_manager.go:248] [web_visitor] start error: EOF", {"type": "visitor_error", "tunnel_id": "web_visitor"}),
        ("visitor ssh: bind port is required", {"type": "config_error", "tunnel_id": "ssh"}),
        ('unmarshal ProxyConfig error: json: unknown field "tls"', {"type": "config_error", "reason": "config_invalid"}),
        ("panic: runtime error: index out of range", {"type": "panic", "level": "error"}),
        ("github.com/fatedier/frp/client.(*Service).Run()", {"type": "panic"}),
        (f"2021/04/21 12:48:42 [E] [control.go:325] [{RUN_ID}] goroutine 7 [running]:", {"type": "panic"}),
        ('"Parse conf error: proxy [web] local_port not found"', {"tunnel_id": "web", "error": "local_port not found"}),
        ("x509: certificate is not valid for any names", {"type": "login_failed_exit", "reason": "tls_error"}),
        ("lookup frp.example.com: no such host", {"type": "login_failed_exit", "reason": "unknown_host"}),
        ("lookup frp.example.com on 203.0.113.53:53: no such host", {"type": "login_failed_exit", "server_host": "frp.example.com"}),
        ("2018/05/01 10:00:00 [ERR] yamux: keepalive failed: i/o deadline reached", {"type": "transport_detail"}),
        ("[0mlogin to the server failed: EOF. With loginFailExit enabled, no additional retries will be attempted", {"error": "EOF"}),
        ("frps[12]: 2021/06/01 10:00:00 http: Accept error: accept tcp [::]:80: accept4: too many open files; retrying in 1s",
            {"type": "detail", "program": "frps"}),
        ("2021/02/01 10:00:00 [I] [proxy.go:159] 6789abcdef] [web] listener is closed", {"type": "tunnel_closed", "tunnel_id": "web"}),
        ("2021/10/06 11:09:41 http: Accept error: accept tcp [::]:80: accept4: too many open files; retrying in 5ms",
         {"type": "detail", "wait": 0.005}),
    ],
)  # fmt: skip
def test_lines_of_all_eras(line: str, expected: dict[str, Any]) -> None:
    """Lines of programs of all eras give type, tunnel, reason and fields."""
    record = parse(line)
    assert holds(record, expected)
    assert record.keys() >= KEYS


@pytest.mark.parametrize(
    ("line", "kind", "tunnel"),
    [
        ("020/11/28 07:10:22 [I] [proxy.go:103] [0123456789abcdef] [web] get a new work connection: [203.0.113.9:1]",
         "work_connection", "web"),
        ("11:46:36.481 [I] [client/service.go:295] try to connect to server...", "connecting", None),
        ("[W] [service.go:104] login to server failed: i/o deadline reached", "login_failed", None),
        ("[service.go:128] login to server failed: EOF^[[0m", "login_failed", None),
        ("\u2190[0mlogin to server failed: EOF\u2190[0m", "login_failed", None),
        ("\ufffd[1;34m2026-01-02 03:04:05.678 [I] [client/service.go:295] try to connect to server...\ufffd[0m", "connecting", None),
        ("ice.go:128] login to server failed: EOF", "login_failed", None),
        ("[control.go:214][W] ProxyName [ssh] is not exist", "client_login_rejected", "ssh"),
        ("2016/12/14 15:22:16 [control.go:9] [W] ProxyName [web], this proxy is already working now", "tunnel_error", "web"),
        ("[root.go:206 ]frps uses command line arguments for config", "server_starting", None),
        ("[I] [control, go\uff1a143] [rdp] start proxy success", "tunnel_connected", "rdp"),
        ("2019/03/06 20:11:18 [I] [proxy_manager. go:137] [*****] proxy added\uff1a [rdp]", "tunnels_added", None),
        ("> [I] [client/control.go:170] [0123456789abcdef] [web] start proxy success", "tunnel_connected", "web"),
        ("[ssh] get a user connection [203.0.113.9:33026]", "connection_opened", "ssh"),
        (" [ssh] start error: acquire port 22 error: port unavailable", "tunnel_error", "ssh"),
        ("[[proxies]] start proxy success", "tunnel_connected", "[proxies]"),
        ("login to server success", "client_connected", None),
        ("[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x4dfea0]", "panic", None),
        (f"{HEADER}[{RUN_ID}] [ssh] start proxy success" + " " * 80, "tunnel_connected", "ssh"),
        ("login to the server failed: connection wr", "login_failed_exit", None),
        ("WARNING: ini format is deprecated and the support wi", "config_warning", None),
        ('"start error: status not wait start"', "tunnel_error", None),
        ("    '[web] start error: router config conflict',", "tunnel_error", "web"),
        (f"{HEADER}[xxxxx] start visitor success", "visitor_started", None),
        (f"{HEADER}[{RUN_ID}] login to server success, get run", "client_connected", None),
        (f"{HEADER}[{RUN_ID}] [web] work connection closed before response StartWorkConn mes", "work_connection_closed", "web"),
        (f"{HEADER}[{RUN_ID}] read error:", "client_disconnected", None),
        (f"{HEADER}[{RUN_ID}] reconnect to server error: i/o deadline$", "login_failed", None),
        (f"{HEADER}[{RUN_ID}] new proxy [ssh]", "tunnel_connected", "ssh"),
        (f"{HEADER}[{RUN_ID}] [ssh] start proxy succ…", "tunnel_connected", "ssh"),
        (f"{HEADER}[{RUN_ID}] [ssh] start proxy success`", "tunnel_connected", "ssh"),
        (f"{HEADER}[{RUN_ID}] [ssh] start proxy success: tcp://example.com:6000", "tunnel_connected", "ssh"),
        (f"{HEADER}[0123456789abcdxx] [ssh] start proxy success", "tunnel_connected", "ssh"),
        (f"{HEADER}[user-0123456789abcdef] [my ssh] start error: port not allowed", "tunnel_error", "my ssh"),
        (f"{HEADER}[***] read error: broken pipe", "client_disconnected", None),
        (f"{HEADER}something of a later version", "detail", None),
        (f"{HEADER}[{RUN_ID}] new pro", "tunnel_connected", None),
        (f"{HEADER}[{RUN_ID}] client", "detail", None),
        (f"{HEADER}[{RUN_ID}] new", "detail", None),
        (f"2024-05-31 11:45:27.726 [W] [visitor/xtcp.go:146] [{RUN_ID}] [web] keepTunnelOpe", "nat_hole_failed", "web"),
        ("Jul 01 10:00:00 host frpc[1]: 2023/07/01 10:00:00 [W] [c", "detail", None),
    ],
)  # fmt: skip
def test_lines_that_are_cut_or_typed_off(line: str, kind: str, tunnel: str | None) -> None:
    """What is left of a line still gives its type and tunnel."""
    record = parse(line)
    assert (record["type"], record["tunnel_id"]) == (kind, tunnel)


@pytest.mark.parametrize("wrap", WRAPPINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_stands_around_a_line(wrap: Callable[[str], str], layout: Callable[..., str]) -> None:
    """Eras, colours, line ends, and the wrappings of collectors make no difference."""
    record = parse(
        wrap(layout("W", "client/control.go:170", f"[{RUN_ID}] [ssh] start error: port not allowed"))
    )
    expected = {"type": "tunnel_error", "tunnel_id": "ssh", "run_id": RUN_ID, "level": "warning"}
    assert holds(record, expected | {"error": "port not allowed", "message": "start error: port not allowed"})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_a_line_without_a_header(prefix: str) -> None:
    """The prefixes of collectors make no difference to start-up errors either."""
    record = parse(f'{prefix}json: unknown field "auto"')
    assert holds(record, {"type": "config_error", "field": "auto"})


@pytest.mark.parametrize(
    "line",
    [
        "", "   ", "hello", "GET / HTTP/1.1", "[1] x", "2026-01-02 hello", '{"log":', '{"log": 1}', "[]", "\x00", "\x1b[0m",
        "Jul 01 10:00:00 host systemd[1]: frpc.service: Main process exited, code=exited, status=1/FAILURE",
        "Jul 01 10:00:00 host sshd[589898]: Unable to negotiate with 127.0.0.1 port 60948: no matching key",
        "● frps.service - Frp Server Service",
        "2024/06/01 12:00:00 [error] 31#31: *1 connect() failed (111: Connection refused) while connecting to upstream",
        "2020/06/03 16:40:01 [I] [nps.go:202]  the version of server is 0.26.8",
        "2018/10/10 10:10:10 [I] Gitea v1.5 built with: sqlite",
        'time="2019-02-20T04:41:35Z" level=info msg="libcontainerd: started new docker-containerd process" pid=21200',
        "[2018-09-14 14:38:23,242: WARNING/Worker-2] Connection pool is full, discarding connection: example.com",
        "  [W] Logger error: Too many open files @ rb_sysopen - some.log",
        "INFO:     Started server process [1]",
        "heartbeat timeout",
        "read error: connection reset by peer",
        "[frpc]\nserver_addr = 203.0.113.5",
        "[root@localhost ~]# frps -v",
        "lookup",
        "x | [2025-11-22 15:52:40] [info] [main.go:397] Version: v6.5.6",
        "app.listen()",
        "created by the install script",
        "connect(): failed (0x80004005)",
        "[ERR] yamux: keepalive failed: i/o deadline reached",
    ],
)  # fmt: skip
def test_lines_of_others(line: str) -> None:
    """A line that frp did not write gives None."""
    assert OutputParser().parse_line(line) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("invalid server_addr", {"type": "config_error", "program": "frpc", "reason": "config_invalid"}),
        ("bandwidth limit mode should be client or server", {"type": "config_error", "reason": "config_invalid"}),
        ("proxy web: not support health check type: udp", {"type": "config_error", "tunnel_id": "web"}),
        ("proxy web: bandwidth limit mode should be client or server", {"type": "config_error", "tunnel_id": "web"}),
        ("invalid auth.tokenSource: file path cannot be empty", {"type": "config_error", "reason": "config_invalid"}),
        ("start error: proxy [web] domain conf check error: custom domain [x.org] should not belong to subdomain_host [org]",
         {"type": "tunnel_error", "tunnel_id": "web", "reason": "domain_not_allowed"}),
        ('error="create server listener error, listen tcp 0.0.0.0:7000: bind: address already in use"',
         {"type": "config_error", "reason": "port_in_use"}),
        ("acquire port 22 error: port unavailable", {"type": "tunnel_error", "reason": "port_unavailable"}),
        ("EOF", {"type": "login_failed_exit", "reason": "server_closed"}),
        ("icorp/yamux/stream.go:133 +0x261", {"type": "panic"}),
        ("github.com/hashicorp/yamux.newSession.func2()", {"type": "panic"}),
        ("open ./frpc.ini: no such file or directory", {"path": "./frpc.ini", "reason": "file_missing"}),
        ("open frpc.toml: The system cannot find the file specified.", {"reason": "file_missing"}),
        ("frps: the configuration file is not specified", {"program": "frps", "reason": "file_missing"}),
        ("discover error: wait response from stun server timeout", {"type": "nat_hole_failed"}),
        ("Your NAT type is: HardNAT", {"type": "nat_hole_prepared", "nat_type": "HardNAT"}),
        ("2024/02/21 08:46:39 http: TLS handshake error from 203.0.113.5:17777: EOF", {"type": "detail", "error": "EOF"}),
    ],
)  # fmt: skip
def test_what_is_printed_past_the_log(line: str, expected: dict[str, Any]) -> None:
    """What frpc and frps print without a header, and nobody else would, is known for theirs."""
    assert holds(parse(line), expected)


@pytest.mark.parametrize(
    "line",
    [
        "port already used", "error: port already used", "error\uff1aport already used", "\u62a5\u9519: port already used",
        "`port already used`", "'port already used'", "\u201cport already used\u201d", "> error\uff1aport already used", "start error: port already used",
        "frpc\u62a5\u9519\uff1a2024/02/21 08:46:39 start error: port already used",
    ],
)  # fmt: skip
def test_what_somebody_quotes(line: str) -> None:
    """An error that somebody copied out of a line, with a word of theirs before it, is still known."""
    assert holds(parse(line), {"type": "tunnel_error", "reason": "port_in_use"})


@pytest.mark.parametrize(
    ("line", "kind", "tunnel"),
    [
        (f"2024-05-17 11:10:44.686 [I] [client/service.go:294] [{RUN_ID}] [sshVirtualClient] try to connect to server...",
         "connecting", None),
        ("2019/04/08 00:08:16 [I] [dashboard_api.go:175] /api/proxy/tcp", "admin_access", None),
        ("2019/04/08 00:08:16 [I] [dashboard_api.go:176] ", "admin_access", None),
        (f"2021/01/15 09:41:48 [I] [service.go:288] [{RUN_ID}] login to server succ{' ' * 60}ess, get run id [{RUN_ID}], server udp port [0]",
         "client_connected", None),
        (f"2025-05-20 17:18:41 [I] [proxy_manager.go:177] [{RUN_ID}] [a.{' ' * 60}ssh] start proxy success", "tunnel_connected", "a.ssh"),
        ("[W][service.go:134] login to server failed:dial tcp:lookup [x] on [::1}:53:read udp", "login_failed", None),
        ("`login to the server failed:connection write timeout. With loginFailExit enabled, no additional retries will be attempted.`",
         "login_failed_exit", None),
        ("2016/08/04 16:54:21 [client.go:129] [E] ProxyName [web], connect to server [203.0.113.5:7000] error, EOF",
         "work_connection_error", "web"),
        ("2016/08/04 16:54:21 [conn.go:182] [W] join connections error, EOF", "connection_error", None),
        ("2026-06-30 00:18:15 UTC new proxy [b_ssh] type [tcp] success", "tunnel_connected", "b_ssh"),
    ],
)  # fmt: skip
def test_lines_of_real_logs(line: str, kind: str, tunnel: str | None) -> None:
    """Lines that were met in logs of others, of kinds that have no rule of their own above."""
    record = parse(line)
    assert (record["type"], record["tunnel_id"]) == (kind, tunnel)


def test_an_ellipsis_ends_what_is_known() -> None:
    """Of a message that somebody has shortened in its middle, what stands before that tells the type."""
    line = "2026/07/01 10:00:00 [I] [service.go:803] client login info: ip [203.0.113.5:1] ... (same run id)"
    assert parse(line)["type"] == "client_connected"


@pytest.mark.parametrize(
    "line",
    [
        "Jul 01 10:00:00 host myapp[12]: EOF", "error: EOF", "Jul 01 10:00:00 host nginx[12]: reload success",
        "Jul 01 10:00:00 host app[12]: stop success", "Jul 01 10:00:00 host caddy[12]: http: proxy error: context canceled",
        "Jul 01 10:00:00 host caddy[12]: http: TLS handshake error from 203.0.113.5:17777: EOF",
        "2026-06-30 00:18:15 POST /api/x",
    ],
)  # fmt: skip
def test_lines_with_another_writer(line: str) -> None:
    """What others print too is not frp's where another program is named, or somebody's word stands before it."""
    assert OutputParser().parse_line(line) is None


@pytest.mark.parametrize(
    ("text", "kind"), [("dial udp error: EOF", "nat_hole_failed"), ("proxy added: EOF", "tunnels_added")]
)
def test_a_message_with_a_short_error(text: str, kind: str) -> None:
    """A message that lost its header is known as such, whatever error stands in it."""
    assert parse(text, "frpc")["type"] == kind


def test_dots_within_a_path() -> None:
    """Three dots end what is known of a message only at the end of a word."""
    line = "2026/07/01 10:00:00 [I] [root.go:1] start frpc service for config file [/etc/frp...d/a.ini] blah"
    assert parse(line)["path"] == "/etc/frp...d/a.ini"


def test_a_program_that_is_known_owns_its_lines() -> None:
    """When it is known whose output it is, a line without a header is its own."""
    assert holds(parse("some text", "frpc"), {"type": "detail", "program": "frpc"})
    assert parse("EOF", "frpc")["type"] == "login_failed_exit"
    assert parse("heartbeat timeout", "frpc")["type"] == "heartbeat_timeout"
    assert parse("proxy web: plugin: unknown", "frpc")["tunnel_id"] == "web"


def test_a_tag_of_syslog_tells_the_program() -> None:
    """A line that journald or syslog says is of frpc or frps is its own."""
    assert holds(parse("Jul 01 10:00:00 host frps[1]: some text"), {"type": "detail", "program": "frps"})
    record = parse(
        f"Jul 01 10:00:00 host frps[1]: 2026/07/01 10:00:00 [I] [proxy.go:1] [{RUN_ID}] [web] join connections closed"
    )
    assert record["program"] == "frps"


@pytest.mark.parametrize(
    ("caller", "message", "kind"),
    [
        ("client/control.go:1", "write message to control connection error: EOF", "client_disconnected"),
        ("server/control.go:1", "write message to control connection error: EOF", "detail"),
        ("visitor/sudp.go:1", "sender goroutine for udp work connection closed", "visitor_connection_closed"),
        ("proxy/udp.go:1", "sender goroutine for udp work connection closed", "udp_worker_stopped"),
        ("udp.go:1", "sender goroutine for udp work connection closed", "udp_worker_stopped"),
        ("sudp.go:1", "sender goroutine for udp work connection closed", "visitor_connection_closed"),
        ("client/control.go:1", "start error: port already used", "tunnel_error"),
        ("visitor/visitor_manager.go:1", "start error: EOF", "visitor_error"),
        ("visitor/xtcp.go:1", "some text", "detail"),
    ],
)
def test_a_text_that_means_two_things(caller: str, message: str, kind: str) -> None:
    """Where both programs print the same text, the source file tells what it means."""
    assert parse(f"2026-07-01 10:00:00.123 [I] [{caller}] [{RUN_ID}] [web] {message}")["type"] == kind


def test_time_needs_a_zone() -> None:
    """Records have a time only when the zone of the program's clock is known, or a collector noted a time with its zone."""
    line = f"{HEADER}admin server listen on 127.0.0.1:7400"
    assert parse(line)["time"] is None
    record = OutputParser(timezone=UTC).parse_line(line)
    assert record is not None
    assert record["time"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    zone = timezone(timedelta(hours=8))
    noted = parse(f"2026-01-02T11:04:05.678901234+08:00 {line}")
    assert (noted["time"], noted["timestamp"]) == (
        datetime(2026, 1, 2, 11, 4, 5, 678901, zone), "2026-01-02 03:04:05.678",
    )  # fmt: skip


@pytest.mark.parametrize(
    "row", frp_lines.WITH_HEADER + frp_lines.RAW, ids=lambda row: str(row["template"])[:60]
)
def test_every_template(row: dict[str, Any]) -> None:
    """A line made from a template is recognised, with all its fields."""
    values = {field: "7" if field.endswith("port") else "x.y:1" for field in row.get("fields", ())}
    message = frp_lines.fill(row, values)
    program = row["program"] or "frpc"
    name = "[name] " if frp_lines.named(row) else ""
    caller = {"frpc": "client/control.go:1", "frps": "server/control.go:1"}[program]
    record = parse(
        message if row.get("raw") else frp_lines.golib("I", caller, f"[{RUN_ID}] {name}{message}"), program
    )
    assert record["type"] == frp_lines.expected(row, program)
    assert set(row.get("fields", ())) <= record.keys()
    assert record["level"] in ("info", "error")


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)
texts = st.one_of(
    names,
    st.from_regex(r"(?:203\.0\.113|198\.51\.100)\.[1-9][0-9]:[1-9][0-9]{0,4}", fullmatch=True),
    st.sampled_from(
        [
            "EOF",
            "dial tcp 203.0.113.5:7000: connect: connection refused",
            "/etc/frp/frpc.toml",
            "[a b]",
            "1.5s",
            "ß 漢",
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_templates_with_any_values(data: st.DataObject) -> None:
    """Any message, with any names and values, in any layout and wrapping, comes back with its type and tunnel."""
    row = data.draw(st.sampled_from(frp_lines.WITH_HEADER))
    tunnel = data.draw(names)
    values = {field: tunnel if field == "tunnel_id" else data.draw(texts) for field in row.get("fields", ())}
    program = row["program"] or data.draw(st.sampled_from(["frpc", "frps"]))
    caller = {"frpc": "client/control.go:1", "frps": "server/control.go:1"}[program]
    message = f"[{tunnel}] " * frp_lines.named(row) + frp_lines.fill(row, values)
    layout, wrap = data.draw(st.sampled_from(LAYOUTS)), data.draw(st.sampled_from(WRAPPINGS))
    line = wrap(layout(data.draw(st.sampled_from("TDIWE")), caller, f"[{RUN_ID}] {message}"))
    record = parse(line, program)
    has_name = frp_lines.named(row) or "tunnel_id" in row.get("fields", ())
    assert record["type"] in kinds_of(row, program)
    assert record["tunnel_id"] == (tunnel if has_name else None)


def kinds_of(row: Mapping[str, Any], program: str) -> set[str]:
    """Give the types of the templates that a message of this one may have been made from as well."""
    if row["template"] in (
        "%s >> %s %d %d",
        "%s listener closed",
        "ProxyName [%s], %s",
        "%s proxy custom listen success",
    ):
        return {frp_lines.expected(other, program) for other in frp_lines.WITH_HEADER}
    return {frp_lines.expected(row, program)}


@given(st.text())
def test_it_never_raises(text: str) -> None:
    """Whatever the line, the parser gives None or a record with all the keys."""
    for line in (
        text, HEADER + text, f"{HEADER}[{text}] {text}", f"[{text}] [E] [proxy] [{text}] {text}", f'{{"log":"{text}"}}',
        f"2016/12/14 15:22:16 [main.go:1] [I] ProxyName [{text}], {text}", f"Jul 01 10:00:00 {text}: {text}",
        f"[W] [{text}.go:1] {text}", f"panic: {text}",
    ):  # fmt: skip
        for parser in (OutputParser(), OutputParser("frps", UTC)):
            record = parser.parse_line(line)
            assert record is None or record.keys() >= KEYS
            assert all(one.keys() >= KEYS for one in parser.parse(line))


@given(st.binary())
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """Whatever the bytes, in whatever encoding they are read."""
    for encoding in ("utf-8", "utf-16", "latin-1"):
        OutputParser().parse_line(data.decode(encoding, "replace"))


HOSTILE = {
    "compact": "[x] [I] [proxy] [",
    "compact once": "[2024-01-01] [I] [proxy] [" + "] [I] [prox [" * 5000,
    "names": HEADER + "[a] " * 16000,
    "template": HEADER + "new proxy [a] type [" * 3500,
    "join": HEADER + "join connections, localConn(l[" * 2200,
    "time": "2026-01-02 03:04:05 [",
    "escape": "\x1b[",
    "colour": "\x1b[0m",
    "joint": HEADER + "x [I] [" * 9000,
    "headers": HEADER + "2026-01-02 03:04:05.678 [I] [" * 2200,
    "blanks": " " * 65535 + "x",
    "brackets": "[",
    "json": '{"log":"' + "[" * 60000 + '"}',
    "deep json": '{"log":' + "[" * 60000,
    "digits": "1",
    "calls": "a.b(",
    "pipes": "a |",
    "quotes": "> ",
    "first era": "2016/12/14 15:22:16 [main.go:1] [I] ProxyName [a], " + "ProxyName [" * 5000,
    "error": HEADER + "login to server failed: " + "port " * 13000,
    "full width": HEADER + "\uff1a" * 60000,
    "no header": "[web] ",
    "unknown": HEADER + "zzz " * 16000,
    "collector": "Jan 02 03:04:05 host frpc[1]: ",
    "duration": HEADER + "wait " + "9" * 60000 + " to reconnect",
    "stack": "\tgithub.com/",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_lines_take_no_time(name: str) -> None:
    """A line made to be slow is not: time that grows with the square of the length would be seconds here."""
    line = (HOSTILE[name] * (65536 // len(HOSTILE[name]) + 1))[:65536]
    began = time.process_time()
    for _ in range(20):
        OutputParser().parse_line(line)
    assert time.process_time() - began < 2.0  # 20 x 1 ms, on a machine that is much slower and busy


def test_a_line_with_several_records_gives_the_first() -> None:
    """``parse_line`` gives one record, and its message ends where the next begins."""
    one = f"{HEADER}[{RUN_ID}] [ssh] start error: port already used"
    assert parse(one + one)["error"] == "port already used"
    raw = (
        "login to the server failed: EOF. With loginFailExit enabled, no additional retries will be attempted"
    )
    assert parse(raw + one)["type"] == "login_failed_exit"


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_records_that_stand_in_one_line(data: st.DataObject) -> None:
    """Joining n lines gives n records, with the types and tunnels that they have alone."""
    rows = data.draw(st.lists(st.sampled_from(frp_lines.WITH_HEADER), min_size=1, max_size=8))
    layout = data.draw(st.sampled_from(LAYOUTS))
    prefix = data.draw(
        st.sampled_from(["", "frpc-1  | ", "2026-07-01T10:00:00.1Z ", "Jul 01 10:00:00 host frpc[1]: "])
    )
    between = data.draw(st.sampled_from(["", " ", "\t"]))
    lines = []
    for row in rows:
        values = {field: f"v{number}" for number, field in enumerate(row.get("fields", ()))}
        name = "[web] " if frp_lines.named(row) else ""
        lines.append(
            prefix + layout("I", "client/control.go:1", f"[{RUN_ID}] {name}{frp_lines.fill(row, values)}")
        )
    parser = OutputParser()
    alone = list(itertools.chain.from_iterable(map(parser.records, lines)))
    together = parser.records(between.join(lines))
    assert len(alone) == len(rows)
    assert [(one["type"], one["tunnel_id"]) for one in together] == [
        (one["type"], one["tunnel_id"]) for one in alone
    ]
