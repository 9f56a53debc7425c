"""TCP sockets as wires need them: small kernel buffers, dead peers noticed, typed errors."""

from __future__ import annotations

import errno
import resource
import socket
from asyncio import get_running_loop, timeout
from collections.abc import Callable
from secrets import SystemRandom
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from actr_peer.errors import BusyError, ConfigError
from actr_peer.state.port_holder import holder_of_port

LOOPBACK = "127.0.0.1"
Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""As ``getaddrinfo`` returns it."""
BACKLOG = 1024
"""Who comes while it is full waits a second for its next try."""
ADDRESS_SECONDS = 2.0

# (level, name of the option, value). What the kernel holds is beyond the reach of priorities:
# an urgent message waits behind all of it. So little is kept unsent, and the receiver's window
# is bounded. Set before connect and listen, for the window scale is agreed in the first packet;
# an accepted socket has the options of its listener.
_OPTIONS: tuple[tuple[int, str, int], ...] = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", 32 * 1024),
    (socket.SOL_SOCKET, "SO_RCVBUF", 512 * 1024),  # the kernel may grant less (net.core.rmem_max)
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 2),  # seconds
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),  # where there is no TCP_USER_TIMEOUT
)
DEAD_SECONDS = 10.0
"""Without an acknowledgement of data or keep-alive, after which a far side is gone."""


def tune(sock: socket.socket, *, dead_after: float = DEAD_SECONDS) -> None:
    """Set what a wire's socket needs, as far as the platform knows it.

    Args:
        dead_after: Seconds without an acknowledgement, with data under way or without.
    """
    dead = (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", round(dead_after * 1000))
    for level, name, value in (*_OPTIONS, dead):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(level, option, value)


def parse_listen(text: str) -> tuple[str, int]:
    """Read ``host:port``, ``[v6]:port`` or ``:port``.

    Raises:
        ConfigError: If it is none of them.
    """
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(
            f"listen address {text!r}: write host:port, for example 127.0.0.1:9100; port 0 "
            "takes a free one"
        )
    if bare == host and ":" in host:
        raise ConfigError(f"listen address {text!r}: write an IPv6 address in brackets")
    return bare, int(port)


def is_websocket_url(url: str) -> bool:
    """Whether ``url`` is one that can be dialled, as far as its text goes."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, half of an IPv6 address
        return False


async def listen(host: str, port: int, *, dead_after: float = DEAD_SECONDS) -> socket.socket:
    """Return a bound socket that is not listening yet.

    Args:
        dead_after: As of :func:`tune`, for the sockets that it accepts.

    Raises:
        BusyError: If another program has the port.
        ConfigError: If the host is not an address of this machine.
    """
    at = f"{host}:{port}"
    try:
        found = await get_running_loop().getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as exc:
        raise ConfigError(f"listen address {at}: the host is not known ({exc})") from exc
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tune(sock, dead_after=dead_after)
        sock.settimeout(0)
        sock.bind(address)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            holder = holder_of_port(port) or "another program"
            raise BusyError(
                f"port {port} on {host or 'all addresses'} is in use by {holder}: stop that, or "
                "listen on another port (--listen, ACTR_WIRES__LISTEN; port 0 takes a free one)"
            ) from exc
        raise ConfigError(f"listen address {at}: cannot be bound ({exc.strerror})") from exc
    return sock


async def connect(
    host: str,
    port: int,
    *,
    dead_after: float = DEAD_SECONDS,
    admits: Callable[[str], bool] = lambda address: True,
) -> socket.socket:
    """Return a connected socket; tries the addresses of ``host`` in random order.

    What is connected to is what was asked ``admits``: the name is looked up once.

    A name may stand for several replicas, one of which may be dead and silent: each address
    has ``ADDRESS_SECONDS``. Cancelling closes what was begun.

    Raises:
        OSError: If none of them answers, or may be tried.
    """
    loop = get_running_loop()
    known = await resolve(host, port)
    found = [item for item in known if admits(str(item[4][0]))]
    if known and not found:
        raise OSError(f"{host} is at {known[0][4][0]}, which may not be dialled from here")
    SystemRandom().shuffle(found)
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            tune(sock, dead_after=dead_after)
            sock.settimeout(0)
            async with timeout(ADDRESS_SECONDS):
                await loop.sock_connect(sock, address)
        except OSError as exc:
            sock.close()
            failure = exc
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of ``host``.

    Raises:
        OSError: If it has none, or is no name.
    """
    try:
        return list(await get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as exc:  # IDNA
        raise OSError(f"{host[:64]!r} is no host name") from exc


async def address_towards(url: str) -> str:
    """Return this machine's address on the interface that reaches the host of ``url``.

    No packet is sent: a datagram socket is connected, which only asks the routing table.
    The loopback address where there is no route or no such host.
    """
    parts = urlsplit(url)
    try:
        found = await get_running_loop().getaddrinfo(
            parts.hostname, parts.port or 80, type=socket.SOCK_DGRAM
        )
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.connect(address)
            return str(sock.getsockname()[0])
    except OSError:
        return LOOPBACK


def is_spare(descriptor: int, spare: int) -> bool:
    """Whether a new connection has one of the process's last descriptors, which are kept for what
    goes on already: files, dials, connections that are in.

    Args:
        descriptor: The new connection's.
        spare: How many are kept.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 <= limit - spare < descriptor  # none is where there is no limit, or a tiny one


def authority(host: str, port: int) -> str:
    """Return ``host:port`` as a URL has it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
