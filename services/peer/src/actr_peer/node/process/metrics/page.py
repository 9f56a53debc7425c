"""The page ``/metrics``: one request for each connection, few at once, each with a bound.

HTTP is read and written by h11; the numbers are those of the moment in which the request came, and
are put into text by a thread, so that who asks does not hold the actor up.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, cast

import h11
from prometheus_client import ProcessCollector
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.config.metrics import UNIX
from actr_peer.node.observe.view import NodeView
from actr_peer.node.process.metrics.families import FAMILIES
from actr_peer.node.process.socket import bind
from actr_peer.state.port_holder import holder_of_port
from actr_peer.tasks import Tasks, note_failure
from actr_peer.wire import tcp

log = logging.getLogger(__name__)

PATH: Final = "/metrics"
MAX_CLIENTS: Final = 8
"""Connections at once; one more is told so."""
MAX_REQUEST_BYTES: Final = 4096
SECONDS: Final = 10.0
"""For a request, from its connection to the last byte of its answer."""

_TEXT: Final = "text/plain; charset=utf-8"


class MetricsPage:
    """Answers for as long as its block lasts.

    Args:
        listen: ``host:port``, or ``unix:`` and a path.
        view: Looks at the actor.

    Attributes:
        url: Where it is, once it listens; port 0 has become one.
    """

    def __init__(self, listen: str, view: Callable[[], NodeView]) -> None:
        self.url = ""
        self.clients: set[_Client] = set()
        self._listen = listen
        self._view = view
        self._tasks = Tasks("metrics")
        self._process = ProcessCollector(registry=None)
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            BusyError: If another process has the address.
            ConfigError: If it cannot be listened on.
        """
        await self._tasks.__aenter__()
        try:
            self._server = await self._bound()
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
        log.info("metrics: listen=%s", self.url)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for client in tuple(self.clients):
            client.abort()
        if self._listen.startswith(UNIX):
            with suppress(FileNotFoundError):
                os.unlink(self._listen.removeprefix(UNIX))
        await self._tasks.__aexit__(None, None, None)

    async def _bound(self) -> asyncio.Server:
        loop, where = asyncio.get_running_loop(), f"metrics.listen = {self._listen!r}"
        if self._listen.startswith(UNIX):
            self.url = self._listen
            sock = await bind(Path(self._listen.removeprefix(UNIX)), "metrics")
            return await loop.create_unix_server(lambda: _Client(self), sock=sock)
        host, port = tcp.parse_listen(self._listen)
        try:
            server = await loop.create_server(lambda: _Client(self), host, port, backlog=16)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                holder = holder_of_port(port) or "another program"
                raise BusyError(
                    f"{where} is in use by {holder}: stop that, or name another address in "
                    "ACTR_METRICS__LISTEN"
                ) from exc
            why = exc.strerror or str(exc)
            raise ConfigError(f"{where}: {why}; name another in ACTR_METRICS__LISTEN") from exc
        self.url = f"http://{tcp.authority(host, server.sockets[0].getsockname()[1])}{PATH}"
        return server

    def render(self, client: _Client, accept: str) -> None:
        """Give a client the numbers of this moment."""
        snapshot = _Snapshot(self._view(), self._process)

        def failed(exc: BaseException) -> None:
            client.answer(500, f"failed with {type(exc).__name__}\n".encode())

        self._tasks.start("request", _render(client, accept, snapshot), failed=failed)


async def _render(client: _Client, accept: str, snapshot: _Snapshot) -> None:
    encode, form = choose_encoder(accept)
    text = await asyncio.to_thread(encode, cast("CollectorRegistry", snapshot))
    client.answer(200, text, form)


class _Snapshot:
    """What an encoder asks for its metrics."""

    def __init__(self, view: NodeView, process: ProcessCollector) -> None:
        self._view = view
        self._process = process

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield family.of(self._view)
        yield from self._process.collect()


class _Client(asyncio.Protocol):
    """One connection: a request, its answer, and the end."""

    def __init__(self, page: MetricsPage) -> None:
        self._page = page
        self._is_asked = False
        self._is_head = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST_BYTES)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self.abort)
        clients = self._page.clients
        clients.add(self)
        if len(clients) > MAX_CLIENTS:
            self._is_asked = True
            self.answer(503, f"more than {MAX_CLIENTS} clients at once\n".encode())

    def data_received(self, data: bytes) -> None:
        if self._is_asked:
            return  # whatever comes behind the request is not read
        try:
            self._http.receive_data(data)
            request = self._http.next_event()
        except h11.RemoteProtocolError as exc:
            self._is_asked = True
            self.answer(exc.error_status_hint, b"this is no request\n")
            return
        if isinstance(request, h11.Request):
            self._is_asked = True
            self._take(request)

    def eof_received(self) -> None:
        """Whoever says no more before a request is complete gets no answer."""

    def _take(self, request: h11.Request) -> None:
        self._is_head = request.method == b"HEAD"
        if request.method not in (b"GET", b"HEAD"):
            self.answer(405, b"GET is all there is\n", allow="GET, HEAD")
        elif request.target.partition(b"?")[0] != PATH.encode():
            self.answer(404, f"only {PATH} is here\n".encode())
        else:
            accept = b",".join(value for name, value in request.headers if name == b"accept")
            self._ask(accept.decode("latin-1"))

    def _ask(self, accept: str) -> None:
        try:
            self._page.render(self, accept)
        except Exception as exc:  # noqa: BLE001 - decision 6: it ends this answer and nothing else
            note_failure("metrics", "request", exc)
            self.answer(500, f"failed with {type(exc).__name__}\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._page.clients.discard(self)

    def answer(self, status: int, body: bytes, form: str = _TEXT, *, allow: str = "") -> None:
        """Send it and end the connection."""
        if self._transport.is_closing():
            return
        headers = [("content-type", form), ("content-length", str(len(body)))]
        headers += [("connection", "close"), *([("allow", allow)] if allow else [])]
        response = h11.Response(status_code=status, headers=headers)
        parts = [self._http.send(response)]
        if not self._is_head:
            parts.append(self._http.send(h11.Data(data=body)))
        self._transport.write(b"".join(part for part in parts if part))
        self._transport.close()

    def abort(self) -> None:
        """End now, with or without an answer."""
        self._transport.abort()
