"""All WebRTC connections of a process: dialling, answering, and which message is for which.

Of two actors the smaller id makes the offers, whoever wants the connection; the other asks it
for one (``protocol/webrtc/negotiation.py``). A connection has an id, chosen by the offerer: a
new one stands beside the old until that ends (make before break), and no message can reach another.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from actr_peer.errors import BusyError, ConfigError, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.media.frames import MediaFrame, TrackStats
from actr_peer.protocol.webrtc.candidates import EarlyCandidates
from actr_peer.protocol.webrtc.negotiation import (
    Bye,
    Candidate,
    IceServer,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
    Role,
    TrackKind,
    role_of,
)
from actr_peer.protocol.webrtc.newcomers import Newcomers
from actr_peer.tasks import Tasks, note_failure
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.engine import FAILED, EngineFactory, EngineOptions, IcePolicy
from actr_peer.wire.webrtc.exchanges import Relay
from actr_peer.wire.webrtc.late import LateEngine, load_aiortc
from actr_peer.wire.webrtc.wire import WebRtcWire

CONNECT_TIMEOUT = 8.0
MAX_CONNECTIONS_PER_REMOTE = 4
"""Old ones are given up for new ones: a process that restarts often leaves some behind."""
MAX_CONNECTING = 64
"""Of those that far sides want; dials of our own are beside them."""
NEW_AT_ONCE = 16
NEW_A_SECOND = 4
"""Connections that one remote wants: each costs milliseconds, whatever becomes of it."""
MAX_ID_CHARACTERS = 64

log = logging.getLogger(__name__)


class _Dial:
    """One caller of :meth:`WebRtcWires.dial`, and the connection made for it, once known."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[WebRtcWire] = asyncio.get_running_loop().create_future()
        self.wire: WebRtcWire | None = None

    def fail(self, error: PeerError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)


class WebRtcWires:
    """Makes WebRTC wires; an async context manager that owns them and their tasks.

    Leaving the block closes all wires, flushing for at most 2 s.

    Args:
        relay: Brings a message to a remote by way of signaling; raises ``PeerError`` when it
            was not handed over.
        ice_servers: Asked for each connection, for credentials expire.
        ice_policy: ``"all"`` or ``"relay"``.
        on_wire: Given each open wire that the far side asked for.
        options: Numbers of the engine; its servers and policy are replaced by the above.
        connect_timeout: Seconds until a dial fails.
        make_engine: Makes the library's part of a connection; None: what ``load_engine`` returns,
            which runs in a thread when the first connection is wanted.
        certified: What this process has to prove itself by certificate; None: nothing.
    """

    def __init__(
        self,
        *,
        self_id: ActrId,
        relay: Relay,
        ice_servers: Callable[[], Sequence[IceServer]],
        on_wire: Callable[[Wire], None],
        ice_policy: IcePolicy | str = IcePolicy.ALL,
        options: EngineOptions | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        make_engine: EngineFactory | None = None,
        load_engine: Callable[[], EngineFactory] = load_aiortc,
        certified: Certified | None = None,
    ) -> None:
        self.self_id = self_id
        self.dropped = 0
        """Messages from signaling that belong to no connection of ours."""
        self._relay = relay
        self._ice_servers = ice_servers
        self._on_wire = on_wire
        self._options = replace(
            options or EngineOptions(), ice_policy=IcePolicy(ice_policy), shared={}
        )
        self._connect_timeout = connect_timeout
        self._engine = LateEngine(load_engine, self._release, make_engine)
        self._certified = certified
        self._tasks = Tasks("webrtc")
        # What frees connections outlives a failure of the above: else nobody would wait in vain
        # for less than for ever.
        self._ends = Tasks("webrtc-ends")
        self._wires: dict[tuple[ActrId, str], WebRtcWire] = {}
        self._ending: set[WebRtcWire] = set()
        self._dials: dict[ActrId, _Dial] = {}
        self._newcomers = Newcomers[ActrId](at_once=NEW_AT_ONCE, per_second=NEW_A_SECOND)
        self._clock = time.monotonic
        self._early = EarlyCandidates[tuple[ActrId, str]]()
        self._held: dict[tuple[ActrId, str], tuple[NegotiateMessage, Certificate | None]] = {}
        """What asks for a connection while the engine is being loaded, oldest first."""

    async def __aenter__(self) -> Self:
        await self._ends.__aenter__()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._held.clear()
            ends = (*self._wires.values(), *self._ending)
            await asyncio.gather(*(wire.close() for wire in ends))
        finally:
            try:
                await self._tasks.__aexit__(exc_type, exc, traceback)
            finally:
                await self._ends.__aexit__(None, None, None)

    @property
    def candidates_dropped(self) -> int:
        """Candidates that came before their description, and were too many."""
        return self._early.dropped

    def servers_failed(self, scheme: str) -> int:
        """How often a server of ``scheme``, ``stun`` or ``turn``, was asked and gave no address."""
        failed: Mapping[str, int] = self._options.shared.get(FAILED, {})
        return failed.get(scheme, 0)

    def wires(self) -> list[WebRtcWire]:
        """Connections that are not gone, open or not, oldest first."""
        return list(self._wires.values())

    def receive_media(
        self,
        wire: Wire,
        on_frame: Callable[[MediaFrame], None],
        on_tracks: Callable[[Mapping[str, TrackKind] | None], None],
    ) -> None:
        """Give the media that arrives on ``wire``, where that is one of ours, to ``on_frame``.

        It runs beside the data of the same connection and must be quick; a failure in it is
        shown and the frame is lost. ``on_tracks`` is told which tracks of the far side there are,
        now and whenever that changes, and None when the wire is gone.
        """
        if isinstance(wire, WebRtcWire):
            wire.tracks.on_frame = on_frame
            wire.tracks.follow(on_tracks)

    def media_stats(self, wire: Wire) -> tuple[list[TrackStats], float | None]:
        """How the tracks of ``wire`` fare, and its round trip in seconds, where it is known."""
        if isinstance(wire, WebRtcWire):
            return wire.tracks.stats(), wire.view()["rtt"]
        return [], None

    def request_keyframe(self, wire: Wire, track_id: str) -> None:
        """Ask the far side of ``wire`` for a key frame of its track; nothing without one."""
        if isinstance(wire, WebRtcWire):
            wire.tracks.request_keyframe(track_id)

    async def dial(
        self, remote: ActrId, *, cause: RequestCause = RequestCause.CONNECT
    ) -> WebRtcWire:
        """Make a new connection, beside those that there are, and return it open.

        Cancelling gives the connection up and tells the far side.

        Raises:
            BusyError: If a dial to ``remote`` is under way.
            ConfigError: If an ICE server's URL cannot be used, or the library cannot.
            UnreachableError: If it is not open within the time-out, or fails before.
        """
        if remote in self._dials:
            raise BusyError(f"a WebRTC connection to {remote} is being made")
        dial = self._dials[remote] = _Dial()
        kept: WebRtcWire | None = None
        try:
            role = role_of(self.self_id, remote)
            if role is Role.OFFERER:
                await self._engine.ready()
            async with asyncio.timeout(self._connect_timeout):
                if role is Role.OFFERER:
                    wire = self._connecting(remote)
                    self._adopt(dial, wire or self._connect(remote, secrets.token_hex(16)))
                else:
                    self._engine.begin()  # while the far side makes its offer
                    request = NegotiateMessage("", 0, RequestOffer(cause))
                    await self._relay(remote, request)
                    await self._engine.ready()
                kept = await dial.opened
                return kept
        except TimeoutError as exc:
            known = dial.wire.view()["failures"] if dial.wire is not None else ()
            why = "; ".join((f"no WebRTC connection within {self._connect_timeout:g} s", *known))
            raise UnreachableError(str(remote), why) from exc
        except (ConfigError, UnreachableError):
            raise
        except PeerError as exc:
            raise UnreachableError(str(remote), str(exc)) from exc
        finally:
            del self._dials[remote]
            if dial.wire is not None and dial.wire is not kept:
                dial.wire.abort()  # also where it opened in the turn in which this was cancelled

    def knows(self, remote: ActrId, connection_id: str) -> bool:
        """Whether there is a connection of this id that is not gone."""
        return (remote, connection_id) in self._wires or (remote, connection_id) in self._held

    def receive(
        self, source: ActrId, message: NegotiateMessage, certificate: Certificate | None = None
    ) -> None:
        """Take one message from signaling.

        Args:
            source: As signaling says, and as ``certificate`` says where the message is signed.
        """
        key = (source, message.connection_id)
        wire = self._wires.get(key)
        if wire is not None:
            wire.receive(message, certificate)
        elif len(message.connection_id) > MAX_ID_CHARACTERS:
            self.dropped += 1
        elif isinstance(message.body, Offer) and message.connection_id and source < self.self_id:
            self._offered(source, message, certificate)
        elif isinstance(message.body, RequestOffer) and not message.connection_id:
            self._requested(source)
        elif isinstance(message.body, Candidate):
            self._early.keep(key, message.body)
        elif isinstance(message.body, Bye) and key in self._held:
            del self._held[key]
        else:
            self.dropped += 1

    def _offered(
        self, source: ActrId, message: NegotiateMessage, certificate: Certificate | None
    ) -> None:
        if self._engine.make is None:
            self._hold(source, message, certificate)
            return
        wire = self._accept(source, message.connection_id)
        if wire is None:
            return
        dial = self._dials.get(source)
        if dial is not None and dial.wire is None:
            self._adopt(dial, wire)
        wire.receive(message, certificate)
        for candidate in self._early.take((source, message.connection_id)):
            wire.receive(replace(message, body=candidate))

    def _requested(self, source: ActrId) -> None:
        if role_of(self.self_id, source) is not Role.OFFERER:
            self.dropped += 1
            return
        if self._engine.make is None:
            self._hold(source, NegotiateMessage("", 0, RequestOffer(RequestCause.CONNECT)), None)
            return
        wire = self._connecting(source)
        if wire is not None:
            # Our offer and this request crossed; or the far side is another process by now.
            wire.repeat_offer()
        else:
            self._accept(source, secrets.token_hex(16))

    def _hold(
        self, source: ActrId, message: NegotiateMessage, certificate: Certificate | None
    ) -> None:
        """Keep a message until the engine is loaded: of one remote, and of all, as many as may
        be connecting; the oldest go first."""
        if self._engine.error is not None:
            self.dropped += 1
            return
        self._engine.begin()
        self._held.setdefault((source, message.connection_id), (message, certificate))
        mine = [key for key in self._held if key[0] == source]
        for key in (*mine[:-MAX_CONNECTIONS_PER_REMOTE], *list(self._held)[:-MAX_CONNECTING]):
            if self._held.pop(key, None) is not None:
                self.dropped += 1

    def _release(self) -> None:
        """The engine is loaded, or cannot be: what has waited for it goes on, or is dropped."""
        held, self._held = self._held, {}
        for (source, _), (message, certificate) in held.items():
            self.receive(source, message, certificate)

    def _accept(self, source: ActrId, connection_id: str) -> WebRtcWire | None:
        """Make a connection that the far side wants; None where it wants too many, and where that
        fails, with a word to the operator: the ICE servers cannot be used."""
        dial = self._dials.get(source)
        is_awaited = dial is not None and dial.wire is None
        if not is_awaited and not self._newcomers.admit(source, now=self._clock()):
            self.dropped += 1
            return None
        try:
            return self._connect(source, connection_id)
        except ConfigError as error:
            log.error("no WebRTC connection: remote=%s cause=%s", source, error)
            return None
        except Exception as exc:  # noqa: BLE001  boundary: of what a message from signaling began
            note_failure("webrtc", "accept", exc)
            return None

    def _connecting(self, remote: ActrId) -> WebRtcWire | None:
        """The connection to ``remote`` that is being made and has no answer yet."""
        for wire in reversed(self._wires.values()):
            if wire.remote == remote and wire.is_unanswered:
                return wire
        return None

    def _connect(self, remote: ActrId, connection_id: str) -> WebRtcWire:
        mine = [wire for wire in self._wires.values() if wire.remote == remote]
        for wire in mine[: 1 - MAX_CONNECTIONS_PER_REMOTE]:
            wire.abort()
        connecting = [
            wire for wire in self._wires.values() if wire.is_connecting and not wire.was_dialled
        ]
        for wire in connecting[: 1 - MAX_CONNECTING]:
            wire.abort()
        assert self._engine.make is not None
        wire = WebRtcWire(
            connection_id,
            local=self.self_id,
            remote=remote,
            owner=self,
            relay=self._relay,
            tasks=self._tasks,
            ends=self._ends,
            options=replace(self._options, ice_servers=tuple(self._ice_servers())),
            make_engine=self._engine.make,
            connect_timeout=self._connect_timeout,
            certified=self._certified,
        )
        self._wires[remote, connection_id] = wire
        return wire

    def _adopt(self, dial: _Dial, wire: WebRtcWire) -> None:
        dial.wire = wire
        wire.was_dialled = True

    # Events of the wires

    def opened(self, wire: WebRtcWire) -> None:
        dial = self._dials.get(wire.remote)
        if dial is not None and dial.wire is wire and not dial.opened.done():
            dial.opened.set_result(wire)
        elif wire.was_dialled:  # by somebody who no longer waits
            wire.abort()
        else:
            # In a turn of its own: what the owner does here is nothing that aiortc may see.
            asyncio.get_running_loop().call_soon(self._give, wire)

    def _give(self, wire: WebRtcWire) -> None:
        try:
            self._on_wire(wire)
        except Exception as exc:  # noqa: BLE001  boundary: a callback of the loop
            note_failure("webrtc", "arrived", exc)
            wire.abort()

    def ended(self, wire: WebRtcWire, error: PeerError | None) -> None:
        self._wires.pop((wire.remote, wire.connection_id), None)
        self._ending.add(wire)
        dial = self._dials.get(wire.remote)
        if dial is not None and dial.wire is wire:
            why = "closed while connecting"
            if error is not None:
                why = error.why if isinstance(error, UnreachableError) else str(error)
            failure = UnreachableError(str(wire.remote), why)
            failure.__cause__ = error
            dial.fail(failure)

    def freed(self, wire: WebRtcWire) -> None:
        self._ending.discard(wire)
