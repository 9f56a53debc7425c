"""What the layers below report, on its way to who acts on it, and to the workload's hooks."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Any

from actr_peer.errors import BrokenError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.rpc.access.published import Published
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import PresenceEvent, SignalingState
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.protocol.wire.lines import Lines
from actr_peer.tasks import is_asked, is_torn_down, note_failure
from actr_peer.transport.link import Link
from actr_peer.wire.base import Wire

log = logging.getLogger(__name__)

MAX_EVENTS = 1024
"""Events that wait for slow hooks; more drop the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireEvent:
    """A wire to ``remote`` changed."""

    remote: ActrId
    kind: WireKind
    state: WireState
    is_relayed: bool
    """True where a TURN server or the signaling service is between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """Something happened to all that concerns one remote."""

    class Kind(Enum):
        RESET = "reset"
        """The far process restarted; open streams ended."""
        GONE = "gone"
        """No wire is left; pending calls failed."""

    remote: ActrId
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEvent:
    """Something said to be of ``remote`` is not believed, and was dropped."""

    remote: ActrId
    what: str
    """What it was: ``presence``, the ``description`` of a WebRTC connection, the far side of a
    WebSocket ``wire``, of which one in ten seconds is told, or the ``link`` to an actor whose
    certificate was revoked."""
    why: str


class HookRunner:
    """Runs the workload's hooks one at a time, in the order of their events."""

    def __init__(self, listeners: Sequence[object]) -> None:
        self.dropped = 0
        self._listeners = listeners
        self._events: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._arrived = asyncio.Event()

    def post(self, hook: str, *args: object) -> None:
        """Have a hook called soon; never waits."""
        if not any(hasattr(listener, hook) for listener in self._listeners):
            return
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            self.dropped += 1
        self._events.append((hook, args))
        self._arrived.set()

    async def call(self, hook: str, *args: object) -> None:
        """Call a hook now; its failure is the caller's."""
        for listener in self._listeners:
            method = getattr(listener, hook, None)
            if method is not None:
                await method(*args)

    async def call_guarded(self, hook: str, *args: object) -> None:
        """Call a hook now; its failure, or an exit or a cancellation that it lets out, is logged
        and counted."""
        try:
            await self.call(hook, *args)
        except asyncio.CancelledError as exc:
            if is_asked():
                raise
            note_failure("hooks", f"hook/{hook}", exc)
        except BaseException as exc:
            if is_torn_down(exc):
                raise
            note_failure("hooks", f"hook/{hook}", exc)

    async def run(self) -> None:
        """Call what is posted; runs until cancelled."""
        while True:
            while self._events:
                hook, args = self._events.popleft()
                await self.call_guarded(hook, *args)
            self._arrived.clear()
            await self._arrived.wait()


class NodeLinkSink:
    """Hears of all links (:class:`~actr_peer.transport.link.LinkSink`): logs, tells the node, and
    posts the hooks.

    Args:
        message: Given each message that arrives.
        reset: A far process has restarted; the error says what it had.
        gone: A link is removed for good.
        wire_changed: A wire of a link opened, became suspect, or failed.
    """

    def __init__(
        self,
        hooks: HookRunner,
        *,
        message: Callable[[Link, PayloadType, bytes, int], None],
        reset: Callable[[Link, PeerError], None],
        gone: Callable[[Link, PeerError], None],
        wire_changed: Callable[[Link, WireKind, WireState, Wire | None], None],
    ) -> None:
        self.message = message
        self._hooks = hooks
        self._reset = reset
        self._gone = gone
        self._wire_changed = wire_changed

    def reset(self, link: Link, last_delivered: Mapping[PayloadType, int]) -> None:
        """The far process restarted."""
        detail = ", ".join(f"{lane.name} to {number}" for lane, number in last_delivered.items())
        log.info("remote restarted: remote=%s delivered=%s", link.remote, detail)
        self._reset(link, BrokenError(f"{link.remote} restarted; delivered: {detail}"))
        kind = LinkEvent.Kind.RESET
        self._hooks.post("on_link", LinkEvent(remote=link.remote, kind=kind, detail=detail))

    def gone(self, link: Link, error: PeerError) -> None:
        """No wire to the remote is left."""
        log.info("link gone: remote=%s cause=%s", link.remote, error)
        self._gone(link, error)
        kind = LinkEvent.Kind.GONE
        self._hooks.post("on_link", LinkEvent(remote=link.remote, kind=kind, detail=str(error)))

    def wire_changed(self, link: Link, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        """A wire of a link opened, became suspect, or failed."""
        is_relayed = wire is not None and wire.is_relayed
        log.info("wire %s: remote=%s wire=%s", state.name.lower(), link.remote, kind.value)
        self._wire_changed(link, kind, state, wire)
        event = WireEvent(remote=link.remote, kind=kind, state=state, is_relayed=is_relayed)
        self._hooks.post("on_wire", event)


class NodeSignalingSink:
    """Hears of the signaling client, as :class:`NodeLinkSink` does of links.

    Args:
        replaced: A newer process has this identity.
    """

    def __init__(self, hooks: HookRunner, replaced: Callable[[], None]) -> None:
        self._hooks = hooks
        self._replaced = replaced
        self._told_of: set[tuple[ActrId, str]] = set()
        """Refusals that are in the log already: a service repeats itself."""
        self._lines = Lines()

    def presence(self, event: PresenceEvent) -> None:
        """An actor came, changed or left."""
        self._hooks.post("on_presence", event)

    def refused(self, actor: ActrId, why: str) -> None:
        """The service names an actor that has not signed what is said of it."""
        told = actor, why
        if told not in self._told_of:
            left_out = self._lines.take(monotonic())
            if left_out is not None:
                text = "presence refused: remote=%s why=%s left_out=%d"
                log.warning(text, actor, why, left_out)
            if len(self._told_of) < MAX_EVENTS:
                self._told_of.add(told)
        self._hooks.post("on_refusal", RefusalEvent(remote=actor, what="presence", why=why))

    def state_changed(self, state: SignalingState) -> None:
        """The connection to the signaling service changed."""
        log.info("signaling %s", state.name.lower())
        self._hooks.post("on_signaling", state)

    def replaced(self) -> None:
        """A newer process has this identity: this one must end."""
        log.error("replaced by a newer process with the same identity")
        self._replaced()


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """What a network asks of the node above it, and tells it."""

    hooks: HookRunner
    message: Callable[[Link, PayloadType, bytes, int], None]
    """Given each message of a link."""
    reset: Callable[[Link, PeerError], None]
    """A far process has restarted; the error says what it had."""
    gone: Callable[[Link, PeerError], None]
    """A link is removed for good."""
    wire: Callable[[ActrId, WireKind, WireState], None]
    """A kind of wire to a remote has another state."""
    replaced: Callable[[], None]
    """A newer process has this identity."""
    frame: Callable[[ActrId, MediaFrame], None]
    """Given each frame of a remote's tracks."""
    tracks: Callable[[ActrId, int, Mapping[str, TrackKind] | None], None]
    """Told which tracks of a remote a wire of it carries; None: the wire is gone."""
    backlog: Callable[[], int]
    """Requests that wait here."""
    shown: Callable[[ActrId, Certificate], None]
    """Told of each certificate that a remote has proved to be its own."""
    ruled: Callable[[Published], None]
    """Told of each new set of the issuer's access rules."""
    is_awaited: Callable[[ActrId], bool]
    """Whether a call, a stream or a handler waits for something of a remote."""
