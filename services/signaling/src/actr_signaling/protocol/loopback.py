"""Sans-I/O: which names and addresses lead to this machine, and to no other."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

LOCALHOST: Final = "localhost"


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


def is_here(address: str, host: str) -> bool:
    """Whether a request comes from this machine, and not by a name that was made to lead here (DNS
    rebinding).

    Args:
        address: Of the far end of its connection; empty: it has none.
        host: What its ``Host`` says.
    """
    return is_loopback(address) and is_name_of_here(host)


def is_loopback(address: str) -> bool:
    """Whether it is an address of this machine's own, and no name."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback
