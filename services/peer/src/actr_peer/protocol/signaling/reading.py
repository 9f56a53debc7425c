"""Sans-I/O: what a signaling service says of actors and of ICE servers, within bounds.

The service hands on what other actors say of themselves. So one description that cannot be used
is left out and the rest is taken: another actor's mistake does not cut this one off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from types import MappingProxyType

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Load, Presence
from actr_peer.protocol.webrtc.negotiation import IceServer

ReadPresence = Callable[[pb.Presence], Presence | None]
"""Reads one actor; None: it is left out."""
MAX_PRESENT = 32_768
"""Actors in one snapshot or answer."""
MAX_TEXT = 256
"""Characters of an address, a name, a fingerprint, a credential or a URL."""
MAX_SERVICES = 64
MAX_METADATA_ENTRIES = 16
MAX_METADATA_ENTRY_BYTES = 256
"""Of one entry, key and value together."""
MAX_ICE_SERVERS = 16
MAX_ICE_URLS = 8

# RFC 7064 and RFC 7065, with labels that every resolver takes: none empty, none over 63.
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ICE_URL = re.compile(
    rf"(?i:stuns?|turns?):(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]{{2,45}}\])"
    r"(?::[0-9]{1,5})?(?:\?transport=(?i:udp|tcp))?"
)


def read_present(bodies: Iterable[pb.Presence], read: ReadPresence) -> tuple[Presence, ...]:
    """Return those of ``bodies`` that can be used, at most ``MAX_PRESENT``, in order."""
    present = map(read, islice(bodies, MAX_PRESENT))
    return tuple(presence for presence in present if presence is not None)


def read_presence(body: pb.Presence) -> Presence | None:
    """Return what is said of one actor; None if it is over a bound or has no id."""
    if len(body.services) > MAX_SERVICES or len(body.metadata) > MAX_METADATA_ENTRIES:
        return None
    metadata = dict(body.metadata)
    services = tuple((item.service, item.fingerprint) for item in body.services)
    texts = (body.ws_address, *(text for two in services for text in two))
    if any(len(text) > MAX_TEXT for text in texts):
        return None
    entries = (len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if any(size > MAX_METADATA_ENTRY_BYTES for size in entries):
        return None
    try:
        actr_id = ActrId.from_message(body.id)
    except RemoteProtocolError:
        return None
    reserve = body.load.power_reserve
    return Presence(
        id=actr_id,
        incarnation=body.incarnation,
        ws_address=body.ws_address,
        services=services,
        metadata=MappingProxyType(metadata),
        load=Load(body.load.mailbox_backlog, reserve if 0 <= reserve <= 1 else 0.0),
        epoch=body.epoch,
    )


def read_ice_servers(bodies: Iterable[pb.IceServer]) -> tuple[IceServer, ...]:
    """Return the servers that have a URL which can be used, each with no other URLs."""
    servers: list[IceServer] = []
    for body in islice(bodies, MAX_ICE_SERVERS):
        urls = tuple(url for url in islice(body.urls, MAX_ICE_URLS) if _is_ice_url(url))
        if urls and len(body.username) <= MAX_TEXT and len(body.credential) <= MAX_TEXT:
            servers.append(IceServer(urls=urls, username=body.username, credential=body.credential))
    return tuple(servers)


def _is_ice_url(url: str) -> bool:
    return len(url) <= MAX_TEXT and _ICE_URL.fullmatch(url) is not None
