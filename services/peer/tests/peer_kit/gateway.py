"""A gateway in front of an actor that does what it is asked to, and clients that speak to it."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from peer_kit.place import Place, line_of

PROBE = "demo:probe@1:default"
CONTRACT = """
syntax = "proto3";
package probe;
import "google/protobuf/any.proto";
service Probe {
  rpc Fail(Ask) returns (Answer);
  rpc Look(Ask) returns (Answer) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Wait(Ask) returns (Answer);
  rpc Count(Ask) returns (stream Answer);
  rpc Sum(stream Ask) returns (Answer);
  rpc Each(stream Ask) returns (stream Answer);
}
message Ask { int64 number = 1; string text = 2; google.protobuf.Any any = 3; }
message Answer { int64 number = 1; string text = 2; google.protobuf.Any any = 3; }
"""
WORKLOAD = """
import asyncio, json
from google.protobuf.any_pb2 import Any
from actr_peer import CallError, Code
from probe_actr import ProbeService
from probe_pb2 import Answer, Ask

def say(*words):
    print(*words, flush=True)

class Probe(ProbeService):
    async def fail(self, request, ctx):
        detail = Any()
        detail.Pack(Ask(text="detail"))
        raise CallError(
            Code(request.number), request.text, details=(detail.SerializeToString(),),
            retry_after=1.5 if request.text == "later" else None,
        )

    async def look(self, request, ctx):
        if request.text == "odd":
            return Answer(any=Any(type_url="type.googleapis.com/no.Such", value=b"x"))
        seen = {"metadata": dict(ctx.metadata), "left": ctx.remaining(), "caller": str(ctx.caller)}
        return Answer(number=request.number, text=json.dumps(seen), any=request.any)

    async def wait(self, request, ctx):
        say("waiting")
        try:
            await asyncio.sleep(request.number)
        except asyncio.CancelledError:
            say("cancelled")
            raise
        return Answer(text="waited")

    async def count(self, request, ctx):
        try:
            for number in range(request.number):
                if number % 100 == 0:
                    say("sent", number)
                yield Answer(number=number, text=request.text)
        except BaseException as exc:
            say("stopped", number)
            raise
        say("ended")

    async def sum(self, requests, ctx):
        total = 0
        async for request in requests:
            total += request.number
        return Answer(number=total)

    async def each(self, requests, ctx):
        async for request in requests:
            yield Answer(number=request.number * 2)
"""


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that runs."""

    url: str
    told: Mapping[str, Any]
    process: subprocess.Popen[str]

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    def post(self, path: str, body: object = None, **headers: str) -> Reply:
        """By HTTP/1.1, as curl does; the body as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        return self.ask("POST", path, data, **{"content_type": "application/json"} | headers)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body or None, named)
            got = connection.getresponse()
            return Reply(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()


@dataclass(slots=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def messages(self) -> list[Any]:
        """Of a stream in JSON; the last is its end."""
        return [json.loads(data) for _, data in envelopes(self.body)]


def envelope(message: object) -> bytes:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", 0, len(data)) + data


def envelopes(data: bytes) -> list[tuple[int, bytes]]:
    """Flags and message of each."""
    found, at = [], 0
    while at < len(data):
        flags, size = struct.unpack_from(">BI", data, at)
        found.append((flags, data[at + 5 : at + 5 + size]))
        at += 5 + size
    return found


def certificate_of(folder: Path) -> tuple[Path, Path]:
    """A certificate of its own for localhost, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def probe_place(place: Place) -> None:
    """Write the workload of this module into a place."""
    (place.folder / "probe.proto").write_text(CONTRACT, "utf-8")
    (place.folder / "probe_workload.py").write_text(WORKLOAD, "utf-8")
    written = place.run("gen", "probe.proto")
    assert written.returncode == 0, written.stderr


@contextmanager
def probe(place: Place, id: str = PROBE) -> Iterator[subprocess.Popen[str]]:
    command = ("actr_peer", "run", "probe_workload:Probe", "--id", id)
    with place.process(*command) as actor:
        place.wait_until_ready(actor)
        yield actor


@contextmanager
def gateway(place: Place, *arguments: str, **environment: str) -> Iterator[Served]:
    command = ("actr_peer", "gateway", "--http", "127.0.0.1:0", "--json", *arguments)
    with place.process(*command, **environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        told = json.loads(line)
        assert "url" in told, line
        yield Served(told["url"], told, process)


def heard(actor: subprocess.Popen[str], word: str) -> str:
    """The next line of an actor that begins with this word."""
    assert actor.stdout is not None
    for line in actor.stdout:
        sys.stdout.write(line)
        if line.startswith(word):
            return line.strip()
    raise AssertionError(f"it ended before {word!r}")


@dataclass
class Http2:
    """One connection by HTTP/2 with prior knowledge, a frame at a time."""

    address: tuple[str, int]
    window: int | None = None
    """Bytes that the far side may send of a stream; None: the protocol's own."""
    taken: dict[int, bytes] = field(default_factory=dict)
    status: dict[int, int] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)

    def __enter__(self) -> Http2:
        self.socket = socket.create_connection(self.address, timeout=60)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        if self.window is not None:
            code = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            self.h2.local_settings[code] = self.window
        self.h2.initiate_connection()
        self.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, path: str, content_type: str = "application/json", **headers: str) -> int:
        stream = self.h2.get_next_available_stream_id()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path)]
        authority = (":authority", f"{self.address[0]}:{self.address[1]}")
        self.h2.send_headers(stream, [*pseudo, authority, ("content-type", content_type), *named])
        self.flush()
        return int(stream)

    def send(self, stream: int, data: bytes, *, ends: bool = True) -> None:
        """Send it all, as the far side takes it; nothing more once the far side has ended."""
        while data and stream not in self.ended:
            size = min(self.h2.local_flow_control_window(stream), 16_384, len(data))
            if size:
                self.h2.send_data(stream, data[:size])
                self.flush()
                data = data[size:]
            elif not self.step():
                return
        if ends and stream not in self.ended:
            self.h2.end_stream(stream)
            self.flush()

    def reset(self, stream: int) -> None:
        self.h2.reset_stream(stream)
        self.flush()

    def step(self) -> bool:
        """Take what came; False: the connection has ended."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return False
        if not data:
            return False
        for event in self.h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    self.status[event.stream_id] = int(dict(event.headers)[":status"])
                case h2.events.DataReceived():
                    kept = self.taken.get(event.stream_id, b"")
                    self.taken[event.stream_id] = kept + event.data
                    if self.window is None:
                        size = event.flow_controlled_length
                        self.h2.acknowledge_received_data(size, event.stream_id)
                case h2.events.StreamEnded():
                    self.ended[event.stream_id] = "end"
                case h2.events.StreamReset():
                    self.ended[event.stream_id] = "reset"
                case _:
                    pass
        self.flush()
        return True

    def until_ended(self, stream: int) -> bytes:
        while stream not in self.ended and self.step():
            pass
        return self.taken.get(stream, b"")


__all__ = [
    "PROBE",
    "Http2",
    "Reply",
    "Served",
    "certificate_of",
    "envelope",
    "envelopes",
    "gateway",
    "heard",
    "line_of",
    "probe",
    "probe_place",
]
