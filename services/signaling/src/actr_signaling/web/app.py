"""The FastAPI application: lifespan owns the hub and its ledger; routes are thin."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated
from urllib.parse import urlsplit

import structlog
import uuid_utils
from fastapi import Depends, FastAPI, Response, WebSocket
from pydantic import BaseModel
from starlette.requests import HTTPConnection

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
from actr_signaling.protocol.client.session import Challenge, Session
from actr_signaling.settings import PREFIX, Settings, read_realm_secrets, read_secret
from actr_signaling.web.connection import Connection
from actr_signaling.web.websocket import SCOPE_KEY, Socket

log = structlog.get_logger()

BINARY = "actr.v1"
JSON = "actr.v1.json"
JITTER = 0.2
"""Of the heartbeat interval, each way: peers that came together do not beat together."""


class Health(BaseModel):
    status: str


class Version(BaseModel):
    service: str
    version: str
    server_id: str
    form: str


class Service:
    """What the routes need: the hub, and the terms of new sessions."""

    def __init__(self, settings: Settings, *, server_id: str) -> None:
        self.settings = settings
        self.server_id = server_id
        self.secret_of = _secret_lookup(settings)
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

        self.ledger = self._make_ledger()
        self.hub.attach(self.ledger)

    def _make_ledger(self) -> MemoryLedger | RedisLedger:
        settings = self.settings
        if not settings.redis_url:
            return MemoryLedger(self.hub, wall_clock=lambda: time.time_ns() // 1000)
        return RedisLedger(
            self.hub,
            url=settings.redis_url,
            replica=self.server_id,
            lease=settings.lease,
            prefix=settings.redis_prefix,
        )

    def challenge(self) -> Challenge:
        return Challenge(
            server_id=self.server_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            secret_of=self.secret_of,
        )

    def _heartbeat(self) -> float:
        return self.settings.heartbeat * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def build_app(settings: Settings) -> FastAPI:
    """Make the application; it must run on uvicorn with ``Socket`` of ``websocket.py``.

    Raises:
        ConfigError: If a secret or the Redis URL cannot be used.
    """
    service = Service(settings, server_id=secrets.token_hex(8))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service
        if service.secret_of is None:
            log.warning(
                "DEVELOPMENT MODE: no realm secret, anyone may register as any actor",
                fix=f"set {PREFIX}REALM_SECRET_FILE",
            )
        async with service.ledger:
            yield

    app = FastAPI(
        title="actr signaling",
        version=version("actr-signaling"),
        lifespan=lifespan,
        docs_url=None,  # the pages load scripts from a third party
        redoc_url=None,
    )
    app.state.service = service
    app.add_api_route("/healthz", healthz, operation_id="healthz", response_model=Health)
    app.add_api_route(
        "/readyz",
        readyz,
        operation_id="readyz",
        response_model=Health,
        responses={503: {"model": Health}},
    )
    app.add_api_route("/version", version_page, operation_id="version", response_model=Version)
    app.add_api_websocket_route("/v1/ws", serve)
    app.add_api_route("/v1/ws", upgrade_only, include_in_schema=False)
    return app


def _service(connection: HTTPConnection) -> Service:
    service = connection.app.state.service
    assert isinstance(service, Service)
    return service


ServiceDep = Annotated[Service, Depends(_service)]


async def healthz() -> Health:
    """Whether the process answers."""
    return Health(status="ok")


async def readyz(service: ServiceDep, response: Response) -> Health:
    """Whether new peers should come here: the store answers, and no drain has begun."""
    if service.hub.is_ready:
        return Health(status="ready")
    response.status_code = 503
    return Health(status="draining" if service.hub.is_draining else "store away")


async def version_page(service: ServiceDep) -> Version:
    return Version(
        service="actr-signaling",
        version=version("actr-signaling"),
        server_id=service.server_id,
        form="redis" if service.settings.redis_url else "memory",
    )


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
        proof_required=challenge.secret_of is not None,
        max_message_bytes=MAX_MESSAGE_BYTES,
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


def _secret_lookup(settings: Settings) -> Callable[[str], bytes | None] | None:
    realms: dict[str, bytes] = {}
    if settings.realm_secrets_dir is not None:
        realms = read_realm_secrets(settings.realm_secrets_dir)
    common: bytes | None = None
    if settings.realm_secret_file is not None:
        common = read_secret(settings.realm_secret_file, "REALM_SECRET_FILE")
    if common is None and settings.realm_secrets_dir is None:
        return None
    return lambda realm: realms.get(realm, common)
