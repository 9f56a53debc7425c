"""Shell: the socket of one end of a relayed wire: it takes nothing while the other end is slow."""

from __future__ import annotations

from actr_signaling.web.websocket import Socket


class JoinedSocket(Socket):
    """Held up and let go on by its end (``hub/wires.py``)."""

    @property
    def address(self) -> str:
        """Where it comes from, as it is counted."""
        return self.share.group

    def hold_up(self) -> None:
        self.is_held_up = True

    def go_on(self) -> None:
        if self.is_held_up:
            self.is_held_up = False
            self._go_on()

    def _feel_pulse(self) -> None:
        if self.is_held_up:  # its answers are not read
            self._pulse.heard_at = self._loop.time()
        super()._feel_pulse()
