"""Whom the console is given to.

What it shows it asks of signaling and of the actors, as anybody may who can reach them: its files
are no secret. But in development mode nobody proves anything, and there it is for who sits at this
machine; nor can a site whose name is made to lead here (DNS rebinding) get it for its own origin.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from actr_signaling.protocol.loopback import is_here
from actr_signaling.settings import PREFIX, Settings

Reach = Literal["off", "here", "on"]
"""Nobody; who is on this machine; who reaches the service."""


class Refused(Enum):
    """Why somebody is not given it: a status, and a sentence."""

    OFF = (404, f"The console is off here. {PREFIX}CONSOLE=here gives it to this machine.")
    ELSEWHERE = (
        403,
        "The console is for browsers on the machine of this service: "
        "http://localhost with its port.",
    )

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]


def reach(settings: Settings) -> Reach:
    """As it is set; else this machine where nobody proves anything, and nobody where they do."""
    if settings.console:
        return settings.console
    return "off" if settings.has_proofs else "here"


def refusal(whom: Reach, peer: str | None, host: str) -> Refused | None:
    """Why this request is refused; None: it is not.

    Args:
        peer: Address of the far end of its TCP connection; None: it has none.
        host: What its ``Host`` says.
    """
    if whom == "off":
        return Refused.OFF
    if whom == "here" and not is_here(peer or "", host):
        return Refused.ELSEWHERE
    return None
