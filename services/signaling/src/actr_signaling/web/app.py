"""The FastAPI application: lifespan owns the hub and its ledger; routes are thin."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any, Protocol

import structlog
from fastapi import Depends, FastAPI, Response
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from actr_signaling.protocol.client.trust import Trust
from actr_signaling.protocol.websocket.upgrade import PATH, WIRE_PATH
from actr_signaling.settings import PREFIX, Settings
from actr_signaling.web.browser import scripts
from actr_signaling.web.browser.console import pages
from actr_signaling.web.metrics import page as metrics_page
from actr_signaling.web.service import DEVELOPMENT, Service

log = structlog.get_logger()


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


def build_app(settings: Settings, mounted: Mounted | None = None) -> FastAPI:
    """Make the application: its pages; a WebSocket does not come here (``door/guard.py``).

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
            await stack.enter_async_context(service.lag)
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
    app.add_api_route(
        metrics_page.PATH,
        metrics,
        operation_id="metrics",
        response_class=PlainTextResponse,
        responses={403: {"description": "Asked from another machine."}},
    )
    for path in (PATH, WIRE_PATH):
        app.add_api_route(path, upgrade_only, include_in_schema=False)
    app.router.routes.extend((*scripts.routes(), *pages.routes()))
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


async def metrics(service: ServiceDep, request: Request) -> Response:
    """What Prometheus reads; for who asks from this machine."""
    return metrics_page.answer_here(service, request)


async def upgrade_only() -> Response:
    """What a browser sees that is pointed at the WebSocket by hand."""
    headers = {"upgrade": "websocket", "sec-websocket-version": "13"}
    return Response("this is a WebSocket\n", 426, headers, "text/plain")
