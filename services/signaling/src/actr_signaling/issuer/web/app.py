"""The FastAPI application: routes are thin, every refusal is a problem document (RFC 9457)."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from actr_signaling.issuer.metrics import CONTENT_TYPE
from actr_signaling.issuer.office import Office
from actr_signaling.issuer.protocol.causes import STATUS, Cause, RefusalError
from actr_signaling.issuer.protocol.requests import MAX_BODY_BYTES
from actr_signaling.protocol.identity.keys import encode
from actr_signaling.web.door.doors import network_of

PROBLEM = "application/problem+json"
TYPE = "urn:actr:issuer:"
"""Before the cause, as the type of a problem."""
FOR_PAGES = "/v1/"
"""How all begins that a page of another site may ask, and read."""
PREFLIGHT_SECONDS = 600
"""For which a browser need not ask again whether it may ask."""


class Nonce(BaseModel):
    nonce: str
    """32 bytes as base64url: good once, for a minute."""
    time: float
    """Unix seconds at the issuer."""


class Certified(BaseModel):
    certificate: str
    """A JWT."""


class Health(BaseModel):
    status: str


def _office(request: Request) -> Office:
    office = request.app.state.office
    assert isinstance(office, Office)
    return office


OfficeDep = Annotated[Office, Depends(_office)]


async def nonce(office: OfficeDep, response: Response) -> Nonce:
    """What a request is signed over."""
    response.headers["cache-control"] = "no-store"
    data, now = office.nonce()
    return Nonce(nonce=encode(data), time=now)


async def enrol(request: Request, office: OfficeDep) -> Certified:
    """A certificate for a new key, by a join token or the realm's secret."""
    return Certified(certificate=await office.enrol(await _body(request), _address(request)))


async def renew(request: Request, office: OfficeDep) -> Certified:
    """Another certificate for an enrolled key, by the key itself."""
    return Certified(certificate=await office.renew(await _body(request), _address(request)))


async def rotate(request: Request, office: OfficeDep) -> Certified:
    """A certificate for a new key in the place of an enrolled one, which signs for it."""
    return Certified(certificate=await office.rotate(await _body(request), _address(request)))


async def keys(request: Request, office: OfficeDep) -> Response:
    """The public keys by which certificates are to be believed (RFC 7517)."""
    return _tagged(request, await office.public_keys())


async def revoked(request: Request, office: OfficeDep) -> Response:
    """Keys that are not to be believed any more, though a certificate may be alive."""
    return _tagged(request, await office.revocations())


async def access(request: Request, office: OfficeDep) -> Response:
    """Who may ask whom for what, as a JWS by an issuer key."""
    return _tagged(request, await office.access())


async def healthz(office: OfficeDep, response: Response) -> Health:
    """Whether a certificate could be given now."""
    try:
        await office.check()
    except RefusalError as exc:
        response.status_code = 503
        return Health(status=exc.message)
    return Health(status="ready")


async def metrics(office: OfficeDep) -> Response:
    return Response(await office.counted(), media_type=CONTENT_TYPE)


ROUTES: tuple[tuple[str, str, Callable[..., Awaitable[Any]], int], ...] = (
    ("GET", "/v1/nonce", nonce, 200),
    ("POST", "/v1/enrol", enrol, 201),
    ("POST", "/v1/renew", renew, 200),
    ("POST", "/v1/rotate", rotate, 201),
    ("GET", "/v1/keys", keys, 200),
    ("GET", "/v1/revoked", revoked, 200),
    ("GET", "/v1/access", access, 200),
    ("GET", "/healthz", healthz, 200),
    ("GET", "/metrics", metrics, 200),
)

READS = {path for _, path, route, _ in ROUTES if route in (keys, revoked, access)}
"""Who has a certificate, or checks those of others, looks there again and again."""


def build_app(office: Office) -> FastAPI:
    """Make the application of an issuer, which whoever serves it has entered."""
    app = FastAPI(
        title="actr issuer",
        version=version("actr-signaling"),
        docs_url=None,  # the pages load scripts from a third party
        redoc_url=None,
    )
    app.state.office = office
    app.state.pages = {}
    for method, path, route, status in ROUTES:
        app.add_api_route(path, route, methods=[method], status_code=status)
    app.add_exception_handler(RefusalError, _refused)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_middleware(_Gate, office=office)
    if office.settings.allowed_origins:
        # Outside of the gate: a preflight asks for nothing, and a refusal must be readable. Pages
        # prove themselves by what is in the request, never by cookies.
        app.add_middleware(
            _CorsOfPages,
            allow_origins=office.settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("content-type", "if-none-match"),
            expose_headers=("etag", "retry-after"),
            max_age=PREFLIGHT_SECONDS,
        )
    return app


class _CorsOfPages(CORSMiddleware):
    """Lets other sites read what is for pages: neither the metrics nor the health."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if path.startswith(FOR_PAGES):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Gate:
    """Counts each request in and out: its rate, its time. Health and metrics have no rate."""

    def __init__(self, app: ASGIApp, office: Office) -> None:
        self._app = app
        self._office = office
        self._routes = {path for _, path, _, _ in ROUTES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        started = time.perf_counter()
        try:
            if path.startswith("/v1/"):
                request = Request(scope)
                try:
                    self._office.admit(_address(request), reads=path in READS)
                except RefusalError as exc:
                    await _problem(self._office, exc)(scope, receive, send)
                    return
            await self._app(scope, receive, send)
        finally:
            route = path if path in self._routes else "other"
            self._office.metrics.took(route, time.perf_counter() - started)


async def _body(request: Request) -> bytes:
    """All of it, or so much that it is seen to be too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return body


def _address(request: Request) -> str:
    return "local" if request.client is None else network_of(request.client.host)


def _tagged(request: Request, document: dict[str, object]) -> Response:
    """A document with its tag, or only word that it is still the one that the reader has."""
    body, tag = _encoded(request.app.state.pages, request.url.path, document)
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _encoded(pages: dict[str, _Page], path: str, document: dict[str, object]) -> tuple[bytes, str]:
    """Body and tag of a page, made once for each document: all that is revoked may be a lot."""
    page = pages.get(path)
    if page is None or page.document is not document:
        body = json.dumps(document, separators=(",", ":")).encode()
        page = pages[path] = _Page(document, body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')
    return page.body, page.tag


class _Page(NamedTuple):
    document: dict[str, object]
    body: bytes
    tag: str


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RefusalError)
    return _problem(_office(request), exc)


def _problem(office: Office, exc: RefusalError) -> Response:
    office.metrics.refused(exc.cause)
    headers = {}
    if exc.retry_after is not None:
        headers["retry-after"] = str(math.ceil(exc.retry_after))
    return _document(STATUS[exc.cause], exc.cause, exc.message, headers)


async def _no_such_page(request: Request, exc: Exception) -> Response:
    del request
    assert isinstance(exc, HTTPException)
    return _document(exc.status_code, Cause.MALFORMED, str(exc.detail), dict(exc.headers or {}))


async def _left(request: Request, exc: Exception) -> Response:
    """Nobody reads it: who asked has gone."""
    del request, exc
    return Response(status_code=400)


def _document(status: int, cause: Cause, detail: str, headers: dict[str, str]) -> Response:
    body = {
        "type": f"{TYPE}{cause}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "cause": cause,
        "detail": detail,
    }
    return Response(json.dumps(body), status, headers, PROBLEM)
