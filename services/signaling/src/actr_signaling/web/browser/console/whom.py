"""Whom the console is given to.

What it shows it asks of signaling and of the actors, as anybody may who can reach them: its files
are no secret. But in development mode nobody proves anything, and there it is for who sits at this
machine; nor can a site whose name is made to lead here (DNS rebinding) get it for its own origin.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

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


LOCALHOST: Final = "localhost"


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
    if whom == "here" and not (is_loopback(peer or "") and is_name_of_here(host)):
        return Refused.ELSEWHERE
    return None


def is_name_of_here(host: str) -> bool:
    """Whether ``host[:port]`` is a name that leads nowhere but to this machine."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # a ValueError where it is none
    except ValueError:
        return False
    if parts.netloc != host or "@" in host:
        return False
    name = parts.hostname or ""
    return name == LOCALHOST or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether it is an address of this machine's own, and no name."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback
