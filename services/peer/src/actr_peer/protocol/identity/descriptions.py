"""Sans-I/O: signed descriptions: an offer or an answer is its sender's, whoever carried it.

Signaling carries descriptions, and a description says whose DTLS key is at the other end: whoever
can replace one can put itself between. So the sender signs a statement of it: for whom it is, from
which process, which connection and exchange it belongs to, and when; an answer also names the offer
that it answers. What is not said in one of them, :class:`Statements` drops, each for a fault.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.errors import CertificateError, RemoteProtocolError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Identity
from actr_peer.protocol.identity.ids import ActrId
from actr_peer.protocol.identity.signatures import DESCRIPTION, SDP, signed_text, verify
from actr_peer.protocol.webrtc.negotiation import Answer, NegotiateMessage, Offer, Proof

MAX_AGE = 60.0
"""Seconds that a statement is good for, and by which clocks may differ."""
MAX_REMEMBERED = 4096
"""Connections whose descriptions are remembered, of each direction; the oldest is forgotten."""

_KINDS: dict[type[Offer | Answer], pb.DescriptionStatement.Kind.ValueType] = {
    Offer: pb.DescriptionStatement.OFFER,
    Answer: pb.DescriptionStatement.ANSWER,
}
_V = TypeVar("_V")


class Fault(Enum):
    """Why a description is dropped."""

    STRIPPED = "stripped"
    """Nothing says whose it is."""
    MALFORMED = "malformed"
    CERTIFICATE = "certificate"
    """Its certificate is not to be believed."""
    FOREIGN = "foreign"
    """Its certificate is not one of its sender."""
    SIGNATURE = "signature"
    """The key of the certificate did not sign it."""
    SWAPPED = "swapped"
    """What was signed is about another description, connection or exchange."""
    REFLECTED = "reflected"
    """What was signed is from or for somebody else."""
    LATE = "late"
    """It is over 60 s from the issuer's time."""
    REPLAYED = "replayed"
    """Its connection has been, or it is for a process that was here before."""


class DescriptionError(RemoteProtocolError):
    """A description that is to be dropped.

    Attributes:
        fault: Why, for counting.
    """

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def digest(body: Offer | Answer) -> bytes:
    """SHA-256 of what a description says: the SDP, and each pair of mid and track id."""
    pairs = (part.encode() for pair in sorted(body.track_ids.items()) for part in pair)
    return hashlib.sha256(signed_text(SDP, body.sdp.encode(), *pairs)).digest()


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last offer of a connection, as its sender signed it."""

    exchange: int
    digest: bytes
    incarnation: int


class Statements:
    """Signs what this actor describes, and holds what others describe to what they signed.

    Args:
        actor: This one.
        incarnation: Of this process, as it is registered.
        identity: What it proves itself with.
        believe: Reads a certificate, or raises ``CertificateError``.
        is_required: Whether a description must be signed; else one that nobody signed passes, and
            one that is signed is held to it all the same.
    """

    def __init__(
        self,
        actor: ActrId,
        incarnation: int,
        *,
        identity: Identity,
        believe: Callable[[bytes], Certificate],
        is_required: bool,
    ) -> None:
        self._actor, self._incarnation = actor, incarnation
        self._identity, self._believe, self._is_required = identity, believe, is_required
        self._offered: OrderedDict[tuple[ActrId, str], tuple[int, bytes]] = OrderedDict()
        self._heard: OrderedDict[tuple[ActrId, str], _Heard] = OrderedDict()

    def needs_incarnation(self, message: NegotiateMessage) -> bool:
        """Whether :meth:`sign` is to be told which process of the far side a message is for."""
        return isinstance(message.body, Offer)

    def sign(
        self, to: ActrId, message: NegotiateMessage, *, now: float, incarnation: int = 0
    ) -> NegotiateMessage:
        """The message with its proof, if it is a description; else as it is.

        Args:
            now: Unix seconds at the issuer.
            incarnation: Of the far process, for an offer; 0: it is not known. An answer is for the
                process that made the offer.
        """
        body = message.body
        if not isinstance(body, Offer | Answer):
            return message
        key, own = (to, message.connection_id), digest(body)
        answered = b""
        if isinstance(body, Offer):
            _remember(self._offered, key, (message.exchange, own))
        else:
            heard = self._heard.get(key)
            if heard is None or heard.exchange != message.exchange:
                return message  # of an offer that nobody signed
            answered, incarnation = heard.digest, heard.incarnation
        statement = pb.DescriptionStatement(
            connection_id=message.connection_id,
            exchange=message.exchange,
            to=to.to_message(),
            from_incarnation=self._incarnation,
            to_incarnation=incarnation,
            kind=_KINDS[type(body)],
            description_sha256=own,
            offer_sha256=answered,
            time_ms=round(now * 1000),
            **{"from": self._actor.to_message()},
        ).SerializeToString()
        signature = self._identity.sign(signed_text(DESCRIPTION, statement))
        certificate = self._identity.certificate.encode("ascii")
        return replace(message, proof=Proof(statement, certificate, signature))

    def check(
        self, source: ActrId, message: NegotiateMessage, *, now: float, is_live: bool
    ) -> Certificate | None:
        """Hold a message to what its sender signed, before anything is done with it.

        Returns whose key has signed it; None: it is none that is signed.

        Args:
            now: Unix seconds at the issuer.
            is_live: There is a connection of this id with the sender.

        Raises:
            DescriptionError: If it is to be dropped.
        """
        body = message.body
        if not isinstance(body, Offer | Answer):
            return None
        proof = message.proof
        if proof is None:
            # Who has signed once signs all of a connection: there is no going back in between.
            if self._is_required or (source, message.connection_id) in self._heard:
                raise DescriptionError(Fault.STRIPPED, f"a description of {source} without proof")
            return None
        certificate = self._hold_to_sender(source, proof)
        statement = _read(proof.statement)
        self._hold_to_message(source, message, body, statement)
        if abs(now - statement.time_ms / 1000) > MAX_AGE:
            raise DescriptionError(
                Fault.LATE,
                f"a description of {source} that was signed {now - statement.time_ms / 1000:.0f} s "
                "ago, by the issuer's clock: it was held back, or a clock is wrong",
            )
        self._hold_to_conversation(source, message, statement, is_live=is_live)
        return certificate

    def _hold_to_sender(self, source: ActrId, proof: Proof) -> Certificate:
        try:
            certificate = self._believe(proof.certificate)
        except CertificateError as exc:
            raise DescriptionError(
                Fault.CERTIFICATE, f"a description of {source} with {exc}"
            ) from exc
        if not certificate.covers(source):
            raise DescriptionError(
                Fault.FOREIGN,
                f"a description of {source} with a certificate of {certificate.subject} in realm "
                f"{certificate.realm}",
            )
        if not verify(certificate.key, proof.signature, DESCRIPTION, proof.statement):
            raise DescriptionError(
                Fault.SIGNATURE, f"a description of {source} that its key did not sign"
            )
        return certificate

    def _hold_to_message(
        self,
        source: ActrId,
        message: NegotiateMessage,
        body: Offer | Answer,
        statement: pb.DescriptionStatement,
    ) -> None:
        ends = getattr(statement, "from"), statement.to
        if ends != (source.to_message(), self._actor.to_message()):
            raise DescriptionError(
                Fault.REFLECTED, f"a description that is not from {source} to {self._actor}"
            )
        said = statement.connection_id, statement.exchange, statement.kind
        if said != (message.connection_id, message.exchange, _KINDS[type(body)]) or (
            statement.description_sha256 != digest(body)
        ):
            raise DescriptionError(
                Fault.SWAPPED, f"a description of {source} that is not the one which it signed"
            )

    def _hold_to_conversation(
        self,
        source: ActrId,
        message: NegotiateMessage,
        statement: pb.DescriptionStatement,
        *,
        is_live: bool,
    ) -> None:
        """See that it belongs here and now, and remember it."""
        key = source, message.connection_id
        if statement.to_incarnation not in (0, self._incarnation):
            raise DescriptionError(
                Fault.REPLAYED, f"a description of {source} for another process than this one"
            )
        if statement.kind == pb.DescriptionStatement.ANSWER:
            exchange, offered = self._offered.get(key, (0, b""))
            if message.exchange == exchange and statement.offer_sha256 != offered:
                raise DescriptionError(
                    Fault.SWAPPED, f"an answer of {source} to another offer than this one's"
                )
            return
        heard = self._heard.get(key)
        if heard is not None and not is_live:
            raise DescriptionError(
                Fault.REPLAYED, f"an offer of {source} for a connection that has been"
            )
        if heard is None or heard.exchange < message.exchange:
            new = _Heard(message.exchange, statement.description_sha256, statement.from_incarnation)
            _remember(self._heard, key, new)


def _read(data: bytes) -> pb.DescriptionStatement:
    try:
        return pb.DescriptionStatement.FromString(data)
    except DecodeError as exc:
        raise DescriptionError(Fault.MALFORMED, "a statement that cannot be read") from exc


def _remember(
    kept: OrderedDict[tuple[ActrId, str], _V], key: tuple[ActrId, str], value: _V
) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)
