"""What a file says: a client, its tunnels and visitors; and how tables become configurations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from frp_wrapper._type_faults import hidden_options
from frp_wrapper.checks import Config, faults_of
from frp_wrapper.config import ClientConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.plugins import Plugin

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
Table = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """The content of a file.

    Attributes:
        client: The server and how to reach it.
        tunnels: In the order of the file.
        visitors: In the order of the file.
        ignored: What was left out because this package takes care of it, such as ``log`` and ``webServer``, by its key.
        faults: What this package would refuse, and frpc may not. What cannot be understood at all is left out.
    """

    client: ClientConfig
    tunnels: tuple[TunnelConfig, ...]
    visitors: tuple[VisitorConfig, ...]
    ignored: Mapping[str, Any] = field(default_factory=dict, repr=False)
    faults: tuple[str, ...] = ()


@dataclass
class Draft:
    """A file on the way to a `Setup`: tables in the spelling of our configurations, and the faults found so far."""

    client: Table
    tunnels: list[Table] = field(default_factory=list)
    visitors: list[Table] = field(default_factory=list)
    ignored: Table = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def finish(self, where: str, *, strict: bool = True) -> Setup:
        """Make the configurations.

        Args:
            where: The file, for the message.
            strict: Refuse faults, rather than tell them in `Setup.faults`.

        Raises:
            ConfigError: With every fault of the file.
        """
        client = self._make(ClientConfig, self.client, "the client")
        tunnels = [self._make(TunnelConfig, table, _title("tunnel", table)) for table in self.tunnels]
        visitors = [self._make(VisitorConfig, table, _title("visitor", table)) for table in self.visitors]
        self.faults += self._doubles()
        if self.faults and strict:
            count = "a fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
            raise ConfigError(f"{where} has {count}", faults=self.faults, hint="Correct them and try again.")
        return Setup(
            client or ClientConfig(server=str(self.client.get("server"))),
            tuple({tunnel.name: tunnel for tunnel in tunnels if tunnel is not None}.values()),
            tuple({visitor.name: visitor for visitor in visitors if visitor is not None}.values()),
            self.ignored,
            tuple(self.faults),
        )

    def _make(self, kind: type[T], table: Table, title: str) -> T | None:
        from pydantic import ValidationError  # noqa: PLC0415 - not needed to import the package

        if isinstance(table.get("plugin"), Mapping):
            table = table | {"plugin": self._make_plugin(table["plugin"], title)}
        try:
            config = _adapter(kind).validate_python(table)
        except ValidationError as exc:
            hidden = hidden_options(kind)
            self.faults += [f"{title}: {_sentence(error, hidden)}" for error in exc.errors(include_url=False)]
            return None
        if isinstance(config, Config):
            self.faults += faults_of(config)
        return config

    def _make_plugin(self, table: Mapping[str, Any], title: str) -> object:
        kind = plugin_types().get(table.get("type", ""))
        if kind is None:
            self.faults.append(
                f"{title}: plugin.type {table.get('type')!r} is none of {', '.join(plugin_types())}"
            )
            return None
        return self._make(kind, dict(table), f"{title}: plugin")

    def _doubles(self) -> Iterator[str]:
        seen = set()
        for table in [*self.tunnels, *self.visitors]:
            name = table.get("name")
            if name in seen:
                yield f"the name {name!r} is given twice"
            seen.add(name)


def make_tunnel(table: Table) -> TunnelConfig:
    """Make the configuration of one tunnel from a JSON object; a number in quotes is none.

    Raises:
        ConfigError: With every fault of it.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - not needed to import the package

    try:
        config = _adapter(TunnelConfig).validate_json(json.dumps(table), strict=True)
        faults = faults_of(config)
    except ValidationError as exc:
        hidden = hidden_options(TunnelConfig)
        title = _title("tunnel", table)
        faults = [f"{title}: {_sentence(error, hidden)}" for error in exc.errors(include_url=False)]
    if faults:
        raise ConfigError("the tunnel has faults", faults=faults, hint="Correct them and try again.")
    return config


@cache
def plugin_types() -> dict[str, type]:
    """Give the class of each type of plugin."""
    return {kind.__dataclass_fields__["type"].default: kind for kind in get_args(Plugin)}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(kind)


def _title(what: str, table: Table) -> str:
    return f"{what} {table.get('name')!r}"


def _sentence(error: Any, hidden: frozenset[str]) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"there is no option {path}"
    if error["type"] in ("missing", "missing_keyword_only_argument"):
        return f"{path} is missing"
    value = "" if error["loc"][:1] and error["loc"][0] in hidden else f" {error['input']!r:.80}"
    return f"{path}{value}: {error['msg'].removeprefix('Input ')}"
