"""Finding others, and sending to them beside calls: what a handler and the shell both may do.

Written once. :class:`~actr_peer.actor.context.Context` and :class:`~actr_peer.node.ref.ActrRef` are
each a :class:`Reach`, and go straight from here to the part that does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from actr_peer.actor.files.sending import PATIENCE, send_file
from actr_peer.actor.subscribers.incoming import IncomingStreams
from actr_peer.actor.subscribers.recording import Recording, RecordingReport
from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.identity import ActrId, ActrType, Place, parse_destination
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.bounds import is_utf8
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.chosen.chooser import Asker
from actr_peer.rpc.destinations.chosen.discovered import DiscoveredGate, any_of
from actr_peer.rpc.destinations.ids import id_of
from actr_peer.rpc.destinations.interceptors import ClientInterceptor, InterceptedGate
from actr_peer.rpc.destinations.scope import ROOT, Scope
from actr_peer.rpc.destinations.verbs import Verbs
from actr_peer.service import Caller
from actr_peer.wire.webrtc.source import guard

if TYPE_CHECKING:
    from os import PathLike

    from actr_peer.actor.files.receiving import Receiving
    from actr_peer.actor.files.rules import FileRules
    from actr_peer.actor.files.service import FilesHere
    from actr_peer.actor.files.told import FileProgress, SentFile
    from actr_peer.actor.subscribers.media import EventCallback, MediaCallback, MediaSubscribers
    from actr_peer.actor.subscribers.streams import EndCallback, StreamCallback, StreamSubscribers
    from actr_peer.actor.subscribers.tracks import RemoteTrack
    from actr_peer.transport.channels import Streams
    from actr_peer.transport.publications import Publication
    from actr_peer.transport.remote import RemoteTransport
    from actr_peer.transport.streams import StreamWriter
    from actr_peer.wire.signaling.client import SignalingClient

_LANES = {False: PayloadType.STREAM_RELIABLE, True: PayloadType.STREAM_LATENCY_FIRST}


class Actor(Asker, Protocol):
    """A node as contexts and refs see it: callers, and the parts that reach others."""

    @property
    def interceptors(self) -> Sequence[ClientInterceptor]:
        """Of calls that leave."""

    @property
    def signaling(self) -> SignalingClient: ...

    @property
    def transport(self) -> RemoteTransport: ...

    @property
    def streams(self) -> Streams: ...

    @property
    def stream_subscribers(self) -> StreamSubscribers: ...

    @property
    def media_subscribers(self) -> MediaSubscribers: ...

    @property
    def files(self) -> FilesHere: ...

    @property
    def request_keyframe(self) -> Callable[[ActrId, str], None]: ...

    def caller_to_self(self, scope: Scope, *, durable: bool = False) -> Caller:
        """A caller for the own workload by the mailbox.

        Raises:
            ClosedError: If the actor ends.
        """

    def caller_to_shell(self, scope: Scope) -> Caller: ...

    def metered(self, caller: Caller) -> Caller: ...


class Reach(Verbs):
    """What an actor reaches; made where something of it is handed to the user."""

    __slots__ = ("_actor",)

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def _inherited(self) -> Scope:
        """What calls inherit that are made here."""
        return ROOT

    def _id_of(self, remote: ActrId | str) -> ActrId:
        return id_of(remote, self._actor.id)

    def _caller(self, remote: ActrId | str, scope: Scope, *, waits: bool = True) -> Caller:
        return self._through(self._bare(remote, scope, waits=waits), remote, scope, waits=waits)

    def _through(
        self, caller: Caller, target: ActrId | str, scope: Scope, *, waits: bool = True
    ) -> Caller:
        """``caller`` behind the interceptors of calls, and all of it measured."""
        if self._actor.interceptors:
            reach = partial(self._bare, scope=scope, waits=waits)
            caller = InterceptedGate(caller, target, self._actor.interceptors, reach)
        return self._actor.metered(caller)

    def _bare(self, remote: ActrId | str, scope: Scope, *, waits: bool = True) -> Caller:
        """A caller for whoever ``remote`` names; what is no text is checked by :func:`id_of`."""
        actor = self._actor
        if not isinstance(remote, str):  # nothing to decide
            return actor.caller_to(id_of(remote), scope, wait_for_ready=waits)
        target = parse_destination(remote)
        if target is Place.SHELL:
            return actor.caller_to_shell(scope)
        if isinstance(target, ActrType):
            return DiscoveredGate(target, actor, scope=scope, waits=waits)
        return actor.caller_to(id_of(remote, actor.id), scope, wait_for_ready=waits)

    def any(self, actr_type: str, *, key: str | None = None, wait_for_ready: bool = True) -> Caller:
        """A caller for the best other actor of a type, and for another one if that is lost
        (docs/destinations.md): ``RoomClient(ref.any("acme:room", key="kitchen"))``.

        Args:
            key: The same key goes to the same actor while that is online; None: to the one that is
                least busy.

        Raises:
            ConfigError: If the text is no type, or the key cannot be sent.
        """
        scope = self._inherited()
        gate = any_of(actr_type, self._actor, scope, key=key, waits=wait_for_ready)
        return self._through(gate, actr_type, scope, waits=wait_for_ready)

    async def discover(
        self, actr_type: str = "", *, service: str = "", limit: int = 16
    ) -> list[Presence]:
        """Actors that are online, by type or by service, best first.

        Raises:
            LocalProtocolError: If a name is no text in UTF-8, or the limit no number above 0.
            UnreachableError: If the signaling service does not answer.
        """
        for name, value in (("actr_type", actr_type), ("service", service)):
            if not is_utf8(value):
                raise LocalProtocolError(f"{name} = {value!r}: must be text in UTF-8")
        if not isinstance(limit, int) or not 0 < limit < 1 << 31:
            raise LocalProtocolError(f"limit = {limit!r}: must be a number above 0")
        return await self._actor.signaling.discover(actr_type, service=service, limit=limit)

    def open_stream(
        self, remote: ActrId | str, channel_id: str, *, latency_first: bool = False
    ) -> StreamWriter:
        """The sending half of a channel that ``remote`` has registered a callback for; the own id
        is one too."""
        payload_type = _LANES[latency_first]
        link = self._actor.transport.link(self._id_of(remote))
        return self._actor.streams.open_named(link, channel_id, payload_type)

    def close_stream(self, writer: StreamWriter) -> None:
        """End a channel that :meth:`open_stream` opened, and forget it."""
        writer.end()
        self._actor.streams.forget_writer(writer)

    def _channel(
        self, remote: ActrId | str, channel_id: str, *, latency_first: bool
    ) -> AbstractAsyncContextManager[StreamWriter]:
        link = self._actor.transport.link(self._id_of(remote))
        return self._actor.streams.sending(link, channel_id, _LANES[latency_first])

    def incoming(self, channel_id: str) -> IncomingStreams:
        """A block in which streams on ``channel_id`` come in, to be iterated over: each has a
        ``sender``, and is itself iterated over for its items."""
        return IncomingStreams(partial(self._actor.stream_subscribers.admit, channel_id))

    def register_stream(
        self, channel_id: str, callback: StreamCallback, *, on_end: EndCallback | None = None
    ) -> Callable[[], None]:
        """Have ``callback(chunk, sender)`` called for each item, and ``on_end(end, sender)`` behind
        the last of each stream, however it ended; returns what unregisters both, at once."""
        _check_callback(callback)
        if on_end is not None:
            _check_callback(on_end)
        return self._actor.stream_subscribers.register(channel_id, callback, on_end)

    def register_media(
        self,
        track_id: str | None,
        callback: MediaCallback,
        *,
        on_event: EventCallback | None = None,
    ) -> Callable[[], None]:
        """Have ``callback(frame, sender)`` called for each frame; None is any track.

        ``on_event(event, sender)`` hears when a track begins, is suspended, resumes and ends.
        Returns what unregisters both, at once.
        """
        for each in (callback, on_event) if on_event is not None else (callback,):
            _check_callback(each)
        return self._actor.media_subscribers.register(track_id, callback, on_event)

    def track(self, remote: ActrId | str, track_id: str) -> RemoteTrack:
        """A track of ``remote``, there or not: iterate over it for its frames."""
        return self._actor.media_subscribers.track(self._id_of(remote), track_id)

    async def record(
        self, remote: ActrId | str, track_ids: Sequence[str], path: Path | str
    ) -> RecordingReport:
        """Record tracks of ``remote`` into a file until all have ended; see :class:`Recording`.

        Cancelling ends it too: what was written plays.

        Raises:
            ConfigError: If the file's suffix is no container, or that takes a track's codec not.
            PeerError: What went wrong with a track or the file; what was written plays.
        """
        async with Recording(path) as recording:
            for track_id in [track_ids] if isinstance(track_ids, str) else track_ids:
                recording.add(self.track(remote, track_id))
            return await recording.finished()

    async def send_file(
        self,
        path: str | PathLike[str],
        to: ActrId | str,
        *,
        progress: Callable[[FileProgress], None] | None = None,
        name: str | None = None,
        timeout: float | None = None,
        patience: float = PATIENCE,
    ) -> SentFile:
        """Send a file, or a directory as a whole, to an actor that receives files.

        It goes on by itself where a link breaks or the receiver restarts; called again after a
        restart of this side, it goes on from what the receiver has (docs/files.md). Cancelling it
        leaves that there, too.

        Args:
            progress: Called on the loop for each block that the receiver has written down.
            name: What it is called there; None: as it is here.
            timeout: Seconds for all of it; None: no limit.
            patience: Seconds without progress after which it is given up.

        Raises:
            ConfigError: If it cannot be read, or holds links or devices.
            CallError: What the receiver says: UNIMPLEMENTED, PERMISSION_DENIED, INVALID_ARGUMENT
                (a name), ALREADY_EXISTS, RESOURCE_EXHAUSTED; or FAILED_PRECONDITION, if the file
                changed meanwhile.
            DeadlineError: If one of the two times is over.
        """
        return await send_file(
            self.to(to), path, progress=progress, name=name, timeout=timeout, patience=patience
        )

    def receive_files(
        self, folder: str | PathLike[str], rules: FileRules | None = None
    ) -> Receiving:
        """Take files into ``folder`` until what this returns is closed; ``async with`` does that.

        Raises:
            BusyError: If files are received into another folder, or into this one by another.
            ConfigError: If the folder cannot be made or written.
        """
        return self._actor.files.open(folder, rules)

    async def publish(
        self, remote: ActrId | str, source: Any, *, timeout: float | None = None
    ) -> Publication:
        """Send a track of encoded samples to ``remote`` as native RTP; to the own id, as objects.

        Raises:
            CallError: FAILED_PRECONDITION if no WebRTC wire came up in time: media needs one.
        """
        target, source = self._id_of(remote), guard(source)
        if timeout is None:
            timeout = self._actor.call_timeout
        lane = self._actor.transport.link(target).lane(PayloadType.MEDIA_RTP)
        return await lane.send(source, timeout=timeout)

    def request_keyframe(self, remote: ActrId | str, track_id: str) -> None:
        """Ask ``remote`` for a key frame of a track that it sends; harmless if it sends none.

        After a loss the runtime asks by itself.
        """
        self._actor.request_keyframe(self._id_of(remote), track_id)


def _check_callback(callback: object) -> None:
    if not callable(callback):
        raise LocalProtocolError(f"a callback is called with an item and its sender: {callback!r}")
