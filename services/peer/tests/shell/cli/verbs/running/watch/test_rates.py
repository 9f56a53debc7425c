"""Two status documents, compared: what an actor does in a second."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.cli.verbs.running.watch.rates import quantile, row_of
from actr_peer.node.observe.durations import BOUNDS, Durations


def calls(side: str, code: str, *seconds: float) -> dict[str, Any]:
    durations = Durations()
    for each in seconds:
        durations.add(each)
    view = durations.view()
    named = {"side": side, "method": "demo.Chat.Say", "code": code}
    return {**named, "count": view.count, "buckets": list(view.counts)}


def status(*ended: dict[str, Any], incarnation: str = "1") -> dict[str, Any]:
    wire = {"remote": "acme:room@2:default", "state": "ready"}
    return {
        "id": "acme:room@1:default",
        "pid": 71,
        "incarnation": incarnation,
        "signaling": "registered",
        "wires": [
            {**wire, "kind": "webrtc"},
            {**wire, "kind": "websocket"},
            {"remote": "acme:room@3:default", "kind": "webrtc", "state": "failed"},
        ],
        "calls": list(ended),
        "mailbox": {"depth": 3, "dead": 1},
        "streams": {"open": 2},
    }


def test_a_row_has_what_works_and_what_waits() -> None:
    row = row_of(status(), None, 1.0)
    assert (row.links, row.wires) == (1, {"webrtc": 1, "websocket": 1})
    assert (row.depth, row.dead, row.streams, row.rates) == (3, 1, 2, None)


def test_rates_are_of_the_calls_that_ended_since_by_side_and_end() -> None:
    before = status(calls("server", "OK", 0.02))
    now = status(
        calls("server", "OK", 0.02, 0.002, 0.002),
        calls("server", "INTERNAL", 0.002),
        calls("client", "OK", 3.0),
    )
    rates = row_of(now, before, 2.0).rates
    assert rates is not None
    assert (rates.calls_in, rates.calls_out, rates.failed) == (1.5, 0.5, 0.5)
    assert rates.p50_ms is not None
    assert 1.0 < rates.p50_ms <= 2.5  # the bucket of 2 ms; what was before, and other sides, is not


def test_another_life_of_the_process_is_compared_with_nothing() -> None:
    before = status(calls("server", "OK", 0.1, 0.1))
    assert row_of(status(incarnation="2"), before, 1.0).rates is None


@pytest.mark.parametrize(
    ("seconds", "share", "told"),
    [((), 0.5, None), ((0.0001,), 0.5, 0.25), ((60.0,), 0.99, BOUNDS[-1] * 1000)],
)
def test_a_quantile_lies_in_its_bucket(
    seconds: tuple[float, ...], share: float, told: float | None
) -> None:
    assert quantile(calls("server", "OK", *seconds)["buckets"], share) == told
