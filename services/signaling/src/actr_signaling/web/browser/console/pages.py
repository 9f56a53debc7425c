"""``/`` and what belongs to it: the console's files, under a policy of their own.

``built`` is written by ``npm run ship`` in browser/, and compared by ``make browser-test``.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final, Literal

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from actr_signaling.protocol.client.trust import Trust
from actr_signaling.web.browser.console.whom import reach, refusal
from actr_signaling.web.browser.scripts import Script, read_script, send
from actr_signaling.web.service import Service

PATHS: Final = {
    "/": "index.html",
    "/console.js": "console.js",
    "/console.js.map": "console.js.map",
    "/console.css": "console.css",
    "/console.svg": "console.svg",
}
ABOUT: Final = "/console.json"
"""What the page must know before it can join."""
ISSUER: Final = "/issuer"
"""Where the page asks for a certificate: of its own origin, and of no other."""

HEADERS: Final = {
    # Its own scripts, styles and connections; nothing inline, nothing of anybody else, and no text
    # that becomes a script or an element.
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # Asked for at each load: the page speaks what its service speaks today.
    "cache-control": "no-cache",
}

Proof = Literal["none", "secret", "certificate"]


def routes() -> list[APIRoute]:
    """A route for each file, in no schema: they are no part of the API."""
    return [
        APIRoute(path, answer, methods=["GET", "HEAD"], include_in_schema=False)
        for path in (*PATHS, ABOUT)
    ]


async def answer(request: Request) -> Response:
    """The file of this path, where the one who asks may have the console."""
    service = _service(request.app)
    peer = None if request.client is None else request.client.host
    refused = refusal(reach(service.settings), peer, request.headers.get("host", ""))
    if refused is not None:
        return PlainTextResponse(f"{refused.text}\n", refused.status, HEADERS)
    if request.url.path == ABOUT:
        return JSONResponse(_about(service), headers=HEADERS)
    return send(request, file(PATHS[request.url.path]), HEADERS)


def file(name: str) -> Script:
    """One of the built files; the same object each time."""
    return read_script(__package__, name)


def _about(service: Service) -> dict[str, str]:
    return {
        "version": version("actr-signaling"),
        "proof": proof(service.trust),
        "issuer": ISSUER,
    }


def proof(trust: Trust) -> Proof:
    """What an actor proves itself with here."""
    if trust.issuer_keys is not None:
        return "certificate"
    return "none" if trust.is_development else "secret"


def _service(app: FastAPI) -> Service:
    service = app.state.service
    assert isinstance(service, Service)
    return service
