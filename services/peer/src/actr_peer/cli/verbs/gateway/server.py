"""Connections by HTTP/1.1 and HTTP/2, each in a task of the gateway's.

Hypercorn speaks both. Its own loop over connections is left out for this one: it has no bound of
connections, and lets a connection's failure go to asyncio's log with a traceback, which any
stranger could fill. ``TCPServer`` and its context are no public names of it, hence the exact pin.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from actr_peer.cli.verbs.gateway.bounds import (
    IDLE_SECONDS,
    MAX_CONNECTIONS,
    MAX_HEADER_BYTES,
    MAX_OF_HOST,
    MAX_STREAMS,
    SPARE_DESCRIPTORS,
)
from actr_peer.cli.verbs.gateway.connection import Connection, Reader, hold_calls
from actr_peer.cli.verbs.gateway.http2 import hold_writers
from actr_peer.errors import ConfigError
from actr_peer.protocol.websocket.door import origin
from actr_peer.tasks import Tasks
from actr_peer.wire.tcp import is_spare

log = logging.getLogger(__name__)

ABORT: Final = "abort"
"""In ``scope["state"]``: cuts the connection of a request."""
_HANDSHAKE_SECONDS: Final = 10.0


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer that offers HTTP/2.

    Raises:
        ConfigError: If the files are no certificate and its key.
    """
    config = Config()
    config.certfile, config.keyfile = str(certificate), str(key)
    try:
        context = config.create_ssl_context()
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(f"--certificate {certificate}, --key {key}: {exc}") from exc
    assert context is not None
    return context


class HttpServer:
    """Serves an ASGI application for as long as its block.

    Args:
        sock: Bound; it listens from the start of the block on.
    """

    def __init__(self, app: Any, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._app = ASGIWrapper(app)
        self._sock = sock
        self._tls = tls
        self._context = WorkerContext(None)
        self._tasks = Tasks("http")
        self._config = _config()
        self._idle = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        """Of all connections, from their accept on."""
        self._of_host: Counter[str] = Counter()
        self.refused = 0
        """For there were too many, in all or of one address."""
        self.failed = 0
        """Ended by something that neither side meant, mostly bytes that are no HTTP."""

    async def __aenter__(self) -> Self:
        hold_writers()
        hold_calls()
        await self._tasks.__aenter__()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: asyncio.StreamReaderProtocol(Reader(), self._accept), sock=self._sock
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:  # what they have not sent is waited for else
            writer.transport.abort()
        await self._tasks.__aexit__(kind, error, trace)

    @property
    def open(self) -> int:
        """Connections."""
        return len(self._writers)

    @property
    def document(self) -> dict[str, int]:
        """For ``actr ps --json``."""
        return {"open": self.open, "refused": self.refused, "failed": self.failed}

    async def drain(self, seconds: float) -> None:
        """Take nothing new, and wait until what runs has ended, but no longer than ``seconds``."""
        self._server.close()
        await self._context.terminated.set()
        try:
            async with asyncio.timeout(seconds):
                while self.open:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.warning("%d connections are cut: their calls took over %g s", self.open, seconds)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, Reader)
        host = origin(str((writer.get_extra_info("peername") or ("",))[0]))
        if self._context.terminated.is_set() or self._is_full(host, writer):
            self.refused += 1
            writer.transport.abort()
            return
        self._writers.add(writer)
        self._of_host[host] += 1
        if self._tls is not None:  # what comes before the handshake is the handshake's
            cast("asyncio.Transport", writer.transport).pause_reading()
        served = self._serve(reader, writer, host)
        task = self._tasks.start("connection", served, failed=lambda exc: None)
        reader.when_left(task.cancel)

    def _is_full(self, host: str, writer: asyncio.StreamWriter) -> bool:
        """Whether there is no place for a connection from this host."""
        if self.open >= MAX_CONNECTIONS or self._of_host[host] >= MAX_OF_HOST:
            return True
        return is_spare(writer.get_extra_info("socket").fileno(), SPARE_DESCRIPTORS)

    async def _serve(self, reader: Reader, writer: asyncio.StreamWriter, host: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._tls is not None:
                await writer.start_tls(self._tls, ssl_handshake_timeout=_HANDSHAKE_SECONDS)
            state: Any = {ABORT: writer.transport.abort}
            await Connection(self._app, loop, self._config, self._context, state, reader, writer)
        except Exception as exc:
            self.failed += 1
            log.debug("a connection failed", exc_info=exc)
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._of_host[host] -= 1
            if not self._of_host[host]:
                del self._of_host[host]
            self._idle.set()


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = log  # an application that raises; ours does not
    config.include_server_header = False
    config.keep_alive_timeout = IDLE_SECONDS
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.h2_max_header_list_size = MAX_HEADER_BYTES
    config.h2_max_concurrent_streams = MAX_STREAMS
    config.keep_alive_max_requests = sys.maxsize  # it begins the one past it, and loses its reply
    return config
