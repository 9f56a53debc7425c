"""Sans-I/O: what a host's name or number says of where it is, and what is beside an address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

SIGNALING_PATH: Final = "/v1/ws"


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this machine alone, in numbers or by its name."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_name(host: str) -> bool:
    """Whether a ``Host`` header, with its port, is a name of this machine alone."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def site_of(url: str) -> str:
    """What a signaling service at ``ws://host:port/v1/ws`` has over HTTP is behind this:
    ``http://host:port``."""
    return url.replace("ws", "http", 1).removesuffix(SIGNALING_PATH)
