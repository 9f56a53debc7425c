"""Every private part of picows that the WebSocket wire relies on is where it was."""

from __future__ import annotations

from picows import WSListener
from picows.picows import WSProtocol

from actr_peer.wire.private import check
from actr_peer.wire.websocket import private
from actr_peer.wire.websocket.framing import Framing


class Listener(WSListener):
    frames = 0
    is_deaf = False


def test_the_library_that_is_installed_is_the_one_that_is_wanted() -> None:
    check(private.WANTED, private.METHODS)


async def test_its_protocol_is_made_with_what_this_version_takes() -> None:
    listener = Listener()
    for dialled in ("", "localhost:9100/v1/wire"):
        framing = Framing(listener, listener, dialled=dialled)
        assert isinstance(framing, WSProtocol)
        assert len(framing.get_buffer(-1)) > 0
