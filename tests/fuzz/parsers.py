"""Every function of the services that takes bytes or text apart, and why some are not fuzzed.

What takes something apart calls one of :data:`MARKS`. A test sees that each such function runs in
some target, or is one of :data:`EXCEPTIONS`, so that a new parser is not forgotten.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz import corpus
from tests.fuzz.coverage import SERVICES
from tests.fuzz.engine import Target

MARKS = frozenset(
    {
        "FromString",
        "ParseFromString",
        "MergeFromString",
        "Parse",
        "ParseDict",
        "Unpack",
        "loads",
        "unpack",
        "unpack_from",
        "from_bytes",
        "read_varint",
        "urlsplit",
        "urlparse",
        "parse_qs",
        "b64decode",
        "urlsafe_b64decode",
        "ip_address",
        "fullmatch",
        "decode",
        "decompress",
        "model_validate",
        "model_validate_json",
        "load_pem_private_key",
        "load_der_x509_certificate",
        "splitlines",
    }
)
"""Calls that read a format, by the last name of what is called."""

_OWN = "what it reads was put there by whoever runs this process: files, arguments, environment"
_HANDLER = "a request of an actor that was let in, by the contract's type: protobuf's parser alone"
_MEDIA = "after SRTP, whose keys are of a DTLS that has shown its key; test_media_garbage.py"

EXCEPTIONS: Mapping[str, str] = {
    "actr_peer/cli/": _OWN,
    "actr_peer/node/config/": _OWN,
    "actr_peer/node/process/probe.py": "what the actor of this machine says of itself",
    "actr_peer/node/process/socket.py": "a socket that only this user can open",
    "actr_peer/protocol/websocket/origins.py:read_origin": _OWN,
    "actr_peer/state/": _OWN,
    "actr_peer/actor/files/folder.py": "a file that this process has written",
    "actr_peer/actor/bodies.py": _HANDLER,
    "actr_peer/actor/handlers.py": _HANDLER,
    "actr_peer/actor/inprocess/": "a message of this very process",
    "actr_peer/rpc/messages.py": "an answer of the actor that was called, by the contract's type",
    "actr_peer/actor/subscribers/": "frames for PyAV, after they are whole",
    "actr_peer/wire/media/": "PyAV's decoders: they are not this repository's",
    "actr_peer/protocol/rpc/access/patterns.py": "rules of whoever runs the actor",
    "actr_peer/protocol/rpc/access/requirements.py": "options of the own contract",
    "actr_peer/protocol/rpc/connect/codes.py:said": "details that sendable has looked at",
    "actr_peer/protocol/rpc/connect/rules.py:_caller": _OWN,
    "actr_peer/protocol/rpc/contracts/fingerprint.py": "a digest of the own contract",
    "actr_peer/protocol/files/names.py": "cuts a name that Listing has taken apart",
    "actr_peer/protocol/media/packets.py": "the packets that this side has sent",
    "actr_peer/protocol/rpc/call_errors.py:_text": "writes",
    "actr_peer/protocol/rpc/call_errors.py:_is_packed": "looks at what this side is to write",
    "actr_peer/protocol/webrtc/candidates.py:<module>": "constants",
    "actr_peer/wire/webrtc/aiortc/media/sections.py:Sections.sent": "the own description",
    "actr_peer/wire/relayed/wires.py:RelayedWires._dial": _OWN,
    "actr_peer/wire/relayed/wires.py:wire_url": _OWN,
    "actr_peer/wire/websocket/wire.py": "hands frames on to lane_frames and OddFrames",
    "actr_signaling/protocol/presence/records.py:_place": "a digest",
    "actr_signaling/issuer/protocol/grants.py": _OWN,
    "actr_peer/protocol/rpc/envelopes.py:write_error": "writes",
    "actr_peer/node/process/metrics/page.py": "h11 has parsed the request; any bytes are latin-1",
    "actr_peer/wire/signaling/greeting.py": "hands bytes on to messages.decode",
    "actr_peer/wire/signaling/connection.py": "hands bytes on to messages.decode; its own address",
    "actr_peer/wire/websocket/closing.py": "cuts the own reason of a close",
    "actr_peer/wire/websocket/dialling.py": "its first line is is_websocket_url; peer.address",
    "actr_peer/wire/websocket/tls/contexts.py": "the certificate that OpenSSL has parsed and taken",
    "actr_peer/wire/issuer/client.py": "decodes with replacement",
    "actr_peer/wire/webrtc/aiortc/ice.py:host_addresses": "addresses of this machine",
    "actr_peer/wire/webrtc/aiortc/dtls.py:BoundedSrtp": _MEDIA,
    "actr_peer/wire/webrtc/aiortc/engine.py": "lines of the own description",
    "actr_peer/wire/tcp.py:address_towards": "an address of the own settings",
    "actr_signaling/settings.py": _OWN,
    "actr_signaling/protocol/websocket/origins.py": _OWN,
    "actr_signaling/ledger/redis/address.py": _OWN,
    "actr_signaling/ledger/redis/inbox.py": "hands bytes on to parcels.unpack",
    "actr_signaling/ledger/redis/ledger.py": "hands bytes on to stored.unpack",
    "actr_signaling/ledger/redis/line.py": "lines of what answers.text has taken",
    "actr_signaling/web/health.py": "what the service of this machine says of itself",
    "actr_signaling/web/store.py": _OWN,
    "actr_signaling/web/websocket.py": "a close frame that frames.py has judged",
    "actr_signaling/trust/": "decodes, and hands on to read_keys and read_revoked; its own address",
    "actr_signaling/protocol/client/proofs.py": "writes",
    "actr_signaling/protocol/websocket/frames.py:close": "writes",
    "actr_signaling/issuer/cli/": _OWN,
    "actr_signaling/issuer/keys.py": _OWN,
    "actr_signaling/issuer/watched.py": _OWN,
    "actr_signaling/issuer/web/embedded.py": _OWN,
    "actr_signaling/issuer/register/": "what this service has written itself",
}
"""By the beginning of ``package/module.py:Function``."""


def parsers() -> Iterator[str]:
    """``package/module.py:qualified.name`` of each function with a mark in it."""
    for folder in map(Path, SERVICES):
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            yield from _marked(tree, path.relative_to(folder).as_posix(), "")


def _marked(node: ast.AST, file: str, within: str) -> Iterator[str]:
    """Of a module, a class or a function; each name once."""
    inner: list[tuple[ast.AST, str]] = []
    has_mark = False
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner.append((each, f"{within}.{each.name}" if within else each.name))
            continue
        has_mark = has_mark or (isinstance(each, ast.Call) and _last_name(each.func) in MARKS)
        waiting += ast.iter_child_nodes(each)
    if has_mark:
        yield f"{file}:{within or '<module>'}"
    for each, name in inner:
        yield from _marked(each, file, name)


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def reason(parser: str) -> str:
    """Why a parser is not fuzzed; empty: it has to be."""
    return next((why for start, why in EXCEPTIONS.items() if parser.startswith(start)), "")


class Ran:
    """The functions that ran, as :func:`parsers` names them."""

    def __init__(self) -> None:
        # Not the codes themselves: those of two files that are alike are equal.
        self._codes: dict[int, CodeType] = {}

    def replay(self, target: Target) -> None:
        """Run the corpus of a target."""
        for data in (*target.seeds(), *corpus.of(target.name)):
            before = sys.getprofile()
            sys.setprofile(self._called)
            try:
                target.run(data)
            except target.allowed:
                pass
            finally:
                sys.setprofile(before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> None:
        del arg
        if event == "call":
            self._codes.setdefault(id(frame.f_code), frame.f_code)

    @property
    def names(self) -> set[str]:
        """Functions inside of functions under their own names, as ``ast`` has them."""
        found = set()
        for code in self._codes.values():
            for folder in SERVICES:
                if code.co_filename.startswith(folder):
                    file = Path(code.co_filename).relative_to(folder).as_posix()
                    found.add(f"{file}:{code.co_qualname.replace('.<locals>', '')}")
        return found
