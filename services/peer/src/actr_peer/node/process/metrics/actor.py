"""Metrics of the actor itself: who it is, its calls, its mailbox, and what it refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actr_peer.node.observe.view import NodeView
from actr_peer.node.process.metrics.family import Family, Values, by_key, one
from actr_peer.protocol.signaling.presence import SignalingState


def _info(view: NodeView) -> Values:
    return (((view.id.text, view.versions["actr"], view.versions["python"], view.trust), 1),)


def _signaling(view: NodeView) -> Values:
    return (((state.value,), state is view.signaling) for state in SignalingState)


def _certificate(view: NodeView) -> Values:
    own = view.identity.certificate
    return () if own is None else one(own.expires_at)


def _trouble(view: NodeView) -> Values:
    return (
        (("mailbox",), bool(view.mailbox.trouble)),
        (("outbox",), bool(view.outbox.trouble)),
    )


def _mailbox_events(view: NodeView) -> Values:
    counts = view.mailbox.counts
    return by_key({key: n for key, n in counts.items() if key not in ("commits", "put_off")})


def _refused(view: NodeView) -> Iterator[tuple[tuple[str, str], int]]:
    for named, count in view.refused.items():
        what, _, cause = named.partition(" ")
        yield (what, cause) if what in ("description", "wire") else ("presence", named), count


def _parts(view: NodeView) -> Iterator[tuple[tuple[str, str], int]]:
    for part, counts in view.counts.items():
        for event, count in counts.items():
            yield (part, event), count


ACTOR: Final = (
    Family(
        "actr_actor_info",
        "gauge",
        "The actor and what it runs; always 1",
        ("id", "version", "python", "trust"),
        _info,
    ),
    Family(
        "actr_actor_started_timestamp_seconds",
        "gauge",
        "When it was made, in Unix time",
        (),
        lambda view: one(view.started_at),
    ),
    Family(
        "actr_clock_timestamp_seconds",
        "gauge",
        "What this machine's clock says, in Unix time",
        (),
        lambda view: one(view.looked_at),
    ),
    Family(
        "actr_actor_signaling",
        "gauge",
        "1 for the state of its connection to signaling, 0 for the others",
        ("state",),
        _signaling,
    ),
    Family(
        "actr_certificate_expiry_timestamp_seconds",
        "gauge",
        "When its certificate ends, in Unix time; without one there is no value",
        (),
        _certificate,
    ),
    Family(
        "actr_call_duration_seconds",
        "histogram",
        "Calls that have ended: at the client until the reply, at the server of the handler",
        ("side", "method", "code"),
        lambda view: (((c.side, c.method, c.code), c.durations) for c in view.calls),
    ),
    Family(
        "actr_calls_waiting",
        "gauge",
        "Calls to others without a reply",
        (),
        lambda view: one(view.calls_waiting),
    ),
    Family(
        "actr_mailbox_wait_seconds",
        "histogram",
        "From a request's arrival to its handler's start",
        (),
        lambda view: (((), view.mailbox.waits),),
    ),
    Family(
        "actr_mailbox_requests",
        "gauge",
        "Requests queued or running",
        (),
        lambda view: one(view.mailbox.depth),
    ),
    Family(
        "actr_mailbox_capacity_requests",
        "gauge",
        "Requests that may be",
        (),
        lambda view: one(view.mailbox.capacity),
    ),
    Family(
        "actr_mailbox_oldest_age_seconds",
        "gauge",
        "Since the oldest request that is queued or runs has come; 0: there is none",
        (),
        lambda view: one(view.mailbox.age),
    ),
    Family(
        "actr_mailbox_waiting_requests",
        "gauge",
        "Requests that wait for room, unacknowledged",
        (),
        lambda view: one(view.mailbox.waiting),
    ),
    Family(
        "actr_mailbox_dead_letters",
        "gauge",
        "Dead letters that are kept",
        (),
        lambda view: one(view.mailbox.dead),
    ),
    Family(
        "actr_mailbox_put_off_replies",
        "gauge",
        "Replies that handlers have put off",
        (),
        lambda view: one(view.mailbox.counts["put_off"]),
    ),
    Family(
        "actr_mailbox_commits_total",
        "counter",
        "Transactions of the mailbox's file",
        (),
        lambda view: one(view.mailbox.counts["commits"]),
    ),
    Family(
        "actr_mailbox_events_total",
        "counter",
        "Requests by what became of them",
        ("event",),
        _mailbox_events,
    ),
    Family(
        "actr_outbox_calls",
        "gauge",
        "Durable calls without a reply",
        (),
        lambda view: one(view.outbox.open),
    ),
    Family(
        "actr_state_trouble",
        "gauge",
        "1 where a file takes nothing new, or a start found it to have lost something",
        ("file",),
        _trouble,
    ),
    Family(
        "actr_refused_total",
        "counter",
        "What others said of themselves and was not believed",
        ("what", "cause"),
        _refused,
    ),
    Family(
        "actr_part_events_total",
        "counter",
        "What parts of the actor refused, dropped or saw twice",
        ("part", "event"),
        _parts,
    ),
    Family(
        "actr_contained_failures_total",
        "counter",
        "What failed unexpectedly and ended only what it concerned",
        ("what",),
        lambda view: by_key(view.failures),
    ),
)
