"""Actors over WebRTC: what a program needs, in fourteen names.

The names load when they are first used, for the WebRTC stack behind ``System`` takes half a
second to import and generated code, ``protoc-gen-actr`` and most commands never need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actr_peer.actor.context import Context
    from actr_peer.errors import CallError, Code, PeerError
    from actr_peer.node.config import NodeConfig
    from actr_peer.node.hooks import Hooks
    from actr_peer.node.node import Node
    from actr_peer.node.ref import ActrRef
    from actr_peer.node.system import System
    from actr_peer.protocol.identity import ActrId
    from actr_peer.protocol.media.frames import MediaFrame
    from actr_peer.protocol.payload import PayloadType, WireKind
    from actr_peer.service import Service

__all__ = [
    "ActrId",
    "ActrRef",
    "CallError",
    "Code",
    "Context",
    "Hooks",
    "MediaFrame",
    "Node",
    "NodeConfig",
    "PayloadType",
    "PeerError",
    "Service",
    "System",
    "WireKind",
]

_HOMES = {
    "ActrId": "protocol.identity",
    "ActrRef": "node.ref",
    "CallError": "errors",
    "Code": "errors",
    "Context": "actor.context",
    "Hooks": "node.hooks",
    "MediaFrame": "protocol.media.frames",
    "Node": "node.node",
    "NodeConfig": "node.config",
    "PayloadType": "protocol.payload",
    "PeerError": "errors",
    "Service": "service",
    "System": "node.system",
    "WireKind": "protocol.payload",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)
