"""Sans-I/O: which method of whom a request of the gateway means, and what goes along.

The path is Connect's own, ``/chat.Room/Say``; whom, stands before it (``/acme:room/chat.Room/Say``)
or in a header, and where neither says it, it is who serves the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.identity import ActrId, ActrType, Place, parse_destination
from actr_peer.protocol.rpc.bounds import (
    MAX_METADATA_BYTES,
    MAX_METADATA_ENTRIES,
    MAX_ROUTE_CHARS,
    is_plain,
)

TO: Final = "actr-to"
METADATA: Final = "actr-metadata-"
"""What begins the name of a header that is sent along as metadata."""
CALLER: Final = "gateway-caller"
"""The metadata by which an actor learns who asks; no caller of the gateway can say it himself."""
MAX_PATH_CHARS: Final = 1024
MAX_TIMEOUT_DIGITS: Final = 10
"""Of ``Connect-Timeout-Ms``: the protocol's own bound."""
RUNTIME: Final = "actr."
"""What begins the names of services that every actor has for actors: they are not offered."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SERVICE = re.compile(rf"(?:{_NAME}\.)*{_NAME}")
_METHOD = re.compile(_NAME)


@dataclass(frozen=True, slots=True)
class Route:
    """What a request means."""

    to: ActrId | ActrType | None
    """None: who serves it."""
    service: str
    method: str

    @property
    def key(self) -> str:
        return f"{self.service}.{self.method}"

    @property
    def path(self) -> str:
        """Connect's own."""
        return f"/{self.service}/{self.method}"


def read_destination(text: str) -> ActrId | ActrType:
    """An actor or a type of actors, as a request names it.

    Raises:
        CallError: INVALID_ARGUMENT, if it is none.
    """
    try:
        to = parse_destination(text)
    except ConfigError as exc:
        raise CallError(Code.INVALID_ARGUMENT, str(exc)) from exc
    if isinstance(to, Place):
        raise CallError(Code.INVALID_ARGUMENT, f"destination {text!r}: write an actor or a type")
    return to


def read_route(path: str, header: str | None) -> Route:
    """Read the path of a request, as it came, and its header ``Actr-To``.

    Raises:
        CallError: UNIMPLEMENTED, if the path is none of Connect's; INVALID_ARGUMENT, if it and the
            header name two destinations, or what they name is none.
    """
    parts = path.split("/") if len(path) <= MAX_PATH_CHARS else []
    if len(parts) not in (3, 4) or parts[0]:
        raise CallError(Code.UNIMPLEMENTED, "write a path as /package.Service/Method")
    *before, service, method = (unquote(part) for part in parts[1:])
    is_method = _SERVICE.fullmatch(service) is not None and _METHOD.fullmatch(method) is not None
    if not is_method or len(service) + len(method) >= MAX_ROUTE_CHARS:
        raise CallError(Code.UNIMPLEMENTED, "write a path as /package.Service/Method")
    if f"{service}.".startswith(RUNTIME):
        raise CallError(Code.UNIMPLEMENTED, f"{service} is for actors: no gateway offers it")
    named = {each for each in (*before, header) if each is not None}
    if len(named) > 1:
        raise CallError(Code.INVALID_ARGUMENT, "the path and Actr-To name two destinations")
    to = next((read_destination(each) for each in named), None)
    return Route(to, service, method)


def read_metadata(headers: Iterable[tuple[str, str]], caller: str) -> Mapping[str, str]:
    """What goes along with the call: each header ``Actr-Metadata-…``, by the rest of its name in
    small letters, and who calls.

    Args:
        headers: Names in small letters.
        caller: Empty: nobody is known.

    Raises:
        CallError: INVALID_ARGUMENT, if one comes twice or cannot be sent, if they are too many, or
            if they say who calls.
    """
    found = {CALLER: caller} if caller else {}
    for name, value in headers:
        key = name.removeprefix(METADATA)
        if key == name:
            continue
        if not key or key in found or key == CALLER or not is_plain(value):
            raise CallError(Code.INVALID_ARGUMENT, f"{name}: no such metadata, or twice")
        found[key] = value
    size = sum(len(key) + len(value.encode()) for key, value in found.items())
    if len(found) > MAX_METADATA_ENTRIES or size > MAX_METADATA_BYTES:
        raise CallError(
            Code.INVALID_ARGUMENT,
            f"{len(found)} metadata of {size} bytes: at most {MAX_METADATA_ENTRIES} of "
            f"{MAX_METADATA_BYTES}",
        )
    return found


def read_timeout(header: str | None) -> float | None:
    """Seconds of ``Connect-Timeout-Ms``; None: the caller gives none.

    Raises:
        CallError: INVALID_ARGUMENT, if it is not up to ten digits.
    """
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and len(header) <= MAX_TIMEOUT_DIGITS):
        raise CallError(Code.INVALID_ARGUMENT, f"Connect-Timeout-Ms {header[:32]!r}: write digits")
    return int(header) / 1000
