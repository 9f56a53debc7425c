"""What a WebRTC library must do for us, and no more: the seam below ``wire/webrtc/wires.py``.

One engine is one connection. It knows nothing of actors, of signaling, or of who offers; a
second one for data alone may stand beside aiortc's (docs/decisions/0003-single-offerer.md).
Events are synchronous calls on the sink, on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from actr_peer.errors import PeerError
from actr_peer.protocol.media.frames import MediaFrame, Sample, TrackStats
from actr_peer.protocol.webrtc.candidates import DEFAULT_RULE, AddressRule
from actr_peer.protocol.webrtc.negotiation import Answer, Candidate, IceServer, Offer, TrackKind
from actr_peer.tasks import Tasks
from actr_peer.wire.base import Carrier

CHANNEL_PROTOCOL = "actr/1"
"""What each data channel names as its protocol; the ids are fixed, so nothing is negotiated."""
TEXT_CHANNEL = 1
"""The one that carries words of the wire itself, as text: messages of sessions are binary."""


FAILED = "failed"
"""Of ``EngineOptions.shared``: how many servers gave no address, by ``stun`` and ``turn``."""


class IcePolicy(Enum):
    """Which candidates are used."""

    ALL = "all"
    RELAY = "relay"
    """Only through a TURN server: the far side learns no address of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What an engine is given; every duration in seconds, every size in bytes."""

    ice_servers: Sequence[IceServer] = ()
    """Explicit always: an empty sequence means no server, never the library's default."""
    ice_policy: IcePolicy = IcePolicy.ALL
    loopback: bool | None = None
    """Whether 127.0.0.1 is a candidate; None: only where there is no other address."""
    link_local: bool = False
    """Whether addresses of 169.254.0.0/16 and fe80::/10 are candidates, on either side."""
    rule: AddressRule = DEFAULT_RULE
    """Which candidates of the far side are tried, besides those that the two above allow."""
    gather_timeout: float = 3.0
    """For STUN and TURN servers that do not answer; host candidates never wait for it."""
    max_window_bytes: int = 128 * 1024
    """Bound of the congestion window. More is faster over long paths and makes urgent
    messages wait longer; aiortc's own, about 1 MB, overruns the socket's buffer."""
    min_resend_after: float = 0.2
    """Lower bound of the retransmission time-out (RFC 9260 says one second)."""
    consent_interval: float = 5.0
    """Between two checks whether the far side still wants our packets (RFC 7675, 5.1)."""
    doubt_interval: float = 1.0
    """Likewise, after one that had no answer."""
    consent_failures: int = 4
    """Checks in a row without an answer after which the path is dead."""
    media_bytes_per_second: int = 12_000_000
    """How fast the packets of all tracks leave: a large frame at once overruns the far socket."""
    high_water_bytes: int = 64 * 1024
    low_water_bytes: int = 16 * 1024
    shared: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What the connections that are given these options have together; the engine's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """Two addresses between which a way was looked for."""

    local: tuple[str, str, int]
    """Kind of the candidate (``host``, ``srflx``, ``prflx``, ``relay``), address, port."""
    remote: tuple[str, str, int]
    state: str
    """``frozen`` and ``waiting``: not tried yet; ``in_progress``, ``succeeded``, ``failed``."""
    is_used: bool


class EngineSink(Protocol):
    """Who owns an engine hears from it here."""

    def candidate(self, candidate: Candidate) -> None:
        """A way to reach this side became known; an empty one says that there are no more."""

    def opened(self) -> None:
        """All channels are open, once."""

    def message(self, channel: int, data: bytes) -> None:
        """One whole message arrived."""

    def text(self, data: bytes) -> None:
        """A word of the far side's wire arrived."""

    def writable(self) -> None:
        """``buffered_bytes`` fell to the low-water mark after having been above the high one."""

    def lost(self, error: PeerError | None) -> None:
        """The connection is gone, once; None: the far side closed it in good order."""


class Engine(Carrier, Protocol):
    """One WebRTC connection: descriptions and candidates in and out, four channels.

    Its ``send`` leaves ``max_message_bytes`` to the caller.

    Errors of all coroutines: ``RemoteProtocolError`` for what the far side sent,
    ``BrokenError`` when the connection is gone or the library fails.
    """

    @property
    def address_rule(self) -> AddressRule:
        """Which addresses of the far side may be tried from here."""

    @property
    def media(self) -> MediaEngine | None:
        """Tracks beside the channels, where the library has them."""

    def send_text(self, data: bytes) -> None:
        """Hand a word of this wire over, of some KiB at most; never waits, and is no message.

        Raises:
            BrokenError: If the connection is not open.
        """

    async def offer(self) -> Offer:
        """Describe this side, with the addresses of the machine itself.

        What STUN and TURN servers tell follows by the sink, when they do; with
        ``IcePolicy.RELAY`` it is waited for.

        Raises:
            BrokenError: If there is no candidate that the policy allows.
        """

    async def answer(self, offer: Offer) -> Answer:
        """Apply the far side's offer and describe this side, as :meth:`offer` does."""

    async def accept(self, answer: Answer) -> None:
        """Apply the answer to the last offer."""

    async def add_candidate(self, candidate: Candidate) -> None:
        """Try one more way to reach the far side; an empty one says that there are no more."""

    async def close(self, flush_timeout: float) -> None:
        """Flush for at most so many seconds, then free everything. Harmless when repeated.

        Nothing reaches the sink from now on. Cancelling it frees everything at once.
        """

    def view(self) -> Mapping[str, Any]:
        """What is known of the path: round trip in seconds, window and bytes in flight, what
        failed, and each :class:`PairView` of addresses."""


class MediaSource(Protocol):
    """Where the encoded frames of one outgoing track come from (``wire/media/sources.py``).

    One reader at a time; after it is cancelled another may go on.
    """

    @property
    def track_id(self) -> str: ...

    @property
    def kind(self) -> TrackKind: ...

    @property
    def codec(self) -> str:
        """``VP8``, ``H264``, ``opus``, ``PCMU``, ``PCMA`` or ``G722``."""

    async def read(self) -> Sample | None:
        """Wait for the next frame, at the source's own pace; None at the end.

        Raises:
            PeerError: If the source fails; the track ends with it.
        """

    def request_keyframe(self) -> None:
        """The far side cannot decode: the next frame should be a key frame, if that can be."""


class TrackSender(Protocol):
    """One outgoing track of one connection."""

    @property
    def source(self) -> MediaSource: ...

    @property
    def is_negotiated(self) -> bool:
        """Whether the far side takes it, by the last exchange."""

    async def run(self) -> bool:
        """Send frames until the source ends; False where the connection went first.

        Raises:
            PeerError: If the source fails, or the far side does not take its codec.
        """


class MediaEngine(Protocol):
    """The tracks of one connection. All but the frames' own flow takes an exchange."""

    on_frame: Callable[[MediaFrame], None] | None
    """Given each frame that arrives; it must not raise, and what it does costs all lanes."""
    on_tracks: Callable[[Mapping[str, TrackKind]], None] | None
    """Told after each exchange which tracks of the far side the connection carries."""

    def publish(self, source: MediaSource) -> TrackSender:
        """Have a track in the next description.

        Raises:
            BusyError: If a track with this id is published on this connection.
            ConfigError: If the codec is none of ours.
            LimitError: If there are too many tracks.
        """

    def unpublish(self, track: TrackSender) -> None:
        """Have it there no longer. Harmless when repeated."""

    def wanted(self) -> Mapping[str, str]:
        """Id and kind of all tracks published here, for a request to the offerer."""

    def expect(self, tracks: Mapping[str, str]) -> None:
        """Have room in the next offer for these tracks of the far side.

        Raises:
            RemoteProtocolError: If a kind is neither ``audio`` nor ``video``.
            LimitError: If there are too many.
        """

    def request_keyframe(self, track_id: str) -> None:
        """Ask the far side for a key frame of its track; does nothing if there is none."""

    def stats(self) -> list[TrackStats]:
        """How the tracks of both directions fare."""


EngineFactory = Callable[[EngineOptions, EngineSink, Tasks], Engine]
