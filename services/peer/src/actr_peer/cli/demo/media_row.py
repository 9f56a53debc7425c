"""The media row, from what the caller sent and what the room saw: pure, for both are reports.

RTP time starts at a random number (RFC 3550, 5.1), so the two sides' times differ by an offset
that is the same for the whole track: it is found from the frames themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from actr_peer.cli.demo.report import MediaSeen, MediaSent, Row, lane_name, percentile
from actr_peer.protocol.payload import PayloadType

RTP_TIME: Final = 1 << 32
"""RTP time wraps here."""
MIN_ARRIVED: Final = 0.9
"""Part of the frames that must arrive on one machine."""

Frames = Sequence[tuple[int, int]]
"""RTP time and monotonic nanoseconds of each frame, in order."""


def delays(sent: Frames, received: Frames) -> list[float]:
    """Seconds from sending to receipt of each frame that is known on both sides."""
    times = dict(sent)
    best: list[float] = []
    for first, _ in sent:  # the first that came is one of those that were sent
        offset = (received[0][0] - first) % RTP_TIME if received else 0
        found = [
            (at - times[key]) / 1e9
            for timestamp, at in received
            if (key := (timestamp - offset) % RTP_TIME) in times
        ]
        if len(found) > len(best):
            best = found
        if len(best) == len(received):
            break
    return best


def media_row(sent: Iterable[MediaSent], seen: Mapping[str, MediaSeen]) -> Row | None:
    """One row over all tracks; None where nothing was sent."""
    tracks = list(sent)
    if not tracks:
        return None
    seconds: list[float] = []
    told: list[str] = []
    ok = True
    for track in tracks:
        arrived = seen.get(track.track_id)
        if arrived is None:
            told.append(f"{track.track_id}: none of {len(track.frames)} frames")
            ok = False
            continue
        seconds += delays(track.frames, arrived.frames)
        count, total = len(arrived.frames), len(track.frames)
        told.append(f"{count} of {total} {arrived.codec} {arrived.kind} frames")
        ok = ok and count >= total * MIN_ARRIVED
    return Row(
        payload_type=PayloadType.MEDIA_RTP.name,
        lane=lane_name(PayloadType.MEDIA_RTP),
        wire=next((track.wire for track in tracks if track.wire), None),
        messages=sum(len(track.frames) for track in seen.values()),
        bytes=sum(track.bytes for track in seen.values()),
        p50_ms=_ms(percentile(seconds, 50)),
        p99_ms=_ms(percentile(seconds, 99)),
        ok=ok,
        result=", ".join(told),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
