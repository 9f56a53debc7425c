"""Sans-I/O: in words: why the service refuses this actor, or did not hand something over."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from actr_peer.errors import (
    BusyError,
    ConfigError,
    NoRelayError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.webrtc.negotiation import Join
from actr_peer.protocol.wire.close_codes import CloseCode


def refused(who: object, code: int, message: str, *, is_certified: bool) -> PeerError:
    """
    Args:
        is_certified: Whether this actor shows a certificate.
    """
    match code:
        case CloseCode.REPLACED:
            return BusyError(
                f"another process has the identity {who}: stop that, or give this one another with "
                "--id or ACTR_ACTOR__ID"
            )
        case CloseCode.UNAUTHENTICATED if is_certified:
            why = "look at its certificate, and at the clocks of both"
        case CloseCode.UNAUTHENTICATED:
            why = "check that both have the same realm secret"
        case CloseCode.FORBIDDEN:
            why = "its rules do not let this identity in"
        case _:
            why = "what the actor says of itself cannot be used"
    return ConfigError(f"the signaling service refuses {who}: {code} {message} ({why})")


def lacking(hello: messages.Hello, proofs: Proofs) -> ConfigError | None:
    """What the service asks for and this actor cannot give, or what it should ask for and does not;
    None: nothing."""
    if proofs.is_secret_required and not (hello.proof_required or hello.certificate_required):
        return ConfigError(
            "the signaling service is in development mode, where anybody may be any actor, and "
            "this actor requires the realm's secret of others: give the service that secret "
            "(ACTR_SIGNALING__REALM_SECRET_FILE), or take realm.secret_file out"
        )
    if proofs.identity is not None:
        return None
    if hello.certificate_required:
        return ConfigError(
            "the signaling service asks for a certificate and this actor has none: name its "
            "issuer in identity.issuer_url"
        )
    if hello.proof_required and not proofs.secret:
        return ConfigError(
            "the signaling service asks for proof of the realm secret and none is "
            "configured: set the realm secret of this actor"
        )
    return None


def refused_ask(what: str, request: requests.Request, answer: messages.Refusal) -> UnreachableError:
    """Say that the service refuses one message; of a relayed wire, that it would do so again.

    Args:
        what: Cannot be reached for that.
    """
    why = f"signaling refuses the message: {answer.code} {answer.message}"
    is_wire = isinstance(request, requests.Relay) and isinstance(request.negotiate.body, Join)
    is_for_good = is_wire and answer.code != CloseCode.TOO_FAST
    return (NoRelayError if is_for_good else UnreachableError)(what, why)


def undelivered(to: object, reason: messages.WhyUndelivered) -> UnreachableError:
    """Say in words why a relay did not arrive."""
    return UnreachableError(str(to), _WHY[reason])


_WHY: Mapping[messages.WhyUndelivered, str] = MappingProxyType(
    {
        messages.WhyUndelivered.UNKNOWN: "signaling knows no such actor",
        messages.WhyUndelivered.OFFLINE: "it is offline",
        messages.WhyUndelivered.NOT_ALLOWED: "it does not let this actor reach it",
        messages.WhyUndelivered.EXPIRED: "signaling could not hand it over in time",
        messages.WhyUndelivered.OVERLOADED: "it takes no more messages now",
    }
)
