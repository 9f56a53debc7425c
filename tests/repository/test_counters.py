"""Nothing is counted that nobody can see: where each public counter of the peer is shown.

``self.name += 1`` with a name that others may read is a counter. A new one takes its place here:
in the view of a node, in what its user is handed, or it is no count of events at all.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / "services/peer/src/actr_peer"
ELSEWHERE = ("cli/", "testing/")
"""Verbs show what they count themselves."""

VIEW = "node/observe reads it"
HANDED = "part of what its user is given: a report, a progress, the statistics of a track"
LEVEL = "how much there is now, or a number that is given to the next one"
PATH = "of one connection, for who looks for a fault in that: it ends with it, unseen"
SHOWN = {
    VIEW: """
    actor/scheduler.py              deferred
    actor/stream_handlers.py        repeated
    actor/subscribers/media.py      dropped unknown
    node/contract/access.py         refused unheard
    node/observe/changes.py         by_state count ended
    node/sinks.py                   dropped
    protocol/mailbox/admission.py   messages waiting
    protocol/mailbox/shelf.py       dropped
    protocol/session/budget.py      dropped
    protocol/session/fragments.py   given_up
    protocol/session/latency.py     dropped duplicates messages sent
    protocol/session/receiver.py    duplicates messages
    protocol/session/sender.py      messages resent sent
    protocol/session/wires/heartbeat.py missed
    protocol/streams/halves.py      dropped received sent stale
    protocol/webrtc/candidates.py   dropped
    protocol/websocket/door.py      turned_away
    rpc/destinations/tells.py       lost
    state/mailbox/dead_letters.py   buried
    state/outbox/outbox.py          dropped
    transport/local/lanes.py        dropped
    wire/issuer/ruling.py           refused
    wire/relayed/wires.py           refused
    wire/signaling/belief.py        refused
    wire/signaling/client.py        contained
    wire/webrtc/signed.py           dropped
    wire/webrtc/wires.py            dropped
    wire/websocket/wires.py         refused
    """,
    HANDED: """
    actor/files/receiving.py        received refused
    actor/files/sending.py          sent_bytes tries
    actor/subscribers/frames.py     bytes dropped frames
    actor/subscribers/guarded.py    failed
    protocol/media/assembly.py      lost_frames
    protocol/media/pacing.py        refused
    protocol/media/packets.py       octets packets
    protocol/media/timeline.py      skipped
    protocol/streams/pipe.py        dropped stale
    tasks.py                        contained
    transport/local/media.py        frames
    transport/publications.py       resumed
    wire/media/file.py              dropped
    wire/media/pictures.py          dropped
    wire/media/pushed.py            dropped
    wire/media/raw.py               dropped
    wire/media/sources.py           dropped
    wire/webrtc/aiortc/media/receivers.py bytes frames keyframe_requests
    wire/webrtc/aiortc/media/sections.py bytes frames
    """,
    LEVEL: """
    protocol/files/messages.py      number
    protocol/mailbox/admission.py   bytes
    protocol/mailbox/outbox/calls.py following
    protocol/mailbox/shelf.py       bytes
    protocol/media/assembly.py      held_bytes
    protocol/rpc/shares.py          count size
    protocol/session/fragments.py   held_bytes held_parts
    protocol/session/lanes.py       receivers senders
    protocol/session/latency.py     held_bytes
    protocol/session/receiver.py    held_bytes pending waiting_bytes
    protocol/session/sender.py      flight_bytes held_bytes
    protocol/session/wires/ends.py  parked_bytes
    protocol/session/wires/heartbeat.py good srtt
    protocol/streams/fair_queue.py  bytes_kept count frames_kept
    protocol/streams/halves.py      held_bytes
    protocol/streams/pipe.py        held_bytes
    protocol/webrtc/negotiation.py  exchange
    rpc/remote.py                   sent
    state/mailbox/intake.py         last_sequence
    state/storage/pages.py          spent
    wire/webrtc/aiortc/sctp/lane_queue.py bytes
    wire/websocket/wire.py          frames
    """,
    PATH: """
    protocol/webrtc/candidates.py   refused
    wire/webrtc/aiortc/dtls.py      malformed
    wire/webrtc/aiortc/media/receivers.py malformed
    wire/webrtc/aiortc/media/sections.py unwanted
    wire/webrtc/aiortc/sctp/association.py stale
    wire/webrtc/tracks.py           unwanted
    """,
}


def counters(path: Path) -> set[str]:
    """Names that ``self.name += …`` adds to, also as ``self.name[key]``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add)):
            continue
        target = node.target.value if isinstance(node.target, ast.Subscript) else node.target
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_"):
            continue
        if isinstance(target.value, ast.Name) and target.value.id == "self":
            found.add(target.attr)
    return found


def counted() -> set[tuple[str, str]]:
    return {
        (name, counter)
        for path in PEER.rglob("*.py")
        if not (name := path.relative_to(PEER).as_posix()).startswith(ELSEWHERE)
        for counter in counters(path)
    }


def shown() -> list[tuple[str, str]]:
    return [
        (module, counter)
        for table in SHOWN.values()
        for module, *names in map(str.split, table.strip().splitlines())
        for counter in names
    ]


def test_each_counter_is_shown_or_counts_nothing() -> None:
    assert counted() - set(shown()) == set(), "show it in node/observe, and say so here"


def test_what_is_said_to_be_a_counter_is_one_once() -> None:
    assert set(shown()) - counted() == set(), "it is gone: take it out of the table"
    assert len(set(shown())) == len(shown())
