"""Where a request comes in: who asks for what of whom, and whether; then Connect's application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from connectrpc.errors import ConnectError

from actr_peer.cli.verbs.gateway.bounds import MAX_HEADER_BYTES, RESOLVE_SECONDS, Bounds
from actr_peer.cli.verbs.gateway.contracts import Callee, Contracts
from actr_peer.cli.verbs.gateway.endpoints import Application, Order
from actr_peer.cli.verbs.gateway.exchange import Exchange, Receive, Send
from actr_peer.cli.verbs.gateway.server import ABORT
from actr_peer.cli.verbs.gateway.tally import Tally
from actr_peer.errors import BrokenError, CallError, Code, DeadlineError, PeerError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.connect.codes import said
from actr_peer.protocol.rpc.connect.pages import Pages
from actr_peer.protocol.rpc.connect.refusals import (
    STREAM_TYPES,
    UNARY_TYPES,
    Reply,
    content_type_of,
    refusal,
)
from actr_peer.protocol.rpc.connect.routes import (
    TO,
    Route,
    read_metadata,
    read_route,
    read_timeout,
)
from actr_peer.protocol.rpc.connect.rules import ANONYMOUS, GatewayRules, NoRules, refused
from actr_peer.protocol.websocket.door import origin
from actr_peer.tasks import note_failure

TIMEOUT: Final = "connect-timeout-ms"
_FORGOTTEN: Final = (Code.FAILED_PRECONDITION, Code.UNIMPLEMENTED)
"""After which a contract is not believed any more."""


@dataclass(frozen=True, slots=True)
class _Head:
    """A request without its body."""

    method: str
    path: str
    """As it came."""
    pairs: tuple[tuple[str, str], ...]
    """All headers, names in small letters."""
    headers: Mapping[str, str]
    """The last of each name."""
    host: str
    """Whence it came."""

    @property
    def size(self) -> int:
        """Bytes of all headers."""
        return sum(len(name) + len(value) for name, value in self.pairs)

    @property
    def content_type(self) -> str:
        return content_type_of(self.headers.get("content-type", ""))


class Entry:
    """The ASGI application of a gateway.

    Args:
        rules: Who may call what.
        pages: Whose web pages may call.
        contracts: Of whom they call.
        tally: Counts calls, and bounds how many run.
    """

    def __init__(
        self,
        rules: GatewayRules,
        pages: Pages,
        contracts: Contracts,
        tally: Tally,
        bounds: Bounds,
    ) -> None:
        self._rules = rules
        self._pages = pages
        self._contracts = contracts
        self._tally = tally
        self._bounds = bounds

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request; nothing that it holds ends more than its connection."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})  # before it is accepted: a 403
            return
        exchange = Exchange(receive, send, scope["state"][ABORT])
        try:
            await self._answer(scope, exchange)
        except (ConnectError, BrokenError):
            return  # the caller left, or was cut off
        except Exception as exc:  # noqa: BLE001 - the boundary of one request
            note_failure("gateway", "request", exc)
            exchange.cut()

    async def _answer(self, scope: Mapping[str, Any], exchange: Exchange) -> None:
        head = _read(scope)
        with ExitStack() as held:
            try:
                answer = self._here(head, exchange) or await self._prepared(head, held)
            except PeerError as exc:
                told = said(exc)
                self._tally.note(told.code)
                answer = refusal(told, head.content_type)
            if isinstance(answer, Reply):
                await exchange.reply(answer)
                return
            if answer.takes_one:
                exchange.expect_one()
            await answer.application({**scope, **answer.scope}, exchange.receive, exchange.send)

    def _here(self, head: _Head, exchange: Exchange) -> Reply | None:
        """What the gateway answers itself; None: it is a call.

        Raises:
            CallError: PERMISSION_DENIED, if a page asks that may not.
        """
        if head.size > MAX_HEADER_BYTES:
            return Reply(431)
        why = self._pages.refuses(head.headers)
        if why:
            raise CallError(Code.PERMISSION_DENIED, why)
        exchange.show(self._pages.shown_to(head.headers))
        if head.method == "OPTIONS":
            return self._pages.preflight(head.headers)
        if head.method not in ("GET", "POST"):
            return Reply(405, (("allow", "GET, POST, OPTIONS"),))
        if head.method == "POST" and head.content_type not in (*UNARY_TYPES, *STREAM_TYPES):
            return Reply(415, (("accept-post", ", ".join((*UNARY_TYPES, *STREAM_TYPES))),))
        return None

    async def _prepared(self, head: _Head, held: ExitStack) -> _Prepared:
        """What makes the call.

        Args:
            held: Its place among those that run.

        Raises:
            PeerError: Why it is not made.
        """
        loop = asyncio.get_running_loop()
        caller = self._rules.caller_of(head.headers.get("authorization"))
        seconds = read_timeout(head.headers.get(TIMEOUT))
        until = None if seconds is None else loop.time() + seconds
        route = read_route(head.path, head.headers.get(TO))
        metadata = read_metadata(head.pairs, "" if caller == ANONYMOUS else caller)
        if route.to is not None and not self._rules.allows(caller, route.to, route.key):
            raise refused(caller, route.to, route.key)
        held.enter_context(self._tally.one(self._sharing(caller, head.host)))
        within = RESOLVE_SECONDS if seconds is None else min(seconds, RESOLVE_SECONDS)
        try:
            async with asyncio.timeout(within):
                to, callee = await self._callee(route, caller, within)
        except TimeoutError as exc:
            raise DeadlineError(f"{route.key}: whom it means was not known in time") from exc
        ended = partial(self._ended, to)
        application = Application(
            Order(callee=callee, metadata=metadata, ended=ended), self._bounds.message_bytes
        )
        left = None if until is None else max(1, round(1000 * (until - loop.time())))
        return _Prepared(
            application,
            takes_one=not callee.method.kind.requests_stream,
            scope={"path": route.path, "headers": _with_timeout(head.pairs, left)},
        )

    def _sharing(self, caller: str, host: str) -> str:
        """Of whose share a call is; without rules nobody is a stranger."""
        if isinstance(self._rules, NoRules):
            return ""
        return f"from {host}" if caller == ANONYMOUS else caller

    async def _callee(
        self, route: Route, caller: str, timeout: float
    ) -> tuple[ActrId | ActrType, Callee]:
        """Who is asked, and for which method.

        Raises:
            PeerError: If there is none, or the caller may not ask.
        """
        to = route.to
        if to is None:
            if not self._rules.may_ask_any(caller, route.key):
                raise refused(caller, route.service, route.key)
            to = await self._contracts.serving(
                route.service, lambda each: self._rules.allows(caller, each, route.key)
            )
            if not self._rules.allows(caller, to, route.key):
                raise refused(caller, to, route.key)
        return to, await self._contracts.callee(to, route.key, timeout)

    def _ended(self, to: ActrId | ActrType, code: Code | None) -> None:
        self._tally.note(code)
        if code in _FORGOTTEN:
            self._contracts.forget(to)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A call that can be made."""

    application: Application
    takes_one: bool
    """Its request is one message."""
    scope: Mapping[str, Any]
    """What of the scope is another for the application."""


def _read(scope: Mapping[str, Any]) -> _Head:
    pairs = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1").strip())
        for name, value in scope["headers"]
    )
    return _Head(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        pairs=pairs,
        headers=dict(pairs),
        host=origin(str((scope.get("client") or ("",))[0])),
    )


def _with_timeout(pairs: Iterable[tuple[str, str]], left: int | None) -> list[tuple[bytes, bytes]]:
    """Headers for the application, with the milliseconds that are left."""
    kept = [(name.encode(), value.encode()) for name, value in pairs if name != TIMEOUT]
    return kept if left is None else [*kept, (TIMEOUT.encode(), str(left).encode())]
