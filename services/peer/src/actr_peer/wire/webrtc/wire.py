"""One WebRTC connection as a wire.

What each phase does with an event::

    CONNECTING  descriptions and candidates; open, a loss, a Bye or the time-out end it
    OPEN        messages to the sink; close, abort, a violation or a loss end it
    CLOSING     what was sent is flushed; nothing reaches the sink
    CLOSED      told to the sink; late events are dropped
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from enum import Enum, auto
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
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.webrtc.negotiation import (
    Bye,
    Candidate,
    NegotiateMessage,
    Role,
    role_of,
)
from actr_peer.tasks import Tasks
from actr_peer.wire.base import WireSink, next_wire_id
from actr_peer.wire.webrtc.engine import EngineFactory, EngineOptions, MediaSource
from actr_peer.wire.webrtc.exchanges import Exchanges, Relay
from actr_peer.wire.webrtc.tracks import Outcome, SentTrack, Tracks

MAX_PARKED = 64
FLUSH_TIMEOUT = 2.0
BYE_TIMEOUT = 1.0


class Phase(Enum):
    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


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
    ) -> None:
        self.id = next_wire_id()
        self.connection_id = connection_id
        self.remote = remote
        self.was_dialled = False
        self.max_message_bytes = 0  # known when open
        self.phase = Phase.CONNECTING
        self._owner = owner
        self._ends = ends
        self._engine = make_engine(options, self, tasks)
        self._exchanges = Exchanges(
            connection_id,
            remote=remote,
            role=role_of(local, remote),
            engine=self._engine,
            relay=relay,
            failed=self._fail,
        )
        self._loop = asyncio.get_running_loop()
        self._sink: WireSink | None = None
        self._parked: list[tuple[int, bytes]] = []
        self._verdict: PeerError | None = None
        self._is_told = False
        self._gone = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(connect_timeout, self._too_slow, connect_timeout)
        self._negotiating = tasks.start(
            f"negotiation/{remote}", self._exchanges.run(), failed=self._broke
        )
        self.tracks = Tracks(remote, self._engine.media, self._exchanges, tasks)
        if role_of(local, remote) is Role.OFFERER:
            self._exchanges.changed()

    def __repr__(self) -> str:
        return f"<WebRtcWire {self.id} to {self.remote} {self.phase.name}>"

    # What a wire is (wire/base.py)

    @property
    def is_relayed(self) -> bool:
        return self.phase is Phase.OPEN and self._engine.is_relayed

    @property
    def buffered_bytes(self) -> int:
        return self._engine.buffered_bytes if self.phase is Phase.OPEN else 0

    @property
    def is_full(self) -> bool:
        return self.phase is Phase.OPEN and self._engine.is_full

    def attach(self, sink: WireSink) -> None:
        self._sink = sink
        parked, self._parked = self._parked, []
        before = self.phase
        for channel, data in parked:
            if self.phase is before:  # the sink may close the wire
                self._deliver(sink, channel, data)
        if self.phase is Phase.CLOSED:
            self._tell()

    def send(self, channel: int, data: bytes) -> None:
        if self.phase is not Phase.OPEN:
            raise BrokenError(f"the WebRTC connection to {self.remote} is closed")
        if len(data) > self.max_message_bytes:
            raise LimitError(
                "bytes of a wire message", limit=self.max_message_bytes, asked=len(data)
            )
        self._engine.send(channel, data)

    async def close(self) -> None:
        """As the protocol says; cancelling it loses nothing, the flush goes on."""
        if self.phase in (Phase.CONNECTING, Phase.OPEN):
            was_open, self.phase = self.phase is Phase.OPEN, Phase.CLOSING
            self._verdict = None if was_open else ClosedError("closed while connecting")
            self._stop()
            flush_timeout = FLUSH_TIMEOUT if was_open else 0.0
            self._closing = self._finish("close", self._shut(flush_timeout))
        await self._gone.wait()

    def abort(self) -> None:
        """As the protocol says; ``closed`` is reported in a later turn of the loop."""
        if self._closing is not None:
            # It flushes no more. In a later turn: a task that never began would free nothing.
            self._loop.call_soon(self._closing.cancel)
        self._end(None, why="aborted", is_told_later=True)

    # Beside what a wire is

    def view(self) -> Mapping[str, Any]:
        """What is known of the path; see ``Engine.view``."""
        return self._engine.view()

    def receive(self, message: NegotiateMessage) -> None:
        """Take one message of the far side from signaling."""
        if self.phase not in (Phase.CONNECTING, Phase.OPEN):
            return
        if isinstance(message.body, Bye):
            self._end(BrokenError(f"{self.remote} gave it up: {message.body.reason[:200]}"))
        else:
            self._exchanges.receive(message)

    async def publish(self, source: MediaSource) -> SentTrack:
        """Send a track, once the far side has agreed; see ``Tracks.publish``."""
        if self.phase is not Phase.OPEN:
            raise BrokenError(f"the WebRTC connection to {self.remote} is closed")
        return await self.tracks.publish(source)

    def publish_soon(self, source: MediaSource, settled: Outcome) -> None:
        """See ``Tracks.publish_soon``."""
        if self.phase is Phase.OPEN:
            self.tracks.publish_soon(source, settled)
        else:
            self._loop.call_soon(
                settled, BrokenError(f"the WebRTC connection to {self.remote} is closed")
            )

    def when_gone(self, told: Callable[[], None]) -> None:
        """Call ``told`` once when no track can go over this wire any more; now, if it is so."""
        if self.phase in (Phase.CONNECTING, Phase.OPEN):
            self.tracks.on_gone = told
        else:
            told()

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing has come from the far side yet."""
        return self.phase is Phase.CONNECTING and not self._exchanges.is_described

    def repeat_offer(self) -> None:
        """Say again what was said: the far side may be another process by now."""
        self._exchanges.repeat()

    # Events of the engine

    def candidate(self, candidate: Candidate) -> None:
        self._exchanges.candidate(candidate)

    def opened(self) -> None:
        if self.phase is Phase.CONNECTING:
            self.phase = Phase.OPEN
            self.max_message_bytes = self._engine.max_message_bytes
            self._exchanges.opened()
            self._timer.cancel()
            self._owner.opened(self)

    def message(self, channel: int, data: bytes) -> None:
        if self.phase is not Phase.OPEN:
            return
        if self._sink is not None:
            self._deliver(self._sink, channel, data)
        elif len(self._parked) < MAX_PARKED:
            self._parked.append((channel, data))
        else:
            self._fail(
                LimitError(
                    "messages before the wire is used", limit=MAX_PARKED, asked=MAX_PARKED + 1
                )
            )

    def writable(self) -> None:
        if self._sink is not None and self.phase is Phase.OPEN:
            try:
                self._sink.writable(self)
            except Exception as exc:  # noqa: BLE001  boundary: aiortc would lose its transport
                self._failed_sink(exc)

    def lost(self, error: PeerError | None) -> None:
        if self.phase is not Phase.CLOSING:
            self._end(error)

    def _deliver(self, sink: WireSink, channel: int, data: bytes) -> None:
        try:
            sink.message(self, channel, data)
        except (RemoteProtocolError, LimitError) as error:
            self._fail(error)
        except Exception as exc:  # noqa: BLE001  boundary: aiortc would kill its transport with it
            self._failed_sink(exc)

    def _failed_sink(self, exc: Exception) -> None:
        self._broke(exc)
        self._loop.call_exception_handler(
            {"message": "wire sink failed", "exception": exc, "wire": self}
        )

    # The end

    def _broke(self, exc: BaseException) -> None:
        """A task of this connection failed as nobody expected."""
        failure = BrokenError(f"closed by a failure on this side: {exc!r}")
        failure.__cause__ = exc
        self._end(failure, why="failure on this side")

    def _finish(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Free the connection, once; whatever becomes of ``work``, it is gone after."""
        try:
            task = self._ends.start(f"{name}/{self.remote}", work, failed=lambda exc: None)
        except ClosedError:  # the owner's block has ended
            self._freed()
            return None
        task.add_done_callback(lambda _: self._freed())
        return task

    def _freed(self) -> None:
        if self.phase is Phase.CLOSING:
            self.phase = Phase.CLOSED
            self._owner.ended(self, self._verdict)
            self._tell()
        if not self._gone.is_set():
            self._gone.set()
            self._owner.freed(self)

    def _too_slow(self, seconds: float) -> None:
        known = "; ".join(self._engine.view()["failures"])
        why = f"no WebRTC connection within {seconds:g} s"
        self._end(DeadlineError(f"{why} ({known})" if known else why), why=why)

    def _fail(self, error: PeerError) -> None:
        self._end(error, why=str(error))

    def _end(self, error: PeerError | None, *, why: str = "", is_told_later: bool = False) -> None:
        """Take the connection away at once; tell the far side ``why``, where it is our doing."""
        if self.phase in (Phase.CLOSING, Phase.CLOSED):
            return
        self.phase = Phase.CLOSED
        self._verdict = error
        self._stop()
        self._finish("end", self._free(why))
        self._owner.ended(self, error)
        if is_told_later:
            self._loop.call_soon(self._tell)
        else:
            self._tell()

    def _stop(self) -> None:
        self._timer.cancel()
        self._exchanges.end()
        self.tracks.end()
        if self._negotiating is not asyncio.current_task():
            self._negotiating.cancel()

    async def _free(self, why: str) -> None:
        try:
            await self._engine.close(0.0)
        finally:
            self._freed()
        if why:
            await self._bye(why)

    async def _shut(self, flush_timeout: float) -> None:
        try:
            await self._engine.close(flush_timeout)
        finally:
            self._freed()
        if self._verdict is not None:
            await self._bye("closed while connecting")

    async def _bye(self, why: str) -> None:
        try:
            async with asyncio.timeout(BYE_TIMEOUT):
                await self._exchanges.bye(why[:200])
        except TimeoutError:
            pass  # its own time-outs do for the far side

    def _tell(self) -> None:
        """Report the end, once, as soon as there is a sink."""
        if self._sink is not None and not self._is_told:
            self._is_told = True
            self._sink.closed(self, self._verdict)
