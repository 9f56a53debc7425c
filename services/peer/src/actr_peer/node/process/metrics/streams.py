"""Metrics of streams and of media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actr_peer.node.observe.view import NodeView, TrackView
from actr_peer.node.process.metrics.family import Family, Values, by_key, one

_LOSSES: Final = ("unknown", "refused", "stale", "dropped", "broken")
"""Of the counts of streams; the other one is no loss."""
_WAY: Final = ("direction", "kind")


def _losses(view: NodeView) -> Values:
    return by_key({cause: view.streams.counts[cause] for cause in _LOSSES})


def _way(track: TrackView) -> tuple[str, str]:
    return "sent" if track.stats.is_outbound else "received", track.stats.kind


def _summed(read: Callable[[TrackView], float]) -> Callable[[NodeView], Values]:
    def values(view: NodeView) -> Values:
        summed: dict[tuple[str, str], float] = {}
        for track in view.tracks:
            summed[_way(track)] = summed.get(_way(track), 0) + read(track)
        return summed.items()

    return values


def _largest(read: Callable[[TrackView], float | None]) -> Callable[[NodeView], Values]:
    def values(view: NodeView) -> Values:
        largest: dict[tuple[str, str], float] = {}
        for track in view.tracks:
            if (value := read(track)) is not None:
                largest[_way(track)] = max(value, largest.get(_way(track), 0.0))
        return largest.items()

    return values


def _came(what: str) -> Callable[[NodeView], Values]:
    return lambda view: by_key({kind: came[what] for kind, came in view.media.items()})


STREAMS: Final = (
    Family(
        "actr_streams_open",
        "gauge",
        "Halves of streams that are open, of both directions, or hold something",
        (),
        lambda view: one(view.streams.open),
    ),
    Family(
        "actr_stream_handlers_running",
        "gauge",
        "Handlers of streams that others have opened",
        (),
        lambda view: one(view.streams.running),
    ),
    Family(
        "actr_stream_openings_waiting",
        "gauge",
        "Streams that wait for their turn to begin",
        (),
        lambda view: one(view.streams.waiting),
    ),
    Family(
        "actr_stream_credit_stalls_total",
        "counter",
        "Times that a stream which had begun waited for its reader",
        (),
        lambda view: one(view.streams.counts["stalls"]),
    ),
    Family(
        "actr_stream_losses_total",
        "counter",
        "What did not reach a reader of a stream",
        ("cause",),
        _losses,
    ),
    Family(
        "actr_media_tracks",
        "gauge",
        "Tracks of WebRTC wires that there are",
        _WAY,
        _summed(lambda track: 1),
    ),
    Family(
        "actr_media_packets",
        "gauge",
        "RTP packets of those tracks",
        _WAY,
        _summed(lambda track: track.stats.packets),
    ),
    Family(
        "actr_media_packets_lost",
        "gauge",
        "RTP packets of those tracks that were lost; of sent ones as the far side reports",
        _WAY,
        _summed(lambda track: max(0, track.stats.lost)),
    ),
    Family(
        "actr_media_frames_dropped",
        "gauge",
        "Frames of those tracks that were lost here",
        _WAY,
        _summed(lambda track: track.stats.dropped),
    ),
    Family(
        "actr_media_bytes",
        "gauge",
        "Bytes of the frames of those tracks",
        _WAY,
        _summed(lambda track: track.stats.bytes),
    ),
    Family(
        "actr_media_keyframe_requests",
        "gauge",
        "Key frames asked for, of those tracks that come",
        _WAY,
        _summed(lambda track: track.stats.keyframe_requests),
    ),
    Family(
        "actr_media_jitter_seconds",
        "gauge",
        "Jitter of the worst of those tracks (RFC 3550)",
        _WAY,
        _largest(lambda track: track.stats.jitter),
    ),
    Family(
        "actr_media_round_trip_seconds",
        "gauge",
        "Round trip of the slowest of those tracks",
        _WAY,
        _largest(lambda track: track.stats.rtt),
    ),
    Family(
        "actr_media_received_frames_total",
        "counter",
        "Frames of others that have come whole",
        ("kind",),
        _came("frames"),
    ),
    Family(
        "actr_media_received_keyframes_total",
        "counter",
        "Key frames among them; of audio all are",
        ("kind",),
        _came("keyframes"),
    ),
    Family(
        "actr_media_received_bytes_total",
        "counter",
        "Bytes of those frames",
        ("kind",),
        _came("bytes"),
    ),
)
