from __future__ import annotations

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError
from actr_signaling.protocol.client.registers import MAX_PROOF_BYTES, read_register
from actr_signaling.protocol.presence.records import Signed
from signaling_kit.certified import Issuer

ROOM = Issuer().enrol("room")


def signed() -> pb.Register:
    return ROOM.register(
        ws_address="ws://10.0.0.1:9100/v1/wire", incarnation=7, metadata={"color": "blue"}
    )


def test_what_is_signed_is_carried_as_it_came() -> None:
    body = signed()
    read = read_register(body)
    assert read.signed == Signed.from_wire(body.signed)
    assert read.to_wire() == body


def test_what_is_asked_of_the_service_is_not_signed() -> None:
    body = signed()
    body.only_if_free = True
    assert read_register(body).signed is not None


def test_what_nobody_signed_carries_nothing() -> None:
    body = signed()
    body.ClearField("signed")
    assert read_register(body).signed is None


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"ws_address": "ws://10.6.6.6:9100/v1/wire"}, id="another address"),
        pytest.param({"incarnation": 8}, id="another incarnation"),
        pytest.param({"metadata": {"color": "red"}}, id="other metadata"),
        pytest.param({"visibility": pb.HIDDEN}, id="another visibility"),
        pytest.param({"allowed_realms": ["other"]}, id="one more realm"),
        pytest.param({"services": [pb.ServiceFingerprint(service="a.B")]}, id="one more service"),
    ],
)
def test_what_differs_from_what_is_signed_is_refused(changed: dict[str, object]) -> None:
    body = signed()
    for name in changed:
        body.ClearField(name)
    body.MergeFrom(pb.Register(**changed))  # type: ignore[arg-type]
    with pytest.raises(BadMessageError, match="differs from what is signed"):
        read_register(body)


def test_what_is_signed_within_what_is_signed_is_refused() -> None:
    body = signed()
    body.signed.register = body.SerializeToString()
    body.signed.signature = b"s"
    with pytest.raises(BadMessageError, match="signed in it"):
        read_register(body)


def test_a_signed_part_that_is_none_is_refused() -> None:
    body = signed()
    body.signed.register = b"\xff"
    with pytest.raises(BadMessageError, match="no Register"):
        read_register(body)


@pytest.mark.parametrize("part", ["certificate", "signature"])
def test_certificates_and_signatures_have_a_bound(part: str) -> None:
    body = signed()
    setattr(body.signed, part, b"x" * MAX_PROOF_BYTES)
    read_register(body)
    setattr(body.signed, part, b"x" * (MAX_PROOF_BYTES + 1))
    with pytest.raises(BadMessageError, match="over 8192 bytes"):
        read_register(body)
