"""Sans-I/O: how the two ends of a WebSocket wire learn who the other is (docs/protocol.md).

::

    dialler                                  listener
       | hello: version, from, to, nonce        |
       |--------------------------------------->|
       |        challenge: nonce, proof_required|
       |<---------------------------------------|
       | proof: mac                             |
       |--------------------------------------->|
       |                  welcome: mac, or error|
       |<---------------------------------------|

With a realm secret both macs are HMAC-SHA256 over a label, both ids and both nonces, so neither
can be replayed or reflected; without one they are empty (development mode). The secret never
travels. It is shared by a realm: it proves membership, not which member.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn, Protocol

from google.protobuf.message import DecodeError

from actr.envelope_pb2 import (
    RpcError,
    WireChallenge,
    WireHandshake,
    WireHello,
    WireProof,
    WireWelcome,
)
from actr_peer.errors import Code, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.websocket.lane_frames import MESSAGE_BYTES, agreed
from actr_peer.protocol.wire.close_codes import CloseCode

VERSION = 1
NONCE_BYTES = 32
MAX_STEP_BYTES = 16 * 1024
"""Largest step: certificates of a later version fit."""


class State(Enum):
    """Where one side stands: what it waits for, or how it ended."""

    HELLO = auto()
    CHALLENGE = auto()
    PROOF = auto()
    WELCOME = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    """Send ``step`` and wait for the next one."""

    step: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The far side is ``remote``; send ``step`` first unless it is empty."""

    remote: ActrId
    step: bytes = b""
    message_bytes: int = WIRE_MESSAGE_BYTES
    """Longest wire message of a session to send: both sides take it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Send ``step``, which says why, and close with ``code``; the listener goes on."""

    step: bytes
    code: CloseCode
    why: str


Outcome = Reply | Accepted | Refused


class Handshake(Protocol):
    """Either side."""

    def receive(self, data: bytes) -> Outcome: ...


_LABELS = {State.PROOF: b"actr/wire/v1/dial", State.WELCOME: b"actr/wire/v1/listen"}


def make_mac(
    secret: bytes | None, step: State, dialler: ActrId, listener: ActrId, nonces: bytes
) -> bytes:
    """Return the mac of ``PROOF`` or ``WELCOME``; empty without a secret.

    Args:
        nonces: The dialler's, then the listener's, 64 bytes.
    """
    if not secret:
        return b""
    ids = f"\0{dialler}\0{listener}\0".encode()
    return hmac.digest(secret, _LABELS[step] + ids + nonces, hashlib.sha256)


class DiallerHandshake:
    """The side that dialled: :meth:`start`, then :meth:`receive` until accepted.

    Args:
        nonce: 32 random bytes, new for each handshake.
        secret: The realm secret, or None in development mode.
    """

    def __init__(
        self, *, local: ActrId, remote: ActrId, nonce: bytes, secret: bytes | None
    ) -> None:
        self.state = State.HELLO
        self._local = local
        self._remote = remote
        self._nonce = nonce
        self._secret = secret
        self._welcome_mac = b""

    def start(self) -> bytes:
        """Return the hello."""
        self.state = State.CHALLENGE
        hello = WireHello(
            version=VERSION,
            to=self._remote.to_message(),
            nonce=self._nonce,
            wire_message_bytes=MESSAGE_BYTES,
            **{"from": self._local.to_message()},  # type: ignore[arg-type]  # a keyword
        )
        return WireHandshake(hello=hello).SerializeToString()

    def receive(self, data: bytes) -> Reply | Accepted:
        """Take the listener's next step.

        Raises:
            UnreachableError: If the listener refuses, or asks for a proof and there is none.
            RemoteProtocolError: If the step is malformed, out of turn, or does not prove that
                the listener has the realm secret.
        """
        expected, self.state = self.state, State.FAILED
        step = _parse(data)
        match expected, step.WhichOneof("step"):
            case State.CHALLENGE, "challenge":
                outcome: Reply | Accepted = self._prove(step.challenge)
                self.state = State.WELCOME
            case ((State.CHALLENGE | State.WELCOME), "welcome") if step.welcome.HasField("error"):
                raise UnreachableError(str(self._remote), step.welcome.error.message)
            case State.WELCOME, "welcome":
                if not hmac.compare_digest(step.welcome.mac, self._welcome_mac):
                    raise RemoteProtocolError(
                        f"{self._remote} does not prove that it has the realm secret"
                    )
                outcome = Accepted(self._remote, b"", agreed(step.welcome.wire_message_bytes))
                self.state = State.DONE
            case _, kind:  # pragma: no branch - every pair is one
                raise RemoteProtocolError(f"handshake step {kind} where {expected.name} is due")
        return outcome

    def _prove(self, challenge: WireChallenge) -> Reply:
        if len(challenge.nonce) != NONCE_BYTES:
            raise RemoteProtocolError(f"a challenge with a nonce of {len(challenge.nonce)} bytes")
        if challenge.proof_required and not self._secret:
            raise UnreachableError(
                str(self._remote),
                "it asks for proof of the realm secret and none is configured here",
            )
        ends = self._local, self._remote, self._nonce + challenge.nonce
        self._welcome_mac = make_mac(self._secret, State.WELCOME, *ends)
        proof = WireProof(mac=make_mac(self._secret, State.PROOF, *ends))
        return Reply(WireHandshake(proof=proof).SerializeToString())


class ListenerHandshake:
    """The side that listens: :meth:`receive` until accepted or refused.

    Args:
        nonce: 32 random bytes, new for each handshake.
        secret: The realm secret, or None in development mode.
        allowed_realms: Realms besides its own whose actors may dial.
    """

    def __init__(
        self,
        *,
        local: ActrId,
        nonce: bytes,
        secret: bytes | None,
        allowed_realms: Collection[str] = (),
    ) -> None:
        self.state = State.HELLO
        self._local = local
        self._nonce = nonce
        self._secret = secret
        self._realms = {local.realm, *allowed_realms}
        self._remote: ActrId | None = None
        self._nonces = b""
        self._message_bytes = WIRE_MESSAGE_BYTES

    def receive(self, data: bytes) -> Outcome:
        """Take the dialler's next step; never raises for what the dialler sends."""
        expected, self.state = self.state, State.FAILED
        outcome: Outcome
        try:
            step = _parse(data)
            match expected, step.WhichOneof("step"):
                case State.HELLO, "hello":
                    outcome = self._challenge(step.hello)
                case State.PROOF, "proof":
                    outcome = self._welcome(step.proof)
                case _, kind:  # pragma: no branch - every pair is one
                    _out_of_turn(kind, expected)
        except RemoteProtocolError as error:
            return refuse(CloseCode.BAD_MESSAGE, str(error))
        if isinstance(outcome, Reply):
            self.state = State.PROOF
        elif isinstance(outcome, Accepted):
            self.state = State.DONE
        return outcome

    def _challenge(self, hello: WireHello) -> Reply | Refused:
        if hello.version != VERSION:
            return refuse(
                CloseCode.BAD_MESSAGE,
                f"version {hello.version} of the wire is not spoken here, only {VERSION}",
            )
        if len(hello.nonce) != NONCE_BYTES:
            raise RemoteProtocolError(f"a hello with a nonce of {len(hello.nonce)} bytes")
        dialler = ActrId.from_message(getattr(hello, "from"))
        wanted = ActrId.from_message(hello.to)
        if wanted != self._local:
            return refuse(CloseCode.NOT_HERE, f"{wanted} is not here, this is {self._local}")
        if dialler == self._local:
            return refuse(CloseCode.FORBIDDEN, f"{dialler} is this actor; it does not dial itself")
        if dialler.realm not in self._realms:
            return refuse(
                CloseCode.FORBIDDEN,
                f"realm {dialler.realm} may not dial into realm {self._local.realm}",
            )
        self._remote = dialler
        self._nonces = hello.nonce + self._nonce
        self._message_bytes = agreed(hello.wire_message_bytes)
        challenge = WireChallenge(nonce=self._nonce, proof_required=bool(self._secret))
        return Reply(WireHandshake(challenge=challenge).SerializeToString())

    def _welcome(self, proof: WireProof) -> Accepted | Refused:
        assert self._remote is not None
        ends = self._remote, self._local, self._nonces
        expected = make_mac(self._secret, State.PROOF, *ends)
        # Without a secret there is nothing to check a mac against: development mode.
        if self._secret and not hmac.compare_digest(proof.mac, expected):
            return refuse(
                CloseCode.UNAUTHENTICATED,
                f"{self._remote} does not prove that it has the realm secret",
            )
        welcome = WireWelcome(
            mac=make_mac(self._secret, State.WELCOME, *ends), wire_message_bytes=MESSAGE_BYTES
        )
        step = WireHandshake(welcome=welcome).SerializeToString()
        return Accepted(self._remote, step, self._message_bytes)


_CODES = {
    CloseCode.BAD_MESSAGE: Code.INVALID_ARGUMENT,
    CloseCode.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    CloseCode.FORBIDDEN: Code.PERMISSION_DENIED,
    CloseCode.NOT_HERE: Code.NOT_FOUND,
}


def refuse(code: CloseCode, why: str) -> Refused:
    """Say no, in a welcome that holds only an error and in a close code."""
    error = RpcError(code=_CODES[code], message=why)
    step = WireHandshake(welcome=WireWelcome(error=error)).SerializeToString()
    return Refused(step, code, why)


def _parse(data: bytes) -> WireHandshake:
    if len(data) > MAX_STEP_BYTES:
        raise RemoteProtocolError(f"a handshake step of {len(data)} bytes")
    try:
        return WireHandshake.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a handshake step that cannot be decoded") from exc


def _out_of_turn(kind: str | None, expected: State) -> NoReturn:
    raise RemoteProtocolError(f"handshake step {kind} where {expected.name} is due")
