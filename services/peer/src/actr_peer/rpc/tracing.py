"""Trace context, between what travels and OpenTelemetry's current context (its API package alone).

A call carries the span in which it is made; its handler runs with that span as its parent, so that
its own spans and calls are children. Who has not set OpenTelemetry up loses nothing: what came
with a request goes on with its handler's calls, as it is. The package costs 15 ms to load, so that
it is loaded when a request brings a trace, or by the application: no current span was made before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from actr_peer.protocol.rpc.bounds import MAX_TRACESTATE_CHARS

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import TextMapPropagator

_LIBRARY = "opentelemetry.trace"
_PARENT = slice(3, 52)
"""Where a ``traceparent`` names the trace and the span."""


class Traced(Protocol):
    """What comes with the trace context of who sent it; empty texts are none."""

    @property
    def traceparent(self) -> str: ...

    @property
    def tracestate(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Api:
    """What is used of the library."""

    current: Callable[[], Context]
    attach: Callable[[Context], Any]
    w3c: TextMapPropagator
    nothing: Context


@cache
def _api() -> _Api:
    from opentelemetry.context import Context, attach, get_current
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return _Api(get_current, attach, TraceContextTextMapPropagator(), Context())


def arrive(request: Traced) -> None:
    """Make what ``request`` came with the current context of the handler that calls this.

    Nothing has to be taken back: the context that a handler runs in ends with it.
    """
    traceparent = request.traceparent
    if traceparent:
        api = _api()
        carrier = {"traceparent": traceparent, "tracestate": request.tracestate}
        api.attach(api.w3c.extract(carrier))
    else:
        arrive_alone()


def arrive_alone() -> None:
    """Make no span the current one of the handler or callback that calls this.

    It would have that of whoever started the node, or made the call that opened the link: tasks
    have the context that they are made in.
    """
    if _LIBRARY in sys.modules:
        api = _api()
        if api.current():
            api.attach(api.nothing)


def departing(traceparent: str, tracestate: str) -> tuple[str, str]:
    """What a call that is made now carries: ``traceparent`` and ``tracestate``.

    Args:
        traceparent: Of the request whose handler makes the call, where no span is current; so is
            ``tracestate``.
    """
    if _LIBRARY not in sys.modules:
        return traceparent, tracestate
    api = _api()
    current = api.current()
    if not current:
        return traceparent, tracestate
    carrier: dict[str, str] = {}
    api.w3c.inject(carrier, current)
    parent = carrier.get("traceparent", "")
    if not parent or parent[_PARENT] == traceparent[_PARENT]:
        return traceparent, tracestate  # no span since then: on as it came, to the letter
    state = carrier.get("tracestate", "")
    while len(state) > MAX_TRACESTATE_CHARS:
        state = state.rpartition(",")[0]  # whole entries, the oldest first
    return parent, state
