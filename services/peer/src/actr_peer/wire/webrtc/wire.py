"""One WebRTC connection as a wire.

What each event means in each phase is ``protocol/wire/life.py``'s to say; what an act of its is,
stands at the end here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    DeadlineError,
    LimitError,
    PeerError,
    RemoteProtocolError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES, WireKind
from actr_peer.protocol.webrtc.negotiation import (
    Bye,
    Candidate,
    NegotiateMessage,
    Role,
    role_of,
)
from actr_peer.protocol.wire.life import CLEAN, WEBRTC, Act, Event, Phase, Verdict, WireLife
from actr_peer.tasks import Tasks
from actr_peer.wire.base import WireSink, next_wire_id
from actr_peer.wire.parking import Parking, blame_sink
from actr_peer.wire.renewing import Renewing
from actr_peer.wire.webrtc.engine import EngineFactory, EngineOptions, MediaSource
from actr_peer.wire.webrtc.exchanges import Exchanges, Relay
from actr_peer.wire.webrtc.tracks import Outcome, SentTrack, Tracks

FLUSH_TIMEOUT = 2.0
BYE_TIMEOUT = 1.0


# Looked up once: it is on the path of every message.
_OPEN = Phase.OPEN


class Owner(Protocol):
    """Who made a wire hears of its life here; the sink hears of its traffic."""

    def opened(self, wire: WebRtcWire) -> None: ...

    def ended(self, wire: WebRtcWire, error: PeerError | None) -> None:
        """Told once, whether it was ever open or not."""

    def freed(self, wire: WebRtcWire) -> None:
        """Nothing of it is left; told once, after ``ended``."""


class WebRtcWire:
    """A connection to ``remote``; made by ``WebRtcWires``, a wire once it is open.

    Its tasks (negotiation, the end) belong to the blocks of ``WebRtcWires``; one that fails ends
    this connection and nothing else.

    Args:
        connection_id: Chosen by the offerer; the same on both sides.
        ends: The block of what frees connections, which waits for them when it ends.
        connect_timeout: Seconds until a connection that did not open is given up.
        certified: What renews certificates while it is open; None: this side has none.

    Attributes:
        tracks: The media beside the channels.
    """

    kind = WireKind.WEBRTC

    def __init__(
        self,
        connection_id: str,
        *,
        local: ActrId,
        remote: ActrId,
        owner: Owner,
        relay: Relay,
        tasks: Tasks,
        ends: Tasks,
        options: EngineOptions,
        make_engine: EngineFactory,
        connect_timeout: float,
        certified: Certified | None = None,
    ) -> None:
        self.id = next_wire_id()
        self.connection_id = connection_id
        self.remote = remote
        self.was_dialled = False
        self.max_message_bytes = 0  # known when open
        self.pack_bytes = WIRE_MESSAGE_BYTES
        self._life = WireLife(WEBRTC)
        self._owner = owner
        self._ends = ends
        self._engine = make_engine(options, self, tasks)
        self._exchanges = Exchanges(
            connection_id,
            remote=remote,
            role=role_of(local, remote),
            engine=self._engine,
            relay=relay,
            failed=self.fail,
        )
        self._loop = asyncio.get_running_loop()
        self._parking = Parking()
        self._described_by: Certificate | None = None
        self._renewing = Renewing(certified, self._engine.send_text, self.fail)
        self._gone = asyncio.Event()
        self._freeing: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(connect_timeout, self._too_slow, connect_timeout)
        self._negotiating = tasks.start(
            f"negotiation/{remote}", self._exchanges.run(), failed=self._broke
        )
        self.tracks = Tracks(remote, self._engine.media, self._exchanges, tasks)
        if role_of(local, remote) is Role.OFFERER:
            self._exchanges.changed()

    def __repr__(self) -> str:
        return f"<WebRtcWire {self.id} to {self.remote} {self._life.phase.name}>"

    # What a wire is (wire/base.py)

    @property
    def certificate(self) -> Certificate | None:
        return self._renewing.certificate or self._described_by

    @property
    def is_relayed(self) -> bool:
        return self._life.phase is _OPEN and self._engine.is_relayed

    @property
    def buffered_bytes(self) -> int:
        return self._engine.buffered_bytes if self._life.phase is _OPEN else 0

    @property
    def is_full(self) -> bool:
        return self._life.phase is _OPEN and self._engine.is_full

    def attach(self, sink: WireSink) -> None:
        before = self._life.phase
        for channel, data in self._parking.attach(sink):
            if self._life.phase is before:  # the sink may close the wire
                self._deliver(channel, data)
        if self._life.phase is Phase.CLOSED:
            self._report()

    def send(self, channel: int, data: bytes) -> None:
        if self._life.phase is not _OPEN:
            raise BrokenError(f"the WebRTC connection to {self.remote} is closed")
        if len(data) > self.max_message_bytes:
            raise LimitError(
                "bytes of a wire message", limit=self.max_message_bytes, asked=len(data)
            )
        self._engine.send(channel, data)

    async def close(self) -> None:
        """As the protocol says; cancelling it loses nothing, the flush goes on."""
        why = "" if self._life.phase is _OPEN else "closed while connecting"
        self._take(Event.CLOSE, Verdict(ClosedError(why) if why else None, reason=why))
        await self._gone.wait()

    def abort(self) -> None:
        """As the protocol says; ``closed`` is reported in a later turn of the loop."""
        self._take(Event.ABORT, Verdict(reason="aborted"))

    # Beside what a wire is

    def view(self) -> Mapping[str, Any]:
        """What is known of the path; see ``Engine.view``."""
        return self._engine.view()

    def receive(self, message: NegotiateMessage, certificate: Certificate | None = None) -> None:
        """Take one message of the far side from signaling.

        Args:
            certificate: Whose key has signed it. That of the first description is the wire's: it
                says whose DTLS is at the far end, and no later one changes that.
        """
        if self._described_by is None:
            self._described_by = certificate
        if isinstance(message.body, Bye):
            error = BrokenError(f"{self.remote} gave it up: {message.body.reason[:200]}")
            self._take(Event.FAR_CLOSE, Verdict(error))
        elif not self._life.is_leaving:
            self._exchanges.receive(message)

    async def publish(self, source: MediaSource) -> SentTrack:
        """Send a track, once the far side has agreed; see ``Tracks.publish``."""
        if self._life.phase is not _OPEN:
            raise BrokenError(f"the WebRTC connection to {self.remote} is closed")
        return await self.tracks.publish(source)

    def publish_soon(self, source: MediaSource, settled: Outcome) -> None:
        """See ``Tracks.publish_soon``."""
        if self._life.phase is _OPEN:
            self.tracks.publish_soon(source, settled)
        else:
            self._loop.call_soon(
                settled, BrokenError(f"the WebRTC connection to {self.remote} is closed")
            )

    def when_gone(self, told: Callable[[], None]) -> None:
        """Call ``told`` once when no track can go over this wire any more; now, if it is so."""
        if self._life.is_leaving:
            told()
        else:
            self.tracks.when_gone(told)

    @property
    def is_connecting(self) -> bool:
        return self._life.phase is Phase.CONNECTING

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing has come from the far side yet."""
        return self._life.phase is Phase.CONNECTING and not self._exchanges.is_described

    def repeat_offer(self) -> None:
        """Say again what was said: the far side may be another process by now."""
        self._exchanges.repeat()

    # Events of the engine

    def candidate(self, candidate: Candidate) -> None:
        self._exchanges.candidate(candidate)

    def opened(self) -> None:
        self._take(Event.OPENED)

    def message(self, channel: int, data: bytes) -> None:
        if self._life.phase is _OPEN:
            self._deliver(channel, data)

    def text(self, data: bytes) -> None:
        if self._life.phase is not _OPEN:
            return
        try:
            if not self._renewing.take(data):
                raise RemoteProtocolError("a certificate, where none has been asked for")
        except RemoteProtocolError as error:
            self.fail(error)

    def writable(self) -> None:
        if self._life.phase is _OPEN:
            try:
                self._parking.writable(self)
            except Exception as exc:  # noqa: BLE001  boundary: aiortc would lose its transport
                self._broke(exc, blame_sink(self, exc))

    def lost(self, error: PeerError | None) -> None:
        self._take(Event.LOST, Verdict(error))

    def _deliver(self, channel: int, data: bytes) -> None:
        try:
            self._parking.deliver(self, channel, data)
        except (RemoteProtocolError, LimitError) as error:
            self.fail(error)
        except Exception as exc:  # noqa: BLE001  boundary: aiortc would kill its transport with it
            self._broke(exc, blame_sink(self, exc))

    # What ends it here

    def fail(self, error: PeerError) -> None:
        """Close at once for what is wrong with it or the far side, which is told ``error``."""
        self._take(Event.FAULT, Verdict(error, reason=str(error)))

    def _broke(self, exc: BaseException, error: PeerError | None = None) -> None:
        """A task of this connection, or its sink, failed as nobody expected."""
        if error is None:
            error = BrokenError(f"closed by a failure on this side: {exc!r}")
            error.__cause__ = exc
        self._take(Event.FAULT, Verdict(error, reason="failure on this side"))

    def _too_slow(self, seconds: float) -> None:
        known = "; ".join(self._engine.view()["failures"])
        why = f"no WebRTC connection within {seconds:g} s"
        error = DeadlineError(f"{why} ({known})" if known else why)
        self._take(Event.OVERDUE, Verdict(error, reason=why))

    # What the life says

    def _take(self, event: Event, verdict: Verdict = CLEAN) -> None:
        for act in self._life.take(event, verdict):
            ACTS[act](self)

    def _admit(self) -> None:
        self.max_message_bytes = self._engine.max_message_bytes
        self._exchanges.opened()
        self._timer.cancel()
        # What was shown may be some seconds old: the newest goes out once more.
        self._renewing.begin(self.remote, self._described_by, shown="")
        self._owner.opened(self)

    def _flush(self) -> None:
        self._begin_freeing(FLUSH_TIMEOUT)

    def _free(self) -> None:
        self._begin_freeing(0.0)

    def _drop(self) -> None:
        if self._freeing is not None:
            # It flushes no more. In a later turn: a task that never began would free nothing.
            self._loop.call_soon(self._freeing.cancel)

    def _tell(self) -> None:
        self._owner.ended(self, self._life.verdict.error)
        self._report()

    def _tell_soon(self) -> None:
        self._owner.ended(self, self._life.verdict.error)
        self._loop.call_soon(self._report)

    def _report(self) -> None:
        self._parking.closed(self, self._life.verdict.error)

    # Freeing

    def _begin_freeing(self, flush_timeout: float) -> None:
        """Take the connection away, once; whatever becomes of that, it is gone after."""
        self._timer.cancel()
        self._renewing.stop()
        self._exchanges.end()
        self.tracks.end()
        if self._negotiating is not asyncio.current_task():
            self._negotiating.cancel()
        work = self._close_engine(flush_timeout)
        try:
            self._freeing = self._ends.start(f"end/{self.remote}", work, failed=lambda exc: None)
        except ClosedError:  # the owner's block has ended
            self._freed()
            return
        self._freeing.add_done_callback(lambda _: self._freed())

    async def _close_engine(self, flush_timeout: float) -> None:
        try:
            await self._engine.close(flush_timeout)
        finally:
            self._freed()
        reason = self._life.verdict.reason
        if reason:
            await self._bye(reason)

    async def _bye(self, why: str) -> None:
        try:
            async with asyncio.timeout(BYE_TIMEOUT):
                await self._exchanges.bye(why[:200])
        except TimeoutError:
            pass  # its own time-outs do for the far side

    def _freed(self) -> None:
        self._take(Event.FREED)
        if not self._gone.is_set():
            self._gone.set()
            self._owner.freed(self)


ACTS: Mapping[Act, Callable[[WebRtcWire], None]] = {
    Act.ADMIT: WebRtcWire._admit,
    Act.FLUSH: WebRtcWire._flush,
    Act.FREE: WebRtcWire._free,
    Act.DROP: WebRtcWire._drop,
    Act.TELL: WebRtcWire._tell,
    Act.TELL_SOON: WebRtcWire._tell_soon,
}
