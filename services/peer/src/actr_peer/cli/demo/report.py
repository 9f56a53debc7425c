"""What the demo's processes tell each other, one JSON document a line, and what comes of it.

The room and the caller write :data:`Event` lines on standard output; the parent reads them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from actr_peer.protocol.payload import PayloadType

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
"""One event; the longest lists every media frame of a long demo."""

Choice = Literal["webrtc", "websocket", "both"]
Size = Literal["small", "normal", "large"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(_Value):
    """What the caller is to do."""

    room: str
    """Id of the actor to talk to."""
    wire: Choice
    calls: int
    """Lines said on RPC_RELIABLE."""
    kicks: int
    """Guests put out on RPC_SIGNAL."""
    lines: int
    """Items of the latency-first stream."""
    file_bytes: int
    """Size of the file; one of this size is made up where none is given."""
    media_seconds: float
    file: str | None = None
    """Absolute path of the user's file."""


class Row(_Value):
    """One payload type's result."""

    payload_type: str
    lane: str
    """What carries it: a numbered channel, or a track."""
    wire: str | None
    """The wire in use when the row ended; None: none carried it."""
    messages: int
    bytes: int
    p50_ms: float | None
    p99_ms: float | None
    ok: bool
    result: str


class Ready(_Value):
    """The process takes requests: a peer that is registered, or the signaling service."""

    event: Literal["ready"] = "ready"
    id: str = ""
    url: str = ""


class Progress(_Value):
    """How far the caller is with one payload type."""

    event: Literal["progress"] = "progress"
    payload_type: str
    done: int
    total: int


class RowDone(_Value):
    """The caller is through with one payload type."""

    event: Literal["row"] = "row"
    row: Row


class MediaSent(_Value):
    """The caller has sent a track: RTP time and own clock (ns) of each frame."""

    event: Literal["media_sent"] = "media_sent"
    track_id: str
    wire: str | None
    frames: tuple[tuple[int, int], ...]
    bytes: int


class MediaSeen(_Value):
    """The room has received a track: RTP time and own clock (ns) of each frame."""

    event: Literal["media_seen"] = "media_seen"
    track_id: str
    kind: str
    codec: str
    frames: tuple[tuple[int, int], ...]
    bytes: int


class Failed(_Value):
    """An error that ends the process or one of its rows."""

    event: Literal["failed"] = "failed"
    error: str
    """Class of the error."""
    text: str


class Finished(_Value):
    """The process has done all it had to do."""

    event: Literal["finished"] = "finished"


Event = Annotated[
    Ready | Progress | RowDone | MediaSent | MediaSeen | Failed | Finished,
    Field(discriminator="event"),
]
EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)


def tell(event: Event) -> None:
    """Write one event on standard output."""
    sys.stdout.write(event.model_dump_json() + "\n")
    sys.stdout.flush()


class Report(_Value):
    """What the demo comes to."""

    ok: bool
    rows: tuple[Row, ...]
    problem: str | None = None
    """Why it failed, in one sentence."""
    seconds: float
    peak_memory_bytes: dict[str, int]
    """Peak resident size by process."""


SIZES: Final[dict[Size, dict[str, float]]] = {
    "small": {"calls": 50, "kicks": 5, "lines": 100, "file_bytes": 1 << 20, "media_seconds": 1},
    "normal": {"calls": 200, "kicks": 20, "lines": 500, "file_bytes": 8 << 20, "media_seconds": 2},
    "large": {
        "calls": 2000,
        "kicks": 100,
        "lines": 5000,
        "file_bytes": 64 << 20,
        "media_seconds": 10,
    },
}


def make_plan(room: str, *, wire: Choice, size: Size, file: Path | None) -> Plan:
    """The plan for a size and the user's file."""
    plan: dict[str, object] = {"room": room, "wire": wire, **SIZES[size]}
    if file is not None:
        plan |= {"file": str(file.resolve()), "file_bytes": file.stat().st_size}
    return Plan.model_validate(plan)


def lane_name(payload_type: PayloadType) -> str:
    """What carries a payload type, as people see it."""
    if payload_type is PayloadType.MEDIA_RTP:
        return "RTP track"
    return f"channel {payload_type.value}"


def not_run(payload_type: PayloadType, why: str) -> Row:
    """The row of a payload type that carried nothing."""
    return Row(
        payload_type=payload_type.name,
        lane=lane_name(payload_type),
        wire=None,
        messages=0,
        bytes=0,
        p50_ms=None,
        p99_ms=None,
        ok=False,
        result=why,
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of all do not exceed (nearest rank); None of none."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]
