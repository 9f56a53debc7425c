"""Whom the issuer's access rules keep apart on a replica: at discovery, in snapshots, at relay."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.errors import ConfigError
from actr_signaling.hub.hub import Hub
from actr_signaling.hub.ice import IceServers
from actr_signaling.hub.meetings import Meetings
from actr_signaling.hub.peers import Burst
from actr_signaling.ledger.memory import MemoryLedger
from actr_signaling.protocol.access.documents import Document
from actr_signaling.protocol.access.rules import parse
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Trust
from actr_signaling.protocol.presence.discovery import Query
from actr_signaling.protocol.presence.records import Entry, Load, Registration, Signed
from signaling_kit.certified import NOW, Holder, Issuer
from signaling_kit.client import actor

ROOM, ANN, EVE = (f"{name}@1" for name in ("room", "ann", "eve"))
ALLOW = {"effect": "allow", "callers": ["acme:ann@*"], "targets": ["acme:room@*"]}


def document(version: int, *tables: dict[str, Any]) -> Document:
    return Document(version=version, issued_at=NOW, rules=parse(list(tables)))


class Peer:
    """A connection without a socket, that has registered."""

    def __init__(self, hub: Hub, trust: Trust, name: str) -> None:
        self.session_id = name
        self.session = Session(Challenge(server_id="s", nonce=b"", trust=Trust()), Terms(), 0.0)
        self.head, self.entry, self.ice_until = b"", None, None
        self.took_over = self.is_slow = self.is_json = False
        self.heard: list[pb.ServerMessage] = []
        self.event = asyncio.Event()
        self._hub = hub
        hub.joined(self)
        self.tell(messages.Authenticate(actor(name), b""))
        self.tell(messages.Register(Registration(id=actor(name)), False))

    def tell(self, message: messages.Message) -> None:
        self._hub.perform(self, self.session.receive(message, 1, 0.0, unix=NOW))

    def send(self, data: bytes | str) -> bool:
        assert isinstance(data, bytes)
        self.heard.append(pb.ServerMessage.FromString(data))
        if self.heard[-1].HasField("presence"):
            self.event.set()
        return True

    def send_burst(self, burst: Burst) -> bool:
        for message in burst.messages:
            self.send(message)
        return True

    pass_on = send

    def pass_on_parts(self, start: bytes, rest: bytes) -> bool:
        return self.send(start + rest)

    def confirm(self, reply_to: int) -> bool:
        return self.send(replies.receipt(reply_to))

    def end(self, code: object, message: str) -> None:
        raise AssertionError((code, message))

    def last(self, body: str) -> Any:
        return [getattr(one, body) for one in self.heard if one.WhichOneof("body") == body][-1]


class Place:
    """A replica with three actors."""

    def __init__(self) -> None:
        self.trust = Trust()
        self.hub = Hub(
            server_id="r1", ice=IceServers((), secret=b"", ttl=60), heartbeat=lambda: 10.0
        )
        self.hub.attach(MemoryLedger(self.hub, wall_clock=lambda: 1))
        self.hub.meetings.follow(self.trust)
        self.room, self.ann, self.eve = (Peer(self.hub, self.trust, n) for n in (ROOM, ANN, EVE))

    def relay(self, source: Peer, to: str) -> Any:
        source.heard.clear()
        source.tell(messages.Relay(actor(to), b""))
        (answer,) = [one for one in source.heard if one.reply_to]
        return answer


@pytest.fixture
async def place() -> Place:
    made = Place()
    await asyncio.sleep(0)
    return made


def query(name: str = "") -> messages.Discover:
    who = actor(name) if name else None
    return messages.Discover(Query("" if who else "acme:room", "", "", "", 10, who))


def found(peer: Peer, name: str = "") -> list[str]:
    peer.tell(query(name))
    return [one.id.name for one in peer.last("discovered").found]


async def test_without_rules_everybody_meets_everybody(place: Place) -> None:
    assert found(place.eve) == ["room"]
    assert place.relay(place.eve, ROOM).WhichOneof("body") == "receipt"
    place.trust.take_access(Document(version=1, issued_at=NOW, rules=None))
    assert found(place.eve) == ["room"]
    assert not place.hub.meetings.refused


async def test_an_actor_is_shown_to_those_who_may_ask_it_for_something(place: Place) -> None:
    place.trust.take_access(document(1, ALLOW))
    assert found(place.ann) == ["room"]
    assert found(place.ann, ROOM) == ["room"]
    assert found(place.eve) == []
    assert found(place.eve, ROOM) == []
    assert found(place.room, ROOM) == ["room"], "itself"
    assert place.hub.meetings.refused["discovery"] == 2


async def test_snapshots_and_events_show_no_others_either(place: Place) -> None:
    place.trust.take_access(document(1, ALLOW))
    for peer in (place.ann, place.eve):
        peer.tell(messages.Subscribe("acme:room"))
    assert [one.id.name for one in place.ann.last("snapshot").present] == ["room"]
    assert not place.eve.last("snapshot").present
    for peer in (place.ann, place.eve):
        peer.heard.clear()
        peer.event.clear()
    again = Registration(id=actor(ROOM), ws_address="ws://127.0.0.1:1/")
    place.room.tell(messages.Register(again, False))
    async with asyncio.timeout(30):
        await place.ann.event.wait()
    assert place.ann.last("presence").presence.ws_address == "ws://127.0.0.1:1/"
    assert not any(one.HasField("presence") for one in place.eve.heard)


async def test_a_relay_that_is_carried_by_its_bytes_is_held_to_the_same_rules(
    place: Place,
) -> None:
    place.trust.take_access(document(1, ALLOW))
    offer = pb.Negotiate(offer=pb.SessionDescription(sdp="v=0"))
    relay = pb.Relay(to=actor(ROOM).to_wire(), negotiate=offer)
    data = pb.ClientMessage(id=5, relay=relay).SerializeToString()
    assert place.hub.courier.carry(place.ann, data)
    assert place.ann.last("receipt") is not None
    assert place.room.last("relayed").negotiate == offer
    place.room.heard.clear()
    assert place.hub.courier.carry(place.eve, data)
    assert place.eve.last("undelivered").reason == pb.Undelivered.NOT_ALLOWED
    assert place.room.heard == []
    assert place.hub.meetings.refused["relay"] == 1


async def test_a_relay_goes_between_two_of_whom_one_may_ask_the_other(place: Place) -> None:
    place.trust.take_access(document(1, ALLOW))
    assert place.relay(place.ann, ROOM).WhichOneof("body") == "receipt"
    assert place.relay(place.room, ANN).WhichOneof("body") == "receipt", "its answer"
    for source, to in ((place.eve, ROOM), (place.room, EVE), (place.eve, ANN)):
        refused = place.relay(source, to)
        assert refused.undelivered.reason == pb.Undelivered.NOT_ALLOWED
    assert place.relay(place.eve, "nobody@1").undelivered.reason == pb.Undelivered.NOT_ALLOWED
    assert place.hub.meetings.refused["relay"] == 4


async def test_other_rules_hold_at_once_and_older_ones_never(place: Place) -> None:
    place.trust.take_access(document(5, ALLOW))
    assert found(place.eve) == []
    place.trust.take_access(document(6, {"effect": "allow", "callers": ["*:*@*"]}))
    assert found(place.eve) == ["room"]
    with pytest.raises(ConfigError, match="version 5, where 6 was seen"):
        place.trust.take_access(document(5, ALLOW))
    assert found(place.eve) == ["room"]


async def test_before_the_rules_are_known_nobody_meets_anybody(place: Place) -> None:
    place.trust.takes_access = True
    assert found(place.ann) == []
    assert place.relay(place.ann, ROOM).undelivered.reason == pb.Undelivered.NOT_ALLOWED


ISSUER = Issuer()
OPERATORS = {"effect": "allow", "callers": ["*:*@*"], "claims": ["role=operator"]}


class Proven:
    """A connection that has proven a certificate."""

    def __init__(self, holder: Holder) -> None:
        from actr_signaling.protocol.identity.certificates import verify_certificate

        certificate = verify_certificate(holder.certificate, ISSUER.keys, now=NOW)
        self.session = Session(Challenge(server_id="s", nonce=b"", trust=Trust()), Terms(), 0.0)
        self.session.id, self.session.certificate = holder.id, certificate


def entry_of(holder: Holder, certificate: bytes | None = None) -> Entry:
    signed = Signed(b"", holder.certificate if certificate is None else certificate, b"")
    registration = Registration(id=holder.id, signed=signed)
    return Entry(registration=registration, load=Load(), epoch=1, session="x", replica="r2")


def meetings(*tables: dict[str, Any]) -> Meetings:
    trust = Trust(issuer_keys=ISSUER.keys)
    trust.take_access(document(1, *tables))
    made = Meetings(clock=lambda: float(NOW))
    made.follow(trust)
    return made


def test_claims_are_those_of_certificates_wherever_their_holders_are() -> None:
    ann, room = ISSUER.enrol(ANN, claims={"role": "operator"}), ISSUER.enrol(ROOM)
    here = meetings(OPERATORS)
    asks, serves = Proven(ann), Proven(room)
    assert here.sees(asks, entry_of(room))  # type: ignore[arg-type]
    assert not here.sees(serves, entry_of(ann))  # type: ignore[arg-type]
    assert here.may_relay(asks, room.id, entry_of(room))  # type: ignore[arg-type]
    assert here.may_relay(serves, ann.id, entry_of(ann))  # type: ignore[arg-type]
    assert not here.may_relay(serves, ann.id, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["none", "foreign", "of another", "unsigned"])
def test_claims_that_the_store_makes_up_open_nothing(what: str) -> None:
    ann, room = ISSUER.enrol(ANN, claims={"role": "operator"}), ISSUER.enrol(ROOM)
    eve = ISSUER.enrol(EVE)
    shown = {
        "none": b"",
        "foreign": Issuer(2).enrol(EVE, claims={"role": "operator"}).certificate,
        "of another": ann.certificate,
        "unsigned": json.dumps({"claims": {"role": "operator"}}).encode(),
    }[what]
    here = meetings(OPERATORS)
    assert not here.may_relay(Proven(room), eve.id, entry_of(eve, shown))  # type: ignore[arg-type]


def test_what_is_remembered_of_pairs_and_certificates_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import actr_signaling.hub.meetings as module

    monkeypatch.setattr(module, "MAX_KNOWN", 4)
    monkeypatch.setattr(module, "MAX_READ", 2)
    here, room = meetings(ALLOW), Proven(ISSUER.enrol(ROOM))
    for number in range(10):
        eve = ISSUER.enrol(f"eve@{number}")
        assert not here.may_relay(room, eve.id, entry_of(eve))  # type: ignore[arg-type]
    assert len(here._known) <= 4
    assert len(here._read) <= 2
