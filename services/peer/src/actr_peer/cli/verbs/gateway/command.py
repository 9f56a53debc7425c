"""``actr gateway``: actors for whoever speaks HTTP, by the Connect protocol."""

from __future__ import annotations

import json
import os
import socket
import tomllib
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import structlog
import typer

from actr_peer.cli.contracts.methods import methods_of
from actr_peer.cli.options import AsLines, Flags, with_flags
from actr_peer.cli.verbs.gateway.bounds import (
    DEAD_SECONDS,
    DEFAULT,
    MAX_MESSAGE_BYTES,
    Bounds,
)
from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.reading import path_for
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.rpc.connect.pages import Pages
from actr_peer.protocol.rpc.connect.rules import GatewayRules, NoRules
from actr_peer.protocol.websocket.origins import read_origin
from actr_peer.protocol.wire.addresses import is_loopback
from actr_peer.service import Method

if TYPE_CHECKING:
    import ssl

    from actr_peer.node.node import Node

HTTP: Final = "127.0.0.1:8088"
MAX_RULES_BYTES: Final = 1024 * 1024
EXTRA: Final = ("connectrpc", "hypercorn")

Http: TypeAlias = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where it listens; port 0: a free one.")
]
Rules: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Who may call what (TOML).")
]
Origins: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="ORIGIN", help="Of web pages that may call; *: all; repeatable."),
]
Certificate: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="For TLS (PEM), with --key.")
]
Key: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Of the certificate.")]
Modules: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--module", "-m", help="A module that 'actr gen' wrote; repeatable."),
]
MaxMessage: TypeAlias = Annotated[
    int, typer.Option(min=1024, max=MAX_MESSAGE_BYTES, help="Bytes of one request.")
]
MaxCalls: TypeAlias = Annotated[int, typer.Option(min=1, max=10_000, help="That run at a time.")]
Grace: TypeAlias = Annotated[
    float, typer.Option(min=0, max=3600, help="Seconds for running calls at the end.")
]

log = structlog.get_logger()
app = typer.Typer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says of a gateway."""

    http: str
    host: str
    port: int
    rules: GatewayRules
    pages: Pages
    modules: dict[str, Method[Any, Any]]
    bounds: Bounds
    files: tuple[Path, Path] | None
    """Certificate and key."""
    is_json: bool


@app.command()
@with_flags
def gateway(
    *,
    http: Http = HTTP,
    rules: Rules = None,
    allowed_origin: Origins = None,
    certificate: Certificate = None,
    key: Key = None,
    module: Modules = None,
    max_message: MaxMessage = DEFAULT.message_bytes,
    max_calls: MaxCalls = DEFAULT.calls,
    grace: Grace = DEFAULT.grace,
    is_json: AsLines = False,
    flags: Flags,
) -> None:
    """Offer actors over HTTP by the Connect protocol, until it is asked to stop.

    Without --rules it listens on the loopback only, and whoever reaches it may
    call every actor of the realm. SIGTERM or Ctrl-C ends it gracefully.
    """
    _check_extra()
    from actr_peer.wire.tcp import parse_listen

    settings = flags.settings()
    configure_logs(settings.log)
    host, port = parse_listen(http)
    config = _config(flags)
    found = NoRules() if rules is None else _rules(rules, config.id.realm)
    if rules is None and not is_loopback(host):
        raise ConfigError(
            f"--http {http}: others reach it there; say with --rules who may call what"
        )
    if (certificate is None) != (key is None):
        raise ConfigError("--certificate and --key are for each other: give both, or neither")
    plan = Plan(
        http=http,
        host=host,
        port=port,
        rules=found,
        pages=Pages(tuple(map(_origin, allowed_origin or ())), is_local=rules is None),
        modules={name: row for each in module or () for name, row in methods_of(each).items()},
        bounds=Bounds(message_bytes=max_message, calls=max_calls, grace=grace),
        files=None if certificate is None or key is None else (certificate, key),
        is_json=is_json,
    )
    run_loop(_serve(config, plan))


def _origin(text: str) -> str:
    try:
        return read_origin(text)
    except ValueError as exc:
        raise ConfigError(f"--allowed-origin {text!r}: {exc}") from exc


def _check_extra() -> None:
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"actr gateway needs {' and '.join(missing)}, which are in the extra 'gateway': "
            "pip install 'actr-peer[gateway]'"
        )


def _config(flags: Flags) -> NodeConfig:
    """Of the actor ``actr:gateway``, unless the flags say who it is; it answers ``actr ps``."""
    config = flags.caller("gateway")
    control = path_for(flags.settings().control.socket, config.id)
    return replace(config, control_socket=control)


def _rules(path: Path, realm: str) -> GatewayRules:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RULES_BYTES + 1)
        if len(data) > MAX_RULES_BYTES:
            raise ConfigError(f"{path} has over {MAX_RULES_BYTES} bytes")
        document = tomllib.loads(data.decode())
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path} is no TOML: {exc}") from exc
    try:
        return GatewayRules.read(document, realm)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


async def _serve(config: NodeConfig, plan: Plan) -> None:
    from actr_peer.cli.verbs.gateway.contracts import Contracts
    from actr_peer.cli.verbs.gateway.entry import Entry
    from actr_peer.cli.verbs.gateway.server import HttpServer, tls_context
    from actr_peer.cli.verbs.gateway.tally import Tally
    from actr_peer.node.process.serving import serve
    from actr_peer.node.system import System
    from actr_peer.service import Service

    tls: ssl.SSLContext | None = None if plan.files is None else tls_context(*plan.files)
    tally = Tally(plan.bounds.calls)
    async with AsyncExitStack() as stack:
        sock = stack.enter_context(await _listen(plan))
        node = await stack.enter_async_context(System(config).attach(Service()))
        contracts = Contracts(node.ref, plan.modules, plan.rules.services)
        entry = Entry(plan.rules, plan.pages, contracts, tally, plan.bounds)
        server = await stack.enter_async_context(HttpServer(entry, sock, tls))
        await serve(
            node,
            more=lambda: {"gateway": {"connections": server.document, "calls": tally.document}},
            ready=lambda node: _tell(node, sock, plan),
        )
        await server.drain(plan.bounds.grace)


async def _listen(plan: Plan) -> socket.socket:
    from actr_peer.wire.tcp import listen

    try:
        return await listen(plan.host, plan.port, dead_after=DEAD_SECONDS)
    except BusyError as exc:
        raise BusyError(
            f"{plan.http} is in use by another program: stop that, or choose with --http"
        ) from exc


def _tell(node: Node, sock: socket.socket, plan: Plan) -> None:
    """Say who is ready, and where it listens."""
    host, port = sock.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    url = f"http{'' if plan.files is None else 's'}://{where}:{port}"
    log.info("gateway ready", url=url, actor=str(node.id), signaling=node.config.signaling_url)
    if plan.files is None and not is_loopback(host):
        log.warning("tokens come in clear: put TLS before it, or give --certificate and --key")
    if plan.is_json:
        document = {
            "ready": str(node.id),
            "pid": os.getpid(),
            "url": url,
            "signaling": node.config.signaling_url,
            "control": str(node.config.control_socket or ""),
        }
        print(json.dumps(document), flush=True)
