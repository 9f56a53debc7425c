"""Sessions with one deliberate fault each: what the harness of ``session.sim`` must find."""

from __future__ import annotations

from collections.abc import Mapping

from actr_peer.protocol.session.frames import Data
from actr_peer.protocol.session.receiver import Delivery, Receiver
from actr_peer.protocol.session.sender import Sender, Timing
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.ends import End, Refused


class NoResend(Session):
    """What a wire loses stays lost."""

    class SENDER(Sender):
        __slots__ = ()

        def wire_lost(self, wire: int) -> None:
            self.repeats.clear()

        def repeat_overdue(self, now: float, wires: Mapping[int, Timing]) -> None:
            pass

        def due(self, wires: Mapping[int, Timing]) -> float:
            return self.ask_at


class NoDuplicateWindow(Session):
    """What comes again is delivered again."""

    class RECEIVER(Receiver):
        __slots__ = ()

        def _hold(self, frame: Data, now: float) -> None:
            if frame.seq >= self.expected:
                super()._hold(frame, now)

        def receive(self, frame: Data, now: float, out: list[Delivery]) -> None:
            if frame.seq < self.expected and frame.parts == 1:
                self._deliver(frame.seq, frame.payload, out)
            super().receive(frame, now, out)


class NoHoldBack(Session):
    """What comes early is delivered early."""

    class RECEIVER(Receiver):
        __slots__ = ()

        def receive(self, frame: Data, now: float, out: list[Delivery]) -> None:
            if frame.seq > self.expected and frame.parts == 1 and self._joiner.is_empty:
                self.expected = frame.seq
            super().receive(frame, now, out)


class AcknowledgesBeforeDelivery(Session):
    """RPC messages are acknowledged as they arrive, not when they are stored."""

    class RECEIVER(Receiver):
        __slots__ = ()

        def _deliver(self, seq: int, message: bytes, out: list[Delivery]) -> None:
            waits, self.waits = self.waits, False
            super()._deliver(seq, message, out)
            self.waits = waits


class HearsOldWires(Session):
    """Wires of the process before stay, and what they say is taken for the new one's."""

    def _adopt(self, end: End, incarnation: int) -> None:
        old = {other.id: other for other in self.ends.values() if other is not end}
        super()._adopt(end, incarnation)
        self.news = type(self.news)(n for n in self.news if not isinstance(n, Refused))
        self.ends.update(old)


FAULTS = (
    NoResend,
    NoDuplicateWindow,
    NoHoldBack,
    AcknowledgesBeforeDelivery,
    HearsOldWires,
)
