"""Actors over WebRTC: what a program needs, in some thirty names.

The names load when they are first used, for the WebRTC stack behind ``System`` takes half a
second to import and generated code, ``protoc-gen-actr`` and most commands never need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actr_peer.actor.context import Context
    from actr_peer.actor.files.rules import FileRules
    from actr_peer.actor.files.told import FileProgress, ReceivedFile, SentFile
    from actr_peer.actor.subscribers.incoming import IncomingStream
    from actr_peer.actor.subscribers.recording import Recording, RecordingReport
    from actr_peer.actor.subscribers.streams import StreamEnd
    from actr_peer.actor.subscribers.tracks import RemoteTrack, RemoteTrackStats
    from actr_peer.errors import CallError, Code, PeerError, StreamFailedError
    from actr_peer.node.config import NodeConfig
    from actr_peer.node.hooks import Hooks
    from actr_peer.node.node import Node
    from actr_peer.node.ref import ActrRef
    from actr_peer.node.system import System
    from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
    from actr_peer.protocol.files.manifest import FileOffer
    from actr_peer.protocol.identity import ActrId
    from actr_peer.protocol.media.frames import MediaFrame, Sample, TrackStats
    from actr_peer.protocol.media.incoming import TrackEvent, TrackState
    from actr_peer.protocol.payload import PayloadType, WireKind
    from actr_peer.protocol.streams.chunks import Chunk
    from actr_peer.service import Service
    from actr_peer.transport.publications import Publication
    from actr_peer.wire.media.file import open_media
    from actr_peer.wire.media.pictures import VideoTrack
    from actr_peer.wire.media.pushed import SampleTrack
    from actr_peer.wire.media.sound import AudioTrack
    from actr_peer.wire.media.sources import TestPattern, Tone
    from actr_peer.wire.webrtc.engine import MediaSource

__all__ = [
    "ActrId",
    "ActrRef",
    "AudioTrack",
    "CallError",
    "Chunk",
    "Code",
    "Context",
    "ExistingFile",
    "FileOffer",
    "FileProgress",
    "FileQuota",
    "FileRules",
    "Hooks",
    "IncomingStream",
    "MediaFrame",
    "MediaSource",
    "Node",
    "NodeConfig",
    "PayloadType",
    "PeerError",
    "Publication",
    "ReceivedFile",
    "Recording",
    "RecordingReport",
    "RemoteTrack",
    "RemoteTrackStats",
    "Sample",
    "SampleTrack",
    "SentFile",
    "Service",
    "StreamEnd",
    "StreamFailedError",
    "System",
    "TestPattern",
    "Tone",
    "TrackEvent",
    "TrackState",
    "TrackStats",
    "VideoTrack",
    "WireKind",
    "open_media",
]

_HOMES = {
    "ActrId": "protocol.identity",
    "ActrRef": "node.ref",
    "AudioTrack": "wire.media.sound",
    "CallError": "errors",
    "Chunk": "protocol.streams.chunks",
    "Code": "errors",
    "Context": "actor.context",
    "ExistingFile": "protocol.files.bounds",
    "FileOffer": "protocol.files.manifest",
    "FileProgress": "actor.files.told",
    "FileQuota": "protocol.files.bounds",
    "FileRules": "actor.files.rules",
    "Hooks": "node.hooks",
    "IncomingStream": "actor.subscribers.incoming",
    "MediaFrame": "protocol.media.frames",
    "MediaSource": "wire.webrtc.engine",
    "Node": "node.node",
    "NodeConfig": "node.config",
    "PayloadType": "protocol.payload",
    "PeerError": "errors",
    "Publication": "transport.publications",
    "ReceivedFile": "actor.files.told",
    "Recording": "actor.subscribers.recording",
    "RecordingReport": "actor.subscribers.recording",
    "RemoteTrack": "actor.subscribers.tracks",
    "RemoteTrackStats": "actor.subscribers.tracks",
    "Sample": "protocol.media.frames",
    "SampleTrack": "wire.media.pushed",
    "SentFile": "actor.files.told",
    "Service": "service",
    "StreamEnd": "actor.subscribers.streams",
    "StreamFailedError": "errors",
    "System": "node.system",
    "TestPattern": "wire.media.sources",
    "Tone": "wire.media.sources",
    "TrackEvent": "protocol.media.incoming",
    "TrackState": "protocol.media.incoming",
    "TrackStats": "protocol.media.frames",
    "VideoTrack": "wire.media.pictures",
    "WireKind": "protocol.payload",
    "open_media": "wire.media.file",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(f"{__name__}.{home}"), name)
