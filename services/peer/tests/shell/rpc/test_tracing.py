"""Trace context: what a call carries, and what is current in the handler that it comes to."""

from __future__ import annotations

import subprocess
import sys
from contextvars import copy_context
from dataclasses import dataclass

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, get_current
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from actr_peer.protocol.rpc.bounds import MAX_TRACESTATE_CHARS
from actr_peer.rpc.tracing import arrive, departing

CAME = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Came:
    traceparent: str = ""
    tracestate: str = ""


@pytest.fixture
def tracer() -> trace.Tracer:
    return TracerProvider().get_tracer("test")


def spanned(state: TraceState | None = None) -> SpanContext:
    """The context of a span that is current now."""
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    attach(trace.set_span_in_context(NonRecordingSpan(context)))
    return context


def test_a_process_without_the_library_loads_none_of_it_and_passes_on_what_came() -> None:
    program = (
        "import sys, actr_peer; from actr_peer.rpc.tracing import departing;"
        "from actr_peer.actor.handlers import Handlers;"
        "assert departing('trace', 'state') == ('trace', 'state');"
        "assert not [name for name in sys.modules if 'opentelemetry' in name]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_request_with_a_trace_has_its_sender_as_the_current_span() -> None:
    def handler() -> SpanContext:
        arrive(Came(CAME, "a=b"))
        return trace.get_current_span().get_span_context()

    current = copy_context().run(handler)
    assert (current.trace_id, current.span_id) == (int(CAME[3:35], 16), int(CAME[36:52], 16))
    assert (current.is_remote, current.trace_state) == (True, TraceState([("a", "b")]))


@pytest.mark.parametrize("came", ["", "nonsense", CAME.replace("b7ad6b7169203331", "0" * 16)])
def test_a_request_with_no_trace_or_a_broken_one_is_in_no_other_span(came: str) -> None:
    def handler() -> bool:
        spanned()
        arrive(Came(came))
        return bool(get_current())

    assert copy_context().run(handler) is False


@pytest.mark.parametrize("came", ["nonsense", CAME, "cc" + CAME[2:] + "-more"])
def test_what_came_goes_on_to_the_letter_where_no_span_was_made(came: str) -> None:
    state = ",".join(f"{name}=x" for name in "abcdefghijklmnopqrstuvwxyz")

    def handler() -> tuple[str, str]:
        arrive(Came(came, state))
        return departing(came, state)

    assert copy_context().run(handler) == (came, state)


def test_a_call_within_a_span_carries_the_span_and_not_what_came(tracer: trace.Tracer) -> None:
    def handler() -> None:
        arrive(Came(CAME, "a=b"))
        with tracer.start_as_current_span("inner") as span:
            own = trace.format_span_id(span.get_span_context().span_id)
            assert departing(CAME, "a=b") == (CAME.replace("b7ad6b7169203331", own), "a=b")
        assert departing(CAME, "a=b") == (CAME, "a=b")

    copy_context().run(handler)


def test_a_context_without_a_span_carries_what_came() -> None:
    def handler() -> tuple[str, str]:
        attach(get_current().__class__({"other": "thing"}))
        return departing(CAME, "")

    assert copy_context().run(handler) == (CAME, "")


def test_a_state_that_is_too_long_to_travel_loses_its_last_entries() -> None:
    entries = [(f"key{number}", "x" * 250) for number in range(10)]

    def caller() -> tuple[str, str]:
        spanned(TraceState(entries))
        return departing("", "")

    traceparent, state = copy_context().run(caller)
    assert traceparent == "00-" + "1".zfill(32) + "-" + "2".zfill(16) + "-01"
    assert 0 < len(state) <= MAX_TRACESTATE_CHARS
    assert state.split(",") == [f"{key}={value}" for key, value in entries[: state.count(",") + 1]]
