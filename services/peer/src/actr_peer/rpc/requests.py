"""What a caller passes, looked at before anything is sent: a mistake is told at once, where it is.

All of these are bugs of the calling code, so they are a ``LocalProtocolError`` with the method,
what it takes, and what it was given.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from actr_peer.errors import LocalProtocolError
from actr_peer.service import Method, Req


def check_request(method: Method[Req, Any], request: object) -> None:
    """One message, of the method's type.

    Raises:
        LocalProtocolError: If it is not.
    """
    if not isinstance(request, method.request):
        raise LocalProtocolError(
            f"{method.route_key} takes a {method.request.__name__}, not {_kind_of(request)}"
        )


def check_requests(method: Method[Req, Any], requests: object) -> None:
    """Something that ``async for`` takes; a list is not.

    Raises:
        LocalProtocolError: If it is not.
    """
    if not hasattr(type(requests), "__aiter__"):
        raise LocalProtocolError(
            f"{method.route_key} takes an async iterable of {method.request.__name__}, "
            f"not {_kind_of(requests)}; make it an async generator"
        )


async def checked_requests(
    method: Method[Req, Any], requests: AsyncIterable[Req]
) -> AsyncIterator[Req]:
    """The requests of a stream, each looked at as it is taken.

    Raises:
        LocalProtocolError: If one is no message of the method's type.
    """
    async for request in requests:
        check_request(method, request)
        yield request


def _kind_of(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
