"""The FastAPI application: lifespan owns the hub and its ledger; routes are thin."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit

import structlog
import uuid_utils
from fastapi import Depends, FastAPI, Response, WebSocket
from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from actr_signaling.errors import Close
from actr_signaling.hub.hub import Hub
from actr_signaling.hub.ice import IceServers
from actr_signaling.ledger.memory import MemoryLedger
from actr_signaling.ledger.redis.ledger import RedisLedger
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.messages import MAX_MESSAGE_BYTES
from actr_signaling.protocol.client.proofs import NONCE_BYTES
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Trust
from actr_signaling.secret_files import read_secret, secret_lookup
from actr_signaling.settings import PREFIX, Settings
from actr_signaling.trust.keeper import Keeper
from actr_signaling.web.connection import Connection
from actr_signaling.web.metrics import FORM, page
from actr_signaling.web.store import address_of
from actr_signaling.web.websocket import SCOPE_KEY, Socket

log = structlog.get_logger()

BINARY = "actr.v1"
JSON = "actr.v1.json"
JITTER = 0.2
"""Of the heartbeat interval, each way: peers that came together do not beat together."""


DEVELOPMENT = "DEVELOPMENT MODE: no realm secret and no issuer, anyone may register as any actor"


class Health(BaseModel):
    status: str
    warning: str | None = None
    """That nobody proves anything here; left out where they do."""


class Version(BaseModel):
    service: str
    version: str
    server_id: str
    form: str


class Mounted(AbstractAsyncContextManager[Any], Protocol):
    """Another application that this one serves at ``path``; entered while it does."""

    path: str
    app: ASGIApp


class Service:
    """What the routes need: the hub, and the terms of new sessions."""

    def __init__(self, settings: Settings, *, server_id: str) -> None:
        self.settings = settings
        self.server_id = server_id
        self.trust = Trust(
            secret_of=secret_lookup(settings.realm_secret_file, settings.realm_secrets_dir),
            issuer_keys={} if settings.believed_keys else None,
            accepts_secrets=settings.accept_secrets,
        )
        self.terms = Terms(
            authenticate=settings.authenticate,
            lease=settings.lease,
            heartbeat=settings.heartbeat,
            messages_per_second=settings.messages_per_second,
            messages_burst=settings.messages_burst,
            bytes_per_second=settings.bytes_per_second,
            bytes_burst=settings.bytes_burst,
        )
        secret = b""
        if settings.turn_secret_file is not None:
            secret = read_secret(settings.turn_secret_file, "TURN_SECRET_FILE")
        ice = IceServers(settings.turn_urls, secret=secret, ttl=settings.turn_ttl)
        self.hub = Hub(
            server_id=server_id, ice=ice, heartbeat=self._heartbeat, grace=settings.grace
        )
        self.hub.meetings.follow(self.trust)
        self.ledger = self._make_ledger()
        self.hub.attach(self.ledger)
        self.keeper = Keeper(
            self.trust,
            keys=settings.believed_keys,
            revoked=settings.believed_revoked,
            is_there=settings.issuer_home is None,
            access=settings.access,
            interval=settings.trust_interval,
            changed=self.hub.examine_again,
        )

    def _make_ledger(self) -> MemoryLedger | RedisLedger:
        settings = self.settings
        if not settings.redis_url:
            return MemoryLedger(self.hub, wall_clock=lambda: time.time_ns() // 1000)
        return RedisLedger(
            self.hub,
            address=address_of(settings),
            replica=self.server_id,
            lease=settings.lease,
            prefix=settings.redis_prefix,
        )

    @property
    def warning(self) -> str | None:
        return DEVELOPMENT if self.trust.is_development else None

    def challenge(self) -> Challenge:
        return Challenge(
            server_id=self.server_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            trust=self.trust,
        )

    def _heartbeat(self) -> float:
        return self.settings.heartbeat * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def build_app(settings: Settings, mounted: Mounted | None = None) -> FastAPI:
    """Make the application; it must run on uvicorn with ``Socket`` of ``websocket.py``.

    Args:
        mounted: Another application to serve beside it.

    Raises:
        ConfigError: If a secret or the Redis URL cannot be used.
    """
    service = Service(settings, server_id=secrets.token_hex(8))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service
        _say_who_is_believed(service.trust)
        async with AsyncExitStack() as stack:
            if mounted is not None:  # an issuer, whose keys the keeper reads
                await stack.enter_async_context(mounted)
            await stack.enter_async_context(service.keeper)
            await stack.enter_async_context(service.ledger)
            yield

    app = FastAPI(
        title="actr signaling",
        version=version("actr-signaling"),
        lifespan=lifespan,
        docs_url=None,  # the pages load scripts from a third party
        redoc_url=None,
    )
    app.state.service = service
    page = partial(app.add_api_route, response_model=Health, response_model_exclude_none=True)
    page("/healthz", healthz, operation_id="healthz")
    page("/readyz", readyz, operation_id="readyz", responses={503: {"model": Health}})
    app.add_api_route("/version", version_page, operation_id="version", response_model=Version)
    app.add_api_route("/metrics", metrics, operation_id="metrics", response_class=PlainTextResponse)
    app.add_api_websocket_route("/v1/ws", serve)
    app.add_api_route("/v1/ws", upgrade_only, include_in_schema=False)
    if mounted is not None:
        app.mount(mounted.path, mounted.app)
    return app


def _say_who_is_believed(trust: Trust) -> None:
    if trust.issuer_keys is not None and not trust.certificate_required:
        log.warning(
            "a realm's secret is taken in place of a certificate: who has it may claim any id",
            fix=f"unset {PREFIX}ACCEPT_SECRETS once every actor has a certificate",
        )
    elif trust.is_development:
        log.warning(
            DEVELOPMENT,
            fix=f"set {PREFIX}ISSUER_KEYS, or {PREFIX}REALM_SECRET_FILE",
        )


def _service(connection: HTTPConnection) -> Service:
    service = connection.app.state.service
    assert isinstance(service, Service)
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def healthz(service: ServiceDep) -> Health:
    """Whether the process answers."""
    return Health(status="ok", warning=service.warning)


async def readyz(service: ServiceDep, response: Response) -> Health:
    """Whether new peers should come here: the store answers, and no drain has begun."""
    if service.hub.is_ready and service.keeper.is_ready:
        return Health(status="ready", warning=DEVELOPMENT if service.trust.is_development else None)
    response.status_code = 503
    if service.hub.is_draining:
        return Health(status="draining")
    return Health(status="store away" if service.keeper.is_ready else "issuer keys not known yet")


async def version_page(service: ServiceDep) -> Version:
    return Version(
        service="actr-signaling",
        version=version("actr-signaling"),
        server_id=service.server_id,
        form="redis" if service.settings.redis_url else "memory",
    )


async def metrics(service: ServiceDep) -> PlainTextResponse:
    """Counts, in the text form that Prometheus reads."""
    return PlainTextResponse(page(service.hub), media_type=FORM)


async def upgrade_only() -> Response:
    """What a browser sees that is pointed at the WebSocket by hand."""
    headers = {"upgrade": "websocket", "sec-websocket-version": "13"}
    return Response("this is a WebSocket\n", 426, headers, "text/plain")


async def serve(websocket: WebSocket) -> None:
    """Serve one peer: accept, greet, hand the socket to its session, wait for its end."""
    service = _service(websocket)
    offered = websocket.scope["subprotocols"]
    chosen = next((name for name in offered if name in (BINARY, JSON)), None)
    await websocket.accept(subprotocol=chosen)
    socket = websocket.scope["extensions"][SCOPE_KEY]
    assert isinstance(socket, Socket)
    refusal = _refusal(websocket, service)
    if refusal is not None:
        code, why = refusal
        data = replies.error(0, code, why)
        socket.send_message(json_form.to_json(data) if chosen == JSON else data)
        socket.finish(code, why)
        return
    challenge = service.challenge()
    session = Session(challenge, service.terms, asyncio.get_running_loop().time())
    connection = Connection(
        service.hub,
        socket,
        session,
        session_id=uuid_utils.uuid7().hex,
        is_json=chosen == JSON,
    )
    hello = replies.hello(
        nonce=challenge.nonce,
        server_id=challenge.server_id,
        proof_required=service.trust.secret_required,
        certificate_required=service.trust.certificate_required,
        max_message_bytes=MAX_MESSAGE_BYTES,
        unix=time.time(),
    )
    await connection.run(hello)


def _refusal(websocket: WebSocket, service: Service) -> tuple[Close, str] | None:
    if service.hub.is_draining:
        return Close.RESTART, "this replica goes away"
    origin = websocket.headers.get("origin")
    if origin is not None and not _is_allowed(
        origin, websocket.headers.get("host", ""), service.settings.allowed_origins
    ):
        return Close.FORBIDDEN, "this origin is not allowed"
    return None


def _is_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    """Programs send no origin; a page must be this service's own or a listed one."""
    if "*" in allowed or origin in allowed:
        return True
    try:
        return origin != "null" and urlsplit(origin).netloc == host != ""
    except ValueError:
        return False
