"""Actors over WebRTC: all that a program needs, under one name each.

The names load when they are first used, for the WebRTC stack behind ``System`` takes half a
second to import and generated code, ``protoc-gen-actr`` and most commands never need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actr_peer.actor.context import Context, DeferredReply
    from actr_peer.actor.files.receiving import Receiving
    from actr_peer.actor.files.rules import FileRules
    from actr_peer.actor.files.told import FileProgress, ReceivedFile, SentFile
    from actr_peer.actor.subscribers.incoming import IncomingStream, IncomingStreams
    from actr_peer.actor.subscribers.lines import StreamEnd
    from actr_peer.actor.subscribers.recording import Recording, RecordingReport
    from actr_peer.actor.subscribers.tracks import RemoteTrack, RemoteTrackStats
    from actr_peer.cli.program import run
    from actr_peer.cli.verbs.dev.sandbox import sandbox
    from actr_peer.errors import (
        BrokenError,
        BusyError,
        CallError,
        CertificateError,
        CertificateFault,
        ClosedError,
        Code,
        ConfigError,
        DeadlineError,
        LimitError,
        LocalProtocolError,
        MayHaveRunError,
        PeerError,
        ProtocolError,
        RemoteProtocolError,
        StreamFailedError,
        UnreachableError,
    )
    from actr_peer.node.config import NodeConfig
    from actr_peer.node.contract.interceptors import HandlerInterceptor
    from actr_peer.node.hooks import Hooks, LinkEvent, RefusalEvent, WireEvent
    from actr_peer.node.node import Node
    from actr_peer.node.observe.view import NodeView
    from actr_peer.node.ref import ActrRef
    from actr_peer.node.system import System, connect
    from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
    from actr_peer.protocol.files.manifest import FileOffer
    from actr_peer.protocol.identity import ActrId
    from actr_peer.protocol.mailbox.requests import Pressure
    from actr_peer.protocol.media.frames import MediaFrame, Sample, TrackStats
    from actr_peer.protocol.media.incoming import TrackEvent, TrackState
    from actr_peer.protocol.payload import PayloadType, WireKind
    from actr_peer.protocol.rpc.access.principals import Principal, Trust
    from actr_peer.protocol.rpc.access.rules import AccessRule
    from actr_peer.protocol.session.wires.policy import WireState
    from actr_peer.protocol.signaling.presence import (
        Presence,
        PresenceEvent,
        SignalingState,
        Visibility,
    )
    from actr_peer.protocol.streams.chunks import Chunk
    from actr_peer.protocol.webrtc.candidates import AddressRule
    from actr_peer.protocol.webrtc.negotiation import IceServer
    from actr_peer.rpc.destinations.interceptors import CallDetails, ClientInterceptor
    from actr_peer.service import Caller, CallOptions, Client, Service
    from actr_peer.state.mailbox.transaction import Transaction
    from actr_peer.transport.publications import Publication
    from actr_peer.transport.streams import StreamWriter
    from actr_peer.wire.media.file import open_media
    from actr_peer.wire.media.pictures import VideoTrack
    from actr_peer.wire.media.pushed import SampleTrack
    from actr_peer.wire.media.sound import AudioTrack
    from actr_peer.wire.media.sources import TestPattern, Tone
    from actr_peer.wire.webrtc.engine import MediaSource

    __version__: str

__all__ = [
    "AccessRule",
    "ActrId",
    "ActrRef",
    "AddressRule",
    "AudioTrack",
    "BrokenError",
    "BusyError",
    "CallDetails",
    "CallError",
    "CallOptions",
    "Caller",
    "CertificateError",
    "CertificateFault",
    "Chunk",
    "Client",
    "ClientInterceptor",
    "ClosedError",
    "Code",
    "ConfigError",
    "Context",
    "DeadlineError",
    "DeferredReply",
    "ExistingFile",
    "FileOffer",
    "FileProgress",
    "FileQuota",
    "FileRules",
    "HandlerInterceptor",
    "Hooks",
    "IceServer",
    "IdentityConfig",
    "IncomingStream",
    "IncomingStreams",
    "LimitError",
    "LinkEvent",
    "LocalProtocolError",
    "MayHaveRunError",
    "MediaFrame",
    "MediaSource",
    "Node",
    "NodeConfig",
    "NodeView",
    "PayloadType",
    "PeerError",
    "Presence",
    "PresenceEvent",
    "Pressure",
    "Principal",
    "ProtocolError",
    "Publication",
    "ReceivedFile",
    "Receiving",
    "Recording",
    "RecordingReport",
    "RefusalEvent",
    "RemoteProtocolError",
    "RemoteTrack",
    "RemoteTrackStats",
    "Sample",
    "SampleTrack",
    "SentFile",
    "Service",
    "SignalingState",
    "StreamEnd",
    "StreamFailedError",
    "StreamWriter",
    "System",
    "TestPattern",
    "Tone",
    "TrackEvent",
    "TrackState",
    "TrackStats",
    "Transaction",
    "Trust",
    "UnreachableError",
    "VideoTrack",
    "Visibility",
    "WireEvent",
    "WireKind",
    "WireState",
    "connect",
    "open_media",
    "run",
    "sandbox",
]

_HOMES = {
    "ActrId": "protocol.identity",
    "ActrRef": "node.ref",
    "AccessRule": "protocol.rpc.access.rules",
    "AddressRule": "protocol.webrtc.candidates",
    "AudioTrack": "wire.media.sound",
    "BrokenError": "errors",
    "BusyError": "errors",
    "CallDetails": "rpc.destinations.interceptors",
    "CallError": "errors",
    "CallOptions": "service",
    "Caller": "service",
    "CertificateError": "errors",
    "CertificateFault": "errors",
    "Chunk": "protocol.streams.chunks",
    "Client": "service",
    "ClientInterceptor": "rpc.destinations.interceptors",
    "ClosedError": "errors",
    "Code": "errors",
    "ConfigError": "errors",
    "Context": "actor.context",
    "DeadlineError": "errors",
    "DeferredReply": "actor.context",
    "ExistingFile": "protocol.files.bounds",
    "FileOffer": "protocol.files.manifest",
    "FileProgress": "actor.files.told",
    "FileQuota": "protocol.files.bounds",
    "FileRules": "actor.files.rules",
    "HandlerInterceptor": "node.contract.interceptors",
    "Hooks": "node.hooks",
    "IdentityConfig": "wire.issuer.credentials",
    "IceServer": "protocol.webrtc.negotiation",
    "IncomingStream": "actor.subscribers.incoming",
    "IncomingStreams": "actor.subscribers.incoming",
    "LimitError": "errors",
    "LinkEvent": "node.hooks",
    "LocalProtocolError": "errors",
    "MayHaveRunError": "errors",
    "MediaFrame": "protocol.media.frames",
    "MediaSource": "wire.webrtc.engine",
    "Node": "node.node",
    "NodeConfig": "node.config",
    "NodeView": "node.observe.view",
    "PayloadType": "protocol.payload",
    "PeerError": "errors",
    "Presence": "protocol.signaling.presence",
    "PresenceEvent": "protocol.signaling.presence",
    "Pressure": "protocol.mailbox.requests",
    "ProtocolError": "errors",
    "Principal": "protocol.rpc.access.principals",
    "Publication": "transport.publications",
    "ReceivedFile": "actor.files.told",
    "Receiving": "actor.files.receiving",
    "Recording": "actor.subscribers.recording",
    "RecordingReport": "actor.subscribers.recording",
    "RefusalEvent": "node.hooks",
    "RemoteProtocolError": "errors",
    "RemoteTrack": "actor.subscribers.tracks",
    "RemoteTrackStats": "actor.subscribers.tracks",
    "Sample": "protocol.media.frames",
    "SampleTrack": "wire.media.pushed",
    "SentFile": "actor.files.told",
    "Service": "service",
    "SignalingState": "protocol.signaling.presence",
    "StreamEnd": "actor.subscribers.lines",
    "StreamFailedError": "errors",
    "StreamWriter": "transport.streams",
    "System": "node.system",
    "TestPattern": "wire.media.sources",
    "Tone": "wire.media.sources",
    "TrackEvent": "protocol.media.incoming",
    "TrackState": "protocol.media.incoming",
    "TrackStats": "protocol.media.frames",
    "Transaction": "state.mailbox.transaction",
    "Trust": "protocol.rpc.access.principals",
    "UnreachableError": "errors",
    "VideoTrack": "wire.media.pictures",
    "Visibility": "protocol.signaling.presence",
    "WireEvent": "node.hooks",
    "WireKind": "protocol.payload",
    "WireState": "protocol.session.wires.policy",
    "connect": "node.system",
    "open_media": "wire.media.file",
    "run": "cli.program",
    "sandbox": "cli.verbs.dev.sandbox",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Ten milliseconds that generated code does not need.
        return import_module("importlib.metadata").version("actr-peer")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)
