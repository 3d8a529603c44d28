"""Why things fail: each text of frp and of the network has a code, a cause and a way out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["REASONS", "TEXTS", "Reason", "explain"]

_LONGEST = 4000
"""Characters of a text that are looked at; what frp prints is far shorter."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One way to fail.

    Attributes:
        code: Does not change between versions, so that programs can rely on it.
        cause: Why it happened, for a person who does not know frp.
        hint: What to do.
    """

    code: str
    cause: str
    hint: str


_REASONS = (
    Reason("auth_failed", "The token or key of this client is not the one that the server expects.",
           "Use the same auth_token as the server's auth.token; look for blanks and line ends around it."),
    Reason("auth_timeout", "The clocks of client and server are too far apart for the server's login check.",
           "Set both clocks by NTP, or raise authentication_timeout on the server."),
    Reason("client_id_in_use", "Another client with the same user and client_id is logged in.",
           "Stop the other client, or give this one another client_id."),
    Reason("config_invalid", "frp does not accept its configuration.",
           "Correct the option that is named; options differ between versions of frp."),
    Reason("domain_in_use", "Another tunnel on the server has this domain and path already.",
           "Close the other tunnel, or choose another domain, subdomain or path."),
    Reason("domain_not_allowed", "The server does not allow this domain for a tunnel.",
           "For names below the server's own domain use subdomain (one label, no '.' or '*'), not custom_domains."),
    Reason("file_missing", "A file that frp needs is not there: its configuration, or one that is named in it.",
           "Check the path; a relative one counts from the folder that frp was started in."),
    Reason("group_auth_failed", "Another tunnel made this group with another group_key.",
           "Use the same group_key in all tunnels of the group."),
    Reason("group_invalid", "The tunnels of this group do not agree on their address.",
           "Give all tunnels of the group the same type and the same remote_port or domain."),
    Reason("health_check_failed", "The local service does not pass its health check.",
           "Look at the local service; the tunnel comes back with the first check that succeeds."),
    Reason("ignored", "A late answer that means nothing any more.", "Nothing needs to be done."),
    Reason("local_service_down", "Nothing accepts connections where the local service should listen.",
           "Start the local service, or correct local_host and local_port."),
    Reason("name_in_use", "Another client, or another tunnel of this one, uses this name on the server.",
           "Choose another name, set user so that names of different users differ, or close the other tunnel."),
    Reason("nat_hole_failed", "The two sides found no direct way through their routers.",
           "Give the visitor a fallback_to, or use stcp: some routers (HardNAT on both sides) let nothing through."),
    Reason("network_unreachable", "This machine has no route to the server.",
           "Check the network connection, VPN and routes of this machine."),
    Reason("no_route", "No tunnel has the domain and path that somebody asked the server for.",
           "Compare with custom_domains or subdomain of the tunnel; a request for an address alone is mostly a scanner's."),
    Reason("not_allowed", "The owner of the tunnel does not allow visitors of this user.",
           "Ask the owner to add this user to allow_users."),
    Reason("not_online", "The tunnel that this visitor wants is not online.",
           "Start the client that offers it, and compare its name (and server_user) with server_name."),
    Reason("not_supported", "The server does not know this type of tunnel.",
           "Use another type, or upgrade the server."),
    Reason("plugin_error", "A plugin of frpc could not be set up.",
           "Check the plugin's options: addresses, certificate and key files."),
    Reason("pool_full", "More connections are being opened than visitors use.",
           "Nothing needs to be done unless visitors wait; then lower pool_count."),
    Reason("port_in_use", "The port is used by somebody else already.",
           "Choose another port, or leave it out so that a free one is chosen."),
    Reason("port_not_allowed", "The server does not allow tunnels on this port.",
           "Choose a port in the server's allowPorts, or leave remote_port out."),
    Reason("port_quota", "This client has as many ports as the server allows one client.",
           "Close a tunnel, or raise maxPortsPerClient on the server."),
    Reason("port_unavailable", "The server cannot open this port: another program has it, or it is privileged.",
           "Choose another remote_port, or leave it out so that the server chooses one."),
    Reason("protocol_error", "Client and server do not speak the same version of frp's protocol.",
           "Use the same wire_protocol on both sides, or versions of frp that are closer to each other."),
    Reason("protocol_mismatch", "What answers at this port is not an frps, or does not expect this kind of connection.",
           "Check the port (frps's bindPort, not its dashboard or HTTP port), and that protocol and TLS fit the server."),
    Reason("server_closed", "The server closed the connection.",
           "Check that the port is frps's bindPort and that TLS and tcp_mux are set as on the server."),
    Reason("server_error", "The server had a fault of its own.", "Look at the server's log, and try again."),
    Reason("server_plugin_error", "A plugin of the server refused this, or did not answer.",
           "Ask whoever runs the server; its log names the plugin."),
    Reason("server_silent", "The connection to the server stands, but nothing comes back through it.",
           "Wait a moment: it recovers by itself if the network does. Else look at the network and at the server's load."),
    Reason("server_timeout", "The server does not answer.",
           "Check host and port, that frps runs, and that no firewall drops the packets."),
    Reason("server_unreachable", "Nothing listens at the server's address and port.",
           "Check host and port, and that frps runs and listens there."),
    Reason("subdomain_not_supported", "The server has no domain below which subdomains could be.",
           "Use custom_domains, or set subDomainHost on the server."),
    Reason("tls_error", "The encrypted connection to the server could not be set up.",
           "Check trusted_ca_file, server_name and the certificates of both sides, and the clock of this machine."),
    Reason("too_many_open_files", "The program has as many connections and files open as the system allows it.",
           "Raise the limit (ulimit -n, or LimitNOFILE in its systemd unit), and look what opens so many connections."),
    Reason("unknown", "The reason is not known to this program.",
           "Read the text above; the log of the server may say more."),
    Reason("unknown_client", "The server does not know this client (any more): it was restarted, perhaps.",
           "Nothing needs to be done: frpc logs in again."),
    Reason("unknown_host", "The name of the server (or of a local service) does not exist, or cannot be looked up now.",
           "Check the spelling and the name servers of this machine."),
    Reason("version_mismatch", "The versions of client and server do not fit together.",
           "Upgrade the older of the two; within nine minor versions of each other they work together."),
    Reason("vhost_not_enabled", "The server has no port for tunnels of this type.",
           "Set vhostHTTPPort, vhostHTTPSPort or tcpmuxHTTPConnectPort on the server, or use a tcp tunnel."),
    # what this package finds out by itself
    Reason("admin_refused", "frpc's admin API does not accept the user and password.",
           "Use webServer.user and webServer.password of frpc's configuration."),
    Reason("admin_unavailable", "frpc's admin API does not answer.",
           "frpc is starting, restarting or stopped; wait a moment and try again."),
    Reason("binary_not_found", "There is no frpc or frps, and none could be installed.",
           "Read what was tried; install Go, name a mirror by FRP_WRAPPER_RELEASE_URL, or name the programs."),
    Reason("binary_not_usable", "What was named is not a program of frp, or not for this machine.",
           "Name frpc or frps of a release for this machine."),
    Reason("cache_not_writable", "frp cannot be stored.",
           "Make room, or name another folder by FRP_WRAPPER_CACHE."),
    Reason("closed", "The tunnel was closed while something waited for it.", "Open it again."),
    Reason("connection_broken", "The local service broke a visitor's connection off.",
           "Look at the local service: it has crashed, or it does not like what the visitor sent."),
    Reason("connection_limit", "So many connections were open that a visitor was refused.",
           "Raise max_connections, or find out who holds them: tunnel.connections()."),
    Reason("connection_rate", "So many new connections came that a visitor was refused.",
           "Raise connection_rate, or set visitor_connection_rate so that one visitor cannot use it up."),
    Reason("connection_failed", "The connection to the server failed.", "Read what frpc said."),
    Reason("dashboard_port", "The dashboard cannot listen at this port.",
           "Use another port, or port=0 for any that is free."),
    Reason("dashboard_started", "The dashboard runs already.", "Call stop() first."),
    Reason("error", "Something failed.", "Read the message."),
    Reason("forked", "The client belongs to the process that this one was forked from.",
           "Make a client of your own in the child process."),
    Reason("frpc_ended", "frpc does not stay up.", "Correct what it complains about in its last words."),
    Reason("install_locked", "Another process has been installing the same version for a quarter of an hour.",
           "End it, or name another folder by FRP_WRAPPER_CACHE."),
    Reason("needs_newer_frp", "The option is newer than this frpc.",
           "Use a newer frpc (frpw frp install), or leave the option out."),
    Reason("no_such_process", "There is no such process, or it has ended.",
           "`frpw attach` without a pid lists every frpc that runs on this machine."),
    Reason("not_connected", "The client is not connected.", "Call connect(), or use `with`."),
    Reason("not_frpc", "The process is no frpc.",
           "`frpw attach` without a pid lists every frpc that runs on this machine."),
    Reason("not_ours", "The frpc belongs to somebody else; it is only watched.",
           "Change its configuration, and have its owner reload or restart it."),
    Reason("open_server", "A server that is reachable from elsewhere has no token.",
           "Give auth_token, or leave it None for a random one."),
    Reason("other_network_namespace", "The frpc is in another network namespace, such as that of a container.",
           "Run this in there, or watch the frpc by its admin API or its log."),
    Reason("own_admin_port", "The tunnel would lead to frpc's own admin API.", "Expose the port of your service."),
    Reason("own_dashboard_port", "The tunnel would lead to this program's own dashboard.",
           "Expose the port of your service. To reach the dashboard from elsewhere, use ssh -L."),
    Reason("process_not_readable", "The process belongs to another user, who alone may see its open files.",
           "Run this as that user or as root, or watch the frpc by its admin API or its log."),
    Reason("process_error", "A program does not start or does not stay up.", "Read its last words."),
    Reason("refused_by_frpc", "frpc does not accept the tunnel.", "Correct the option that frpc names."),
    Reason("server_dashboard_auth", "The dashboard of frps refuses user or password.",
           "Use webServer.user and webServer.password of frps; special characters in the URL as %XX."),
    Reason("server_dashboard_missing", "Nothing listens where the dashboard of frps should be.",
           "Set webServer.port on frps, and webServer.addr if it is on another machine; or correct the port."),
    Reason("server_dashboard_not_frps", "What answers there is not the dashboard of an frps.",
           "Use webServer.port of frps (not bindPort, and not frpc's webServer.port), and https:// where it has TLS."),
    Reason("server_dashboard_unreachable", "The dashboard of frps does not answer.",
           "Check host and port, and that no firewall drops the packets."),
    Reason("timeout", "There was no answer in time.", "Wait longer, or look at the server."),
    Reason("token_needed", "Others can reach the dashboard at this address, so it needs a token of your own.",
           "Give token=, or stay at host='127.0.0.1'."),
    Reason("too_many_relayed", "The relay of this client has no room for another tunnel.",
           "Use meter='passive', or another client."),
    Reason("tunnel_error", "The tunnel failed.", "Read the message."),
    Reason("usage_file", "The file of days cannot be read, or is none.",
           "Name another file, or move this one away to begin anew."),
    Reason("visitor_not_allowed", "The visitor's address is denied, or not among those that are allowed.",
           "If it should come in, add it to allow, or take it out of deny."),
    Reason("visitor_rate", "So many new connections came from one address that it was refused.",
           "Raise visitor_connection_rate if this visitor means well."),
    Reason("visitor_unknown", "Nothing tells the address of a connection that has to be checked.",
           "Only what comes through frps has an address; connect through the tunnel."),
    Reason("weak_token", "The dashboard's token could be guessed, or has characters that a cookie cannot carry.",
           "Leave it out for a random one, or make one: secrets.token_urlsafe()."),
)  # fmt: skip

REASONS: Mapping[str, Reason] = MappingProxyType({reason.code: reason for reason in _REASONS})
"""Every reason by its code."""

TEXTS: tuple[tuple[str, str], ...] = (
    # what frps answers to a login
    ("doesn't match token from configuration", "auth_failed"),
    ("authorization failed", "auth_failed"),
    ("authorization timeout", "auth_timeout"),
    ("invalid OIDC token in login", "auth_failed"),
    ("couldn't generate OIDC token", "auth_failed"),
    ("couldn't acquire OIDC token", "auth_failed"),
    (r"client_id \[.*?\] for user \[.*?\] is already online", "client_id_in_use"),
    (r"send \w+ request to plugin error", "server_plugin_error"),
    ("unexpected error when creating new controller", "server_error"),
    ("control was replaced during login", "server_error"),
    ("(?:missing|invalid).{0,40}v2", "protocol_error"),
    ("Please upgrade your frpc version", "version_mismatch"),
    # what frps answers to a new tunnel
    (r"proxy \[.*?\] already exists", "name_in_use"),
    (r"proxy name \[.*?\] is already in use", "name_in_use"),
    (r"ProxyName \[.*?\], already in use", "name_in_use"),
    (r"remote_port \[\d+\] isn't allowed", "port_not_allowed"),
    ("port already used", "port_in_use"),
    ("port not allowed", "port_not_allowed"),
    ("port unavailable", "port_unavailable"),
    ("no available port", "port_unavailable"),
    (r"acquire port \d+ error", "port_in_use"),
    ("exceed the max_ports_per_client", "port_quota"),
    ("router config conflict", "domain_in_use"),
    (r"hostname \[.*?\] location \[.*?\] is already registered", "domain_in_use"),
    (r"custom domain \[.*?\] should not belong to subdomain", "domain_not_allowed"),
    ("subdomain is not supported because", "subdomain_not_supported"),
    (r"'\.' and '\*' (?:are|is) not supported in subdomain", "domain_not_allowed"),
    (r"type \[https?\] not support(?:ed)? when vhost", "vhost_not_enabled"),
    ("tcpmux with multiplexer httpconnect not supported", "vhost_not_enabled"),
    ("requires tcpmux_httpconnect_port configuration", "vhost_not_enabled"),
    ("group auth failed", "group_auth_failed"),
    ("group params invalid", "group_invalid"),
    ("group should have same remote port", "group_invalid"),
    ("group proxy repeated", "name_in_use"),
    (r"custom listener for \[.*?\] is repeated", "name_in_use"),
    ("xtcp is not supported in frps", "not_supported"),
    ("proxy type not support", "not_supported"),
    ("unknown proxy type", "not_supported"),
    (r"plugin \[.*?\] is not registered", "plugin_error"),
    ("gen TLS config error", "plugin_error"),
    ("status not wait start, ignore start message", "ignored"),
    (r"proxy \[.*?\] not found", "ignored"),
    # work connections and visitors
    ("no client control found for run id", "unknown_client"),
    ("work connection pool is full", "pool_full"),
    (r"custom listener for \[.*?\] doesn't exist", "not_online"),
    (r"xtcp server for \[.*?\] doesn't exist", "not_online"),
    (r"visitor connection of \[.*?\] user \[.*?\] not allowed", "not_allowed"),
    (r"(?:visitor|xtcp) connection of \[.*?\] auth failed", "auth_failed"),
    # the network and the local machine
    ("connect to local service", "local_service_down"),
    ("open .*: no such file or directory|open .*: The system cannot find the", "file_missing"),
    ("config file is specified|configuration file is not specified", "file_missing"),
    ("too many open files", "too_many_open_files"),
    ("no route found|no such domain", "no_route"),
    (r"address already in use|Only one usage of each socket address", "port_in_use"),
    ("x509:|tls: |certificate|non-TLS connection received", "tls_error"),
    ("no such host|server misbehaving|Temporary failure in name resolution", "unknown_host"),
    ("connection refused|actively refused it", "server_unreachable"),
    ("network is unreachable|no route to host|unreachable network", "network_unreachable"),
    (
        "(?:i/o|write) timeout|deadline exceeded|timed out|i/o deadline reached|no recent network|did not properly respond",
        "server_timeout",
    ),
    (
        "session shutdown|malformed HTTP|invalid protocol version|magic|readHandshake: |Unknow error",
        "protocol_mismatch",
    ),
    ("message type error", "protocol_error"),
    (
        r"connection reset by peer|forcibly closed|connection was aborted|broken pipe|stream closed|(?:^|\W)EOF\b",
        "server_closed",
    ),
    ("bandwidth.limit.mode should be|Proxy URL scheme must be", "config_invalid"),
    ("unknown field|unmarshal|parse error|toml:|yaml:|strict mode", "config_invalid"),
)
"""Regular expressions for texts, in order of trial, and the code of each."""

_GROUP = re.compile(r"\([^)]*\)|\{[^}]*\}|\[[^\]]*\]")
_LITERAL = re.compile(r"(?<!\\)[\w ,:'/-]+(?![?*{\w])")


def _search(text: str, code: str) -> tuple[str, re.Pattern[str], Reason]:
    """Give what to look for: a literal of every text that fits, which is cheap to look for, and then the expression."""
    return max(_LITERAL.findall(_GROUP.sub("*", text)), key=len), re.compile(text), REASONS[code]


_SEARCHES = [_search(part, code) for text, code in TEXTS for part in re.split(r"\|(?![^(]*\))", text)]


def explain(text: str) -> Reason:
    """Give the reason behind an error text of frp; the one with code ``unknown`` when it is not known."""
    text = text[:_LONGEST]
    for literal, pattern, reason in _SEARCHES:
        if literal in text and pattern.search(text) is not None:
            return reason
    return REASONS["unknown"]
