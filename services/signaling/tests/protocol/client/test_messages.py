from __future__ import annotations

import json
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import envelope_pb2
from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError, Close, RefusedError, SignalingError
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Load, Registration
from signaling_kit.client import actor

WHO = actor("a").to_wire()


def read(**body: object) -> messages.Message:
    return messages.read(pb.ClientMessage(id=1, **body))  # type: ignore[arg-type]


def negotiate(**step: object) -> messages.Message:
    return read(relay=pb.Relay(to=WHO, negotiate=pb.Negotiate(**step)))  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_named_error(data: bytes) -> None:
    with suppress(SignalingError):
        messages.read(messages.parse(data))


@given(st.text(max_size=200))
def test_any_text_is_a_message_or_a_named_error(text: str) -> None:
    with pytest.raises(SignalingError):
        messages.read(messages.parse_json(text))


@pytest.mark.parametrize(
    "text",
    ['{"id": 1, "unknown": {}}', "[" * 5000, '{"register": ' * 50, "{", "null", '{"id": "x"}'],
    ids=["unknown key", "deep list", "deep object", "half", "null", "wrong type"],
)
def test_json_that_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(SignalingError):
        messages.read(messages.parse_json(text))


JSON_TREES = st.recursive(
    st.none() | st.integers(0, 9) | st.text('",[{\\a', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON_TREES)
def test_no_more_values_are_told_of_a_text_than_it_has(tree: object) -> None:
    text = json.dumps(tree)
    with patch.object(messages, "MAX_JSON_VALUES", 0):  # so that each text is looked at closely
        told = messages._at_least(text)
    assert told <= messages._values(tree)


@pytest.mark.parametrize(
    "text",
    [
        '{"register": {"services": [' + "{}," * 2000 + "{}]}}",
        '{"register": {"services": [' + "[[[[[[" * 300 + "]]]]]]" * 300 + "]}}",
        "," * 2000,
        '{"id": ' + "[" * 12 + ",".join(["[[[1]]]"] * 600) + "]" * 12 + "}",
    ],
    ids=["objects", "lists", "no json", "of each fewer"],
)
def test_json_of_too_many_values_is_refused_before_they_are_made(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(BadMessageError, match="over 1024 values in one message"):
        messages.parse_json(text)


def test_json_of_too_many_values_that_look_like_few_is_refused() -> None:
    with pytest.raises(BadMessageError, match="over 1024 values in one message"):
        messages.parse_json("[" + ",".join(["[1]"] * 700) + "]")


def test_what_stands_in_a_text_of_json_is_no_value() -> None:
    sdp = 'a=x:{[,\\"' * 3000
    negotiation = {"connection_id": "c", "offer": {"sdp": sdp}}
    body = {"relay": {"to": {"manufacturer": "acme"}, "negotiate": negotiation}}
    assert messages.parse_json(json.dumps(body)).relay.negotiate.offer.sdp == sdp


def test_json_and_binary_say_the_same() -> None:
    text = '{"id": "3", "relay": {"to": {"manufacturer": "acme"}, "negotiate": {"bye": {}}}}'
    wire = messages.parse_json(text)
    assert messages.parse(wire.SerializeToString()) == wire


def test_a_message_without_a_body_closes() -> None:
    with pytest.raises(BadMessageError, match="without a body"):
        messages.read(pb.ClientMessage(id=4))


@pytest.mark.parametrize("part", ["", "a b", "é", "x" * 64, "-a", "a:b", "a@b", "a\r\n", "a\0"])
@pytest.mark.parametrize("field", ["manufacturer", "name", "instance", "realm"])
def test_an_identity_out_of_its_alphabet_closes(field: str, part: str) -> None:
    wire = actor("a").to_wire()
    setattr(wire, field, part)
    with pytest.raises(BadMessageError, match="actor id part"):
        read(authenticate=pb.Authenticate(id=wire))
    with pytest.raises(BadMessageError, match="actor id part"):
        read(register=pb.Register(id=wire))


@pytest.mark.parametrize(
    "fields",
    [
        {"ws_address": "http://10.0.0.1"},
        {"ws_address": "ws://" + "x" * 260},
        {"ws_address": "ws://é"},
        {"services": [pb.ServiceFingerprint(service="a.B")] * 65},
        {"services": [pb.ServiceFingerprint(service="no spaces")]},
        {"services": [pb.ServiceFingerprint(service="a" * 257)]},
        {"services": [pb.ServiceFingerprint(service="a.B", fingerprint="f" * 257)]},
        {"metadata": {str(n): "" for n in range(17)}},
        {"metadata": {"key": "x" * 254}},
        {"allowed_realms": [f"r{n}" for n in range(17)]},
        {"allowed_realms": ["not a realm"]},
    ],
    ids=[
        "http address",
        "long address",
        "address not ASCII",
        "too many services",
        "service name",
        "long service name",
        "long fingerprint",
        "too many metadata",
        "long metadata",
        "too many realms",
        "realm name",
    ],
)
def test_a_registration_out_of_bounds_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(SignalingError):
        read(register=pb.Register(id=WHO, **fields))  # type: ignore[arg-type]


def test_a_registration_at_its_bounds_is_taken() -> None:
    services = [pb.ServiceFingerprint(service=f"a.B{n}", fingerprint="f" * 256) for n in range(64)]
    message = read(
        register=pb.Register(
            id=WHO,
            ws_address="wss://10.0.0.1:9100/" + "x" * 236,
            services=services,
            incarnation=2**64 - 1,
            metadata={str(n): "x" * 254 for n in range(16)},
            visibility=pb.HIDDEN,
            allowed_realms=[f"r{n}" for n in range(16)],
        )
    )
    assert isinstance(message, messages.Register)
    registration = message.registration
    assert registration.is_hidden
    assert len(registration.services) == 64
    assert Registration.from_wire(registration.id, registration.to_wire()) == registration


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({}, Close.BAD_MESSAGE),
        ({"offer": pb.SessionDescription(sdp="x" * 49_153)}, Close.TOO_BIG),
        ({"answer": pb.SessionDescription(sdp="x" * 49_153)}, Close.TOO_BIG),
        (
            {"offer": pb.SessionDescription(track_ids={str(n): "" for n in range(65)})},
            Close.TOO_BIG,
        ),
        ({"offer": pb.SessionDescription(track_ids={"0": "x" * 257})}, Close.TOO_BIG),
        ({"candidate": pb.IceCandidate(candidate="x" * 513)}, Close.TOO_BIG),
        ({"candidate": pb.IceCandidate(sdp_mid="x" * 257)}, Close.TOO_BIG),
        ({"request_offer": pb.RequestOffer(tracks={"x" * 257: "audio"})}, Close.TOO_BIG),
        ({"bye": pb.Bye(reason="x" * 257)}, Close.TOO_BIG),
        ({"bye": pb.Bye(), "connection_id": "x" * 257}, Close.TOO_BIG),
    ],
    ids=[
        "no step",
        "long offer",
        "long answer",
        "too many tracks",
        "long track id",
        "long candidate",
        "long mid",
        "long asked track",
        "long reason",
        "long connection id",
    ],
)
def test_a_relay_out_of_bounds_is_refused_alone(step: dict[str, object], code: Close) -> None:
    with pytest.raises(RefusedError) as refused:
        negotiate(**step)
    assert refused.value.code == code


def test_a_relay_keeps_its_step_as_it_came() -> None:
    step = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp="x" * 49_152))
    message = read(relay=pb.Relay(to=WHO, negotiate=step))
    assert message == messages.Relay(actor("a"), step.SerializeToString())


def test_a_relay_that_asks_for_a_wire_says_with_which_ticket() -> None:
    asked = negotiate(connection_id="0af1" * 8, wire=pb.RelayedWire())
    assert isinstance(asked, messages.Relay)
    assert asked.ticket == "0af1" * 8
    plain = negotiate(connection_id="0af1" * 8, bye=pb.Bye())
    assert isinstance(plain, messages.Relay)
    assert plain.ticket == ""


@pytest.mark.parametrize("ticket", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32])
def test_a_wire_without_a_ticket_is_refused_alone(ticket: str) -> None:
    with pytest.raises(RefusedError) as refused:
        negotiate(connection_id=ticket, wire=pb.RelayedWire())
    assert refused.value.code is Close.BAD_MESSAGE


def test_a_relay_to_an_impossible_id_has_no_target() -> None:
    target = envelope_pb2.ActrId(manufacturer="a:b")
    step = pb.Negotiate(bye=pb.Bye())
    message = read(relay=pb.Relay(to=target, negotiate=step))
    assert isinstance(message, messages.Relay)
    assert message.to is None


@pytest.mark.parametrize(
    "query",
    [
        pb.Discover(),
        pb.Discover(actr_type="acme"),
        pb.Discover(service="a b"),
        pb.Discover(service="a.B", fingerprint="x" * 257),
        pb.Discover(service="a.B", stickiness="x" * 257),
        pb.Discover(service="a.B", after="x" * 1025),
        pb.Discover(service="a.B", after="1.2.3"),
    ],
    ids=["nothing asked", "type", "service", "fingerprint", "stickiness", "long", "after"],
)
def test_a_query_out_of_bounds_is_refused_alone(query: pb.Discover) -> None:
    with pytest.raises(RefusedError):
        read(discover=query)


@pytest.mark.parametrize(("asked", "given"), [(0, 16), (7, 7), (4_000_000, 256)])
def test_a_query_finds_at_most_its_limit(asked: int, given: int) -> None:
    message = read(discover=pb.Discover(service="a.B", limit=asked))
    assert isinstance(message, messages.Discover)
    assert message.query.limit == given


def test_subscriptions_take_a_type_or_nothing() -> None:
    assert read(subscribe=pb.Subscribe()) == messages.Subscribe("")
    assert read(unsubscribe=pb.Unsubscribe(actr_type="a:b")) == messages.Unsubscribe("a:b")
    with pytest.raises(RefusedError):
        read(subscribe=pb.Subscribe(actr_type="a:*"))


def test_a_heartbeat_may_carry_a_load() -> None:
    assert read(heartbeat=pb.Heartbeat()) == messages.Heartbeat(None)
    load = pb.Load(mailbox_backlog=3, power_reserve=0.5)
    assert read(heartbeat=pb.Heartbeat(load=load)) == messages.Heartbeat(Load(3, 0.5))


@pytest.mark.parametrize(("said", "taken"), [(-1.0, 0.0), (7.0, 1.0), (float("nan"), 0.0)])
def test_a_load_is_brought_into_range(said: float, taken: float) -> None:
    assert Load.from_wire(pb.Load(power_reserve=said)) == Load(0, taken)


def test_a_proof_has_a_bound() -> None:
    with pytest.raises(BadMessageError):
        read(authenticate=pb.Authenticate(id=WHO, certificate=b"x" * 8193))


@given(st.text(max_size=80))
def test_only_plain_text_forms_are_ids(text: str) -> None:
    try:
        found = ActrId.parse(text)
    except BadMessageError:
        return
    assert str(found) == text


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab"], ids=["no tag", "cut short"])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(BadMessageError, match="not a ClientMessage"):
        messages.parse(data)
