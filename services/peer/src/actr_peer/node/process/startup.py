"""What every command that runs an actor does first: settings, identity, secrets, logs."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dns.exception
import dns.resolver
import dns.reversename
import structlog

from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.settings import AUTO, IceServerEntry, Log, Settings
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.node.ref import ActrRef

DOCKER_DNS: Final = "127.0.0.11"
DNS_TIMEOUT: Final = 2.0  # seconds; Docker's resolver answers in milliseconds
MIN_SECRET_BYTES: Final = 16
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def node_config(settings: Settings) -> NodeConfig:
    """Turn settings into what a node takes: identity found, secrets read, paths filled in.

    Raises:
        ConfigError: If a file cannot be read, or production is asked for without a secret.
    """
    actor = own_id(settings.actor.id)
    wires = settings.wires
    path = settings.mailbox.path.replace("{instance}", actor.instance)
    return NodeConfig(
        id=actor,
        signaling_url=settings.signaling.url,
        realm_secret=_realm_secret(settings),
        prefer=tuple(WireKind(kind) for kind in wires.prefer),
        listen=wires.listen or None,
        advertise=wires.advertise or None,
        reach=AddressRule(
            allow_private="private" in wires.reach,
            allow_loopback="loopback" in wires.reach,
            allow_link_local="link-local" in wires.reach,
        ),
        ice_servers=tuple(_ice_server(server) for server in wires.ice_servers),
        ice_policy=wires.ice_policy,
        health_interval=wires.health_interval_s,
        mailbox_path=_mailbox_path(path) if path else None,
        mailbox_capacity=settings.mailbox.capacity,
        mailbox_max_bytes=settings.mailbox.max_bytes,
        remember=settings.mailbox.remember_s,
        max_attempts=settings.mailbox.max_attempts,
        durability=settings.mailbox.durability,
        after_loss=settings.mailbox.after_loss,
        reflection=settings.actor.reflection,
        call_timeout=settings.calls.timeout_s,
    )


def own_id(text: str) -> ActrId:
    """Read an id; the instance ``auto`` becomes the replica's index, else the host name.

    Raises:
        ConfigError: If ``text`` is no id, or the host name cannot be part of one.
    """
    actor = ActrId.parse(text)
    if actor.instance != AUTO:
        return actor
    found = replace(actor, instance=replica_index() or socket.gethostname())
    return ActrId.parse(str(found))


def replica_index() -> str | None:
    """Index of this compose replica, from the name that Docker's DNS gives its address.

    Docker tells a replica its index nowhere else: the PTR record of the container's own
    address is ``project-service-3.network``. ``/etc/hosts`` would hide it, so the resolver
    is asked directly. None outside of compose.
    """
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [DOCKER_DNS]
    resolver.lifetime = DNS_TIMEOUT
    try:
        if DOCKER_DNS not in Path("/etc/resolv.conf").read_text(encoding="utf-8"):
            return None
        address = socket.gethostbyname(socket.gethostname())
        answer = resolver.resolve(dns.reversename.from_address(address), "PTR")
    except (OSError, dns.exception.DNSException):
        return None
    return index_in_name(str(answer[0]))


def index_in_name(name: str) -> str | None:
    """``3`` of ``project-peer-3.project_default.``; None where there is no index."""
    service, _, index = name.split(".")[0].rpartition("-")
    return index if service and index.isdecimal() else None


def control_path(settings: Settings) -> Path | None:
    """Where the peer of these settings listens for ``actr ps``; None: nowhere."""
    text = settings.control.socket
    if "{instance}" in text:
        text = text.replace("{instance}", own_id(settings.actor.id).instance)
    return Path(text) if text else None


async def until_asked_to_stop(ref: ActrRef, ready: Callable[[], object]) -> None:
    """Wait for SIGTERM or SIGINT.

    Args:
        ready: Tells others that the actor is there, once both signals end it gracefully.

    Raises:
        BusyError: If the actor ended by itself: a newer process has its identity.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked.set)
    ready()
    try:
        async with Tasks("stop") as tasks:
            ended = tasks.start("actor", _set_at_the_end(ref, asked))
            await asked.wait()
            if ended.done():
                raise BusyError(
                    f"a newer process has the identity {ref.id}; give one of them another in "
                    "ACTR_ACTOR__ID"
                )
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP cancel the task of this block, as Ctrl-C does; out of it comes
    ``KeyboardInterrupt``, when the blocks inside have ended in good order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _set_at_the_end(ref: ActrRef, asked: asyncio.Event) -> None:
    await ref
    asked.set()


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` on uvloop where it is installed: half the processor time per byte."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


def configure_logs(log: Log, environment: Mapping[str, str] = os.environ) -> None:
    """Send structured logs, and those of the libraries, to standard error."""
    readable = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in environment)
        if readable
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(log.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=log.level.upper(), force=True)
    for noisy in ("aioice", "aiortc"):  # a line per candidate pair and packet
        logging.getLogger(noisy).setLevel(
            max(logging.WARNING, logging.getLevelName(log.level.upper()))
        )


def _realm_secret(settings: Settings) -> bytes | None:
    path = settings.realm.secret_file
    if path is None:
        if settings.realm.production:
            raise ConfigError(
                "realm.production is true and realm.secret_file is not set: name a file with "
                "the realm's secret in ACTR_REALM__SECRET_FILE"
            )
        return None
    secret = _read_secret(path, "realm.secret_file")
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"realm.secret_file = {str(path)!r}: {len(secret)} bytes are too few to be a secret, "
            f"write at least {MIN_SECRET_BYTES}, for example with 'openssl rand -hex 32'"
        )
    return secret


def _read_secret(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes().strip()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not a path"
        # Shown where it can be a path: a secret may stand there by mistake.
        is_path = path.is_absolute() and path.parent != path.parent.parent
        if is_path and path.parent.is_dir():
            shown, hint = f"{key} = {str(path)!r}", "name a file that this user can read"
        else:
            shown, hint = (
                key,
                (
                    "name a file that this user can read, by its absolute path, and not the secret "
                    "(the value is not shown, for it may be one)"
                ),
            )
        raise ConfigError(f"{shown}: {why}; {hint}") from exc


def _ice_server(entry: IceServerEntry) -> IceServer:
    path = entry.credential_file
    key = "wires.ice_servers.credential_file"
    try:
        credential = _read_secret(path, key).decode() if path else ""
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{key} = {str(path)!r}: must be text in UTF-8") from exc
    return IceServer(urls=entry.urls, username=entry.username, credential=credential)


def _mailbox_path(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise ConfigError(
            f"mailbox.path = {text!r}: the folder {path.parent} does not exist; make it, or name "
            "another file in ACTR_MAILBOX__PATH"
        )
    return path
