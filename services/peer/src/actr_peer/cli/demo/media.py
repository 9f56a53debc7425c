"""The caller's media step: a test pattern or the user's file, as native RTP."""

from __future__ import annotations

from typing import Final

from actr_peer import ActrId, ActrRef, PayloadType
from actr_peer.cli.demo.report import MediaSent, Plan, Row, RowDone, lane_name, not_run, tell
from actr_peer.errors import PeerError

NO_WEBRTC_TIMEOUT: Final = 1.0
"""Seconds to wait for a WebRTC wire where none is expected."""


def wire_in_use(ref: ActrRef, remote: ActrId) -> str | None:
    """The kind of wire that carries the traffic to ``remote`` now."""
    link = ref.node.find_link(remote)
    active = link.view().active if link is not None else None
    return active.value if active is not None else None


async def refused_without_webrtc(ref: ActrRef, room: ActrId) -> Row:
    """Ask for what cannot be, to show that it is refused in words."""
    return not_run(PayloadType.MEDIA_RTP, "todo")


async def send(ref: ActrRef, room: ActrId, plan: Plan) -> None:
    tell(RowDone(row=await refused_without_webrtc(ref, room)))
