"""The names that others import are pinned: one more or less is said in CHANGELOG.md."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PINNED = {
    "actr_peer": """
        AccessRule ActrId ActrRef AddressRule AudioTrack BrokenError BusyError CallDetails
        CallError CallOptions Caller CertificateError CertificateFault Chunk Client
        ClientInterceptor ClosedError Code ConfigError Context DeadlineError DeferredReply
        ExistingFile FileOffer FileProgress FileQuota FileRules HandlerInterceptor Hooks
        IceServer IdentityConfig IncomingStream IncomingStreams LimitError LinkEvent
        LocalProtocolError MayHaveRunError MediaFrame MediaSource Node NodeConfig NodeView
        PayloadType PeerError Presence PresenceEvent Pressure Principal ProtocolError Publication
        ReceivedFile Receiving Recording RecordingReport RefusalEvent RemoteProtocolError
        RemoteTrack
        RemoteTrackStats Sample SampleTrack SentFile Service SignalingState StreamEnd
        StreamFailedError StreamWriter System TestPattern Tone TrackEvent TrackState
        TrackStats Transaction Trust UnreachableError VideoTrack Visibility WireEvent WireKind
        WireState connect open_media run sandbox
    """,
    "actr_peer.service": """
        CallOptions Caller Client DEFAULT_OPTIONS Method MethodKind PayloadType Service
        call_options
    """,
    "actr_signaling": "",
}
"""What a program imports, what generated code stands on, and a service that nobody imports."""

GENERATED = (
    "proto/actr/demo/chat_actr.py",
    "proto/actr/services/files_actr.py",
    "services/peer/tests/golden/everything_actr.py",
)


@pytest.mark.parametrize("module", PINNED)
def test_the_public_names_are_those_that_are_pinned(module: str) -> None:
    exported = getattr(import_module(module), "__all__", [])
    assert sorted(exported) == sorted(PINNED[module].split())


@pytest.mark.parametrize("module", PINNED)
def test_every_public_name_is_there(module: str) -> None:
    loaded = import_module(module)
    assert [name for name in PINNED[module].split() if not hasattr(loaded, name)] == []


def test_the_program_that_type_checkers_read_has_every_public_name() -> None:
    tree = ast.parse((ROOT / "services/peer/tests/typed_api/program.py").read_text("utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "actr"
    }
    assert set(PINNED["actr_peer"].split()) - used == set()


@pytest.mark.parametrize("path", GENERATED)
def test_generated_code_imports_pinned_names_only(path: str) -> None:
    imported = {
        (node.module, alias.name)
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("actr_peer")
        for alias in node.names
    }
    pinned = {(module, name) for module, names in PINNED.items() for name in names.split()}
    assert imported
    assert imported - pinned == set()
