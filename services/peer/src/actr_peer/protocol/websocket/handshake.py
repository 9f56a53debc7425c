"""Sans-I/O: how the two ends of a WebSocket wire learn who the other is (docs/protocol.md)::

    dialler                                  listener
       | hello: version, from, to, nonce, certificate
       |--------------------------------------->|
       | challenge: nonce, proof_required, certificate
       |<---------------------------------------|
       | proof: mac, signature                  |
       |--------------------------------------->|
       |       welcome: mac, signature, or error|
       |<---------------------------------------|

With a realm secret both macs are HMAC-SHA256 over a label, both ids and both nonces, so neither
can be replayed or reflected, and the secret never travels; with certificates both sides sign
(``proofs.py`` says what is required). In TLS the proof goes with the hello, for a nonce of TLS.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn, Protocol

from actr.envelope_pb2 import (
    WireChallenge,
    WireHandshake,
    WireHello,
    WireProof,
    WireWelcome,
)
from actr_peer.errors import RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.websocket.lane_frames import MESSAGE_BYTES, agreed, parse_step
from actr_peer.protocol.websocket.proofs import (
    RELAYED,
    Ends,
    Proofs,
    Requirement,
    Side,
    bound_nonce,
)
from actr_peer.protocol.websocket.refusals import Refused, disbelieve, refuse
from actr_peer.protocol.wire.close_codes import CloseCode

VERSION = 1
NONCE_BYTES = 32


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
    """Send ``step``, unless it is empty, and wait for the next one."""

    step: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The far side is ``remote``; send ``step`` first unless it is empty."""

    remote: ActrId
    step: bytes = b""
    message_bytes: int = WIRE_MESSAGE_BYTES
    """Longest wire message of a session to send: both sides take it."""
    certificate: Certificate | None = None
    """The far side's, where this one requires it."""


Outcome = Reply | Accepted | Refused


class Handshake(Protocol):
    """Either side."""

    def receive(self, data: bytes) -> Outcome: ...


class DiallerHandshake:
    """The side that dialled: :meth:`start`, then :meth:`receive` until accepted.

    Args:
        nonce: 32 random bytes, new for each handshake.
        secret: The realm secret, or None in development mode.
        certified: What this side has to prove itself by certificate.
    """

    def __init__(
        self,
        *,
        local: ActrId,
        remote: ActrId,
        nonce: bytes,
        secret: bytes | None,
        certified: Certified | None = None,
    ) -> None:
        self.state = State.HELLO
        self._local = local
        self._remote = remote
        self._nonce = nonce
        self._secret = secret
        self._proofs = Proofs(Side.DIALLER, secret, certified)
        self._ends = Ends(local, remote, b"")
        self._bound = b""

    def sealed(self, tls_key: bytes, binding: bytes = b"") -> bytes:
        """The wire is in TLS, and its listener has to prove that this key of it is its own.

        Args:
            binding: What only this TLS has; empty: nothing that is known. With it a proof is
                returned that goes with the hello, and is good for the :func:`bound_nonce`.
        """
        self._proofs.seal(tls_key)
        self._bound = bound_nonce(binding)
        return self._proof(self._bound, with_mac=False) if binding else b""

    def relayed(self) -> None:
        """The wire is sealed, with the nonces as public keys (``sealing.py``)."""
        self._proofs.tls_key = RELAYED

    def start(self) -> bytes:
        """Return the hello."""
        self.state = State.CHALLENGE
        hello = WireHello(
            version=VERSION,
            to=self._remote.to_message(),
            nonce=self._nonce,
            certificate=self._proofs.shown,
            wire_message_bytes=MESSAGE_BYTES,
            **{"from": self._local.to_message()},
        )
        return WireHandshake(hello=hello).SerializeToString()

    def receive(self, data: bytes) -> Reply | Accepted:
        """Take the listener's next step.

        Raises:
            UnreachableError: If the listener refuses, or asks for a proof and there is none.
            RemoteProtocolError: If the step is malformed, out of turn, or does not prove what
                is required here; a CertificateError says what is wrong with its certificate.
        """
        expected, self.state = self.state, State.FAILED
        step = parse_step(data)
        match expected, step.WhichOneof("step"):
            case State.CHALLENGE, "challenge":
                outcome: Reply | Accepted = self._prove(step.challenge)
                self.state = State.WELCOME
            case ((State.CHALLENGE | State.WELCOME), "welcome") if step.welcome.HasField("error"):
                raise UnreachableError(str(self._remote), step.welcome.error.message)
            case State.WELCOME, "welcome":
                said = step.welcome
                self._proofs.check(self._remote, self._ends, said.mac, said.signature)
                longest, shown = agreed(said.wire_message_bytes), self._proofs.certificate
                outcome = Accepted(self._remote, b"", longest, shown)
                self.state = State.DONE
            case _, kind:  # pragma: no branch - every pair is one
                _out_of_turn(kind, expected)
        return outcome

    def _prove(self, challenge: WireChallenge) -> Reply:
        if len(challenge.nonce) != NONCE_BYTES:
            raise RemoteProtocolError(f"a challenge with a nonce of {len(challenge.nonce)} bytes")
        self._proofs.examine(challenge.certificate, self._remote)
        if challenge.proof_required and not self._secret:
            why = "it asks for proof of the realm secret and none is configured here"
            raise UnreachableError(str(self._remote), why)
        if challenge.nonce == self._bound:
            return Reply(b"")  # it has the proof
        return Reply(self._proof(challenge.nonce))

    def _proof(self, nonce: bytes, *, with_mac: bool = True) -> bytes:
        """The own proof for the listener's nonce; a mac is for a listener that has shown itself."""
        self._ends = Ends(self._local, self._remote, self._nonce + nonce, self._proofs.tls_key)
        mac, signature = self._proofs.prove(self._ends)
        proof = WireProof(mac=mac if with_mac else b"", signature=signature)
        return WireHandshake(proof=proof).SerializeToString()


class ListenerHandshake:
    """The side that listens: :meth:`receive` until accepted or refused.

    Args:
        nonce: 32 random bytes, new for each handshake.
        secret: The realm secret, or None in development mode.
        allowed_realms: Realms besides its own whose actors may dial.
        certified: What this side has to prove itself by certificate.
        tls_key: Raw key of its TLS certificate, or ``RELAYED``; empty on a wire without TLS.
        asked: Who has asked for this wire, and alone may come; None: whoever dials.
    """

    def __init__(
        self,
        *,
        local: ActrId,
        nonce: bytes,
        secret: bytes | None,
        allowed_realms: Collection[str] = (),
        certified: Certified | None = None,
        tls_key: bytes = b"",
        asked: ActrId | None = None,
    ) -> None:
        self.state = State.HELLO
        self._local = local
        self._asked = asked
        self._nonce = nonce
        self._proofs = Proofs(Side.LISTENER, secret, certified, tls_key)
        self._realms = {local.realm, *allowed_realms}
        self._remote: ActrId | None = None
        self._nonces = b""
        self._message_bytes = WIRE_MESSAGE_BYTES

    def receive(self, data: bytes) -> Outcome:
        """Take the dialler's next step; never raises for what the dialler sends."""
        expected, self.state = self.state, State.FAILED
        outcome: Outcome
        try:
            step = parse_step(data)
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
            why = f"version {hello.version} of the wire is not spoken here, only {VERSION}"
            return refuse(CloseCode.BAD_MESSAGE, why)
        if len(hello.nonce) != NONCE_BYTES:
            raise RemoteProtocolError(f"a hello with a nonce of {len(hello.nonce)} bytes")
        dialler = ActrId.from_message(getattr(hello, "from"))
        wanted = ActrId.from_message(hello.to)
        if wanted != self._local:
            return refuse(CloseCode.NOT_HERE, f"{wanted} is not here, this is {self._local}")
        if dialler == self._local:
            return refuse(CloseCode.FORBIDDEN, f"{dialler} is this actor; it does not dial itself")
        if self._asked not in (None, dialler):
            why = f"{dialler} comes where {self._asked} has asked for a wire"
            return refuse(CloseCode.FORBIDDEN, why)
        if dialler.realm not in self._realms:
            why = f"realm {dialler.realm} may not dial into realm {self._local.realm}"
            return refuse(CloseCode.FORBIDDEN, why)
        try:
            self._proofs.examine(hello.certificate, dialler)
        except RemoteProtocolError as error:
            return disbelieve(dialler, error)
        self._remote = dialler
        self._nonces = hello.nonce + self._nonce
        self._message_bytes = agreed(hello.wire_message_bytes)
        challenge = WireChallenge(
            nonce=self._nonce,
            proof_required=self._proofs.requires is Requirement.SECRET,
            certificate=self._proofs.shown,
        )
        return Reply(WireHandshake(challenge=challenge).SerializeToString())

    def _welcome(self, proof: WireProof) -> Accepted | Refused:
        assert self._remote is not None
        ends = Ends(self._remote, self._local, self._nonces, self._proofs.tls_key)
        try:
            self._proofs.check(self._remote, ends, proof.mac, proof.signature)
        except RemoteProtocolError as error:
            return disbelieve(self._remote, error)
        mac, signed = self._proofs.prove(ends)
        welcome = WireWelcome(mac=mac, signature=signed, wire_message_bytes=MESSAGE_BYTES)
        step = WireHandshake(welcome=welcome).SerializeToString()
        return Accepted(self._remote, step, self._message_bytes, self._proofs.certificate)


def _out_of_turn(kind: str | None, expected: State) -> NoReturn:
    raise RemoteProtocolError(f"handshake step {kind} where {expected.name} is due")
