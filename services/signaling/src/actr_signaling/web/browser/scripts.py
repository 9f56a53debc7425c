"""``/actr.js`` and what belongs to it, for pages of any origin.

``built`` is written by ``npm run ship`` in browser/, and compared by ``make browser-test``. Each
file is read and packed once, and the same bytes go to everybody, in pieces, so that who reads
slowly holds a piece of it and not a copy.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute

NAMES: Final = tuple(
    f"{name}{suffix}"
    for name in ("actr", "certificates", "contracts", "protobuf", "relayed", "websocket")
    for suffix in (".js", ".js.map")
)
PIECE_BYTES: Final = 16 * 1024
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    # Asked again at each load, for a few bytes: pages have what the service speaks today.
    "cache-control": "no-cache",
    # A module of another origin is only run where that lets it; there is nothing secret in it.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Script:
    """One file as it is sent."""

    plain: bytes
    packed: bytes
    """By gzip, which every browser takes."""
    tag: str
    """Its ETag, another one for each content."""
    media_type: str


def script(name: str) -> Script:
    """Read and pack one of :data:`NAMES`; the same object each time."""
    return read_script(__package__, name)


@cache
def read_script(package: str, name: str) -> Script:
    """Read and pack a file that is built into ``package``; the same object each time."""
    plain = files(package).joinpath("built", name).read_bytes()
    return Script(
        plain=plain,
        packed=gzip.compress(plain, 9, mtime=0),
        tag=hashlib.sha256(plain).hexdigest()[:32],
        media_type=_TYPES[name[name.rindex(".") :]],
    )


def routes() -> list[APIRoute]:
    """A route for each file, in no schema: they are no part of the API."""
    return [
        APIRoute(f"/{name}", answer, methods=["GET", "HEAD"], include_in_schema=False)
        for name in NAMES
    ]


async def answer(request: Request) -> Response:
    """The file of this path."""
    return send(request, script(request.url.path.removeprefix("/")), _HEADERS)


def send(request: Request, found: Script, said: Mapping[str, str]) -> Response:
    """A file as it was asked for, or word that the page's own copy is still it.

    Args:
        said: Headers of every answer.
    """
    is_packed = "gzip" in request.headers.get("accept-encoding", "")
    tag = f'"{found.tag}{"-gzip" if is_packed else ""}"'
    headers = {**said, "etag": tag, "vary": "accept-encoding"}
    known = (each.strip() for each in request.headers.get("if-none-match", "").split(","))
    if tag in {each.removeprefix("W/") for each in known}:
        return Response(status_code=304, headers=headers)
    body = found.packed if is_packed else found.plain
    headers["content-length"] = str(len(body))
    if is_packed:
        headers["content-encoding"] = "gzip"
    if request.method == "HEAD":
        return Response(headers=headers, media_type=found.media_type)
    return StreamingResponse(_pieces(body), headers=headers, media_type=found.media_type)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), PIECE_BYTES):
        yield body[at : at + PIECE_BYTES]
