"""The hub with a ledger that answers when the test says so, and peers that are lists."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.errors import Close
from actr_signaling.hub.hub import Hub
from actr_signaling.hub.ice import IceServers
from actr_signaling.hub.peers import Burst
from actr_signaling.ledger.memory import MemoryLedger
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Revoked, Trust
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry, Load, Registration, Signed
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered
from signaling_kit.certified import NOW, Issuer
from signaling_kit.client import actor


class SlowLedger:
    """Keeps what it was asked; answers nothing by itself."""

    def __init__(self) -> None:
        self.is_ready = True
        self.is_shared = True
        self.is_full = False
        self.registered: list[Entry] = []
        self.renewed: list[Entry] = []
        self.left: list[tuple[str, int, Reason]] = []
        self.sent: list[tuple[str, Parcel]] = []

    def register(self, entry: Entry, *, above: int) -> None:
        self.registered.append(replace(entry, epoch=above + 1))

    def renew(self, entry: Entry, *, is_changed: bool) -> None:
        self.renewed.append(entry)

    def leave(self, entry: Entry, reason: Reason) -> None:
        self.left.append((entry.text, entry.epoch, reason))

    def send(self, replica: str, parcel: Parcel) -> None:
        self.sent.append((replica, parcel))

    async def flush(self) -> None:
        return


class Peer:
    """A connection without a socket."""

    def __init__(self, hub: Hub, name: str, session: str, trust: Trust | None = None) -> None:
        self.session_id = session
        challenge = Challenge(server_id="s", nonce=b"", trust=trust or Trust())
        self.session = Session(challenge, Terms(), 0.0)
        self.head = b""
        self.entry: Entry | None = None
        self.ice_until: float | None = None
        self.took_over = False
        self.ended: Close | None = None
        self.is_slow = False
        self.is_json = False
        self._hub = hub
        self._said: list[pb.ServerMessage] = []
        self._number = 0
        hub.joined(self)
        if trust is None:
            self.tell(messages.Authenticate(actor(name), b""))

    def tell(self, message: messages.Message) -> None:
        self._number += 1
        self._hub.perform(self, self.session.receive(message, self._number, 0.0, unix=NOW))

    def register(self, *, only_if_free: bool = False, **fields: object) -> None:
        assert self.session.id is not None
        registration = Registration(id=self.session.id, **fields)  # type: ignore[arg-type]
        self.tell(messages.Register(registration, only_if_free))

    def send_burst(self, burst: Burst) -> bool:
        for message in burst.messages:
            assert isinstance(message, bytes)
            self.send(message)
        return True

    def pass_on(self, data: bytes) -> bool:
        return self.send(data)

    def pass_on_parts(self, start: bytes, rest: bytes) -> bool:
        return self.send(start + rest)

    def confirm(self, reply_to: int) -> bool:
        return self.send(replies.receipt(reply_to))

    def send(self, data: bytes) -> bool:
        self._said.append(pb.ServerMessage.FromString(data))
        return True

    def end(self, code: Close, message: str) -> None:
        self.ended = code
        self._hub.gone(self)

    def answers(self) -> list[pb.ServerMessage]:
        """What arrived since the last call."""
        said, self._said = self._said, []
        return said

    def heard(self) -> list[str | None]:
        """Bodies that arrived since the last call."""
        return [one.WhichOneof("body") for one in self.answers()]


@pytest.fixture
def ledger() -> SlowLedger:
    return SlowLedger()


@pytest.fixture
async def hub(ledger: SlowLedger) -> Hub:
    made = Hub(
        server_id="r1",
        ice=IceServers((), secret=b"", ttl=60),
        heartbeat=lambda: 10.0,
        relay_wait=0.05,
        grace=0.05,
    )
    made.attach(ledger)
    return made


def confirmed(hub: Hub, ledger: SlowLedger, version: int = 10) -> Entry:
    """The store confirms the last registration."""
    entry = ledger.registered[-1]
    hub.changed(Put(entry, version))
    return entry


def elsewhere(name: str, epoch: int, replica: str = "r2", **fields: object) -> Entry:
    registration = Registration(id=actor(name), **fields)  # type: ignore[arg-type]
    return Entry(registration=registration, load=Load(), epoch=epoch, session="x", replica=replica)


async def test_a_registration_is_answered_when_the_store_confirms_it(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    assert peer.heard() == ["authenticated"]
    confirmed(hub, ledger)
    assert peer.heard() == ["registered"]


async def test_an_end_before_the_confirmation_leaves_nothing_behind(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    hub.gone(peer)
    entry = confirmed(hub, ledger)
    assert ledger.left == [(entry.text, entry.epoch, Reason.EXPIRED)]


async def test_a_newer_session_on_another_replica_replaces_the_one_here(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    entry = confirmed(hub, ledger)
    peer.heard()
    hub.changed(Put(elsewhere("a", entry.epoch + 1), 12))
    assert peer.heard() == ["replaced"]
    assert peer.ended is Close.REPLACED
    await asyncio.sleep(0.1)
    assert ledger.left == []  # the identity is another's now


def taken_over(peer: Peer) -> bool:
    (answer,) = [each for each in peer.answers() if each.HasField("registered")]
    return answer.registered.took_over


@pytest.mark.parametrize("is_here", [True, False], ids=["here", "elsewhere"])
async def test_who_takes_an_identity_from_a_running_process_is_told(
    hub: Hub, ledger: SlowLedger, is_here: bool
) -> None:
    if is_here:
        older = Peer(hub, "a", "s1")
        older.register(incarnation=1)
        confirmed(hub, ledger)
        assert not taken_over(older)
    else:
        hub.changed(Put(elsewhere("a", 7, incarnation=1), 9))
    newer = Peer(hub, "a", "s2")
    newer.register(incarnation=2)
    confirmed(hub, ledger, 12)
    assert taken_over(newer)
    newer.register(incarnation=2, ws_address="ws://x")  # its own is no other
    confirmed(hub, ledger, 14)
    assert not taken_over(newer)


async def test_who_comes_back_or_after_a_process_that_is_gone_has_taken_nothing(
    hub: Hub, ledger: SlowLedger
) -> None:
    for session, incarnation in (("s1", 1), ("s2", 1), ("s3", 2)):
        peer = Peer(hub, "a", session)
        peer.register(incarnation=incarnation, only_if_free=True)
        confirmed(hub, ledger)
        assert not taken_over(peer)
        if session == "s2":
            hub.gone(peer)  # killed: its grace runs


@pytest.mark.parametrize("is_here", [True, False], ids=["here", "elsewhere"])
async def test_an_identity_that_is_held_is_refused_to_who_wants_a_free_one(
    hub: Hub, ledger: SlowLedger, is_here: bool
) -> None:
    older = Peer(hub, "a", "s1")
    if is_here:
        older.register(incarnation=1)
        confirmed(hub, ledger)
    else:
        hub.changed(Put(elsewhere("a", 7, incarnation=1), 9))
    older.heard()
    asked = len(ledger.registered)
    newer = Peer(hub, "a", "s2")
    newer.register(incarnation=2, only_if_free=True)
    refusal = newer.answers()[-1]
    assert (refusal.reply_to, refusal.error.code) == (2, Close.REPLACED)
    assert refusal.error.message == "another process holds the identity acme:a@1:default"
    assert newer.ended is Close.REPLACED
    assert (older.heard(), older.ended, len(ledger.registered)) == ([], None, asked)
    await asyncio.sleep(0.1)
    assert ledger.left == []


async def test_while_draining_a_moved_peer_is_closed_without_alarm(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    entry = confirmed(hub, ledger)
    hub.is_draining = True
    hub.changed(Put(elsewhere("a", entry.epoch + 1), 12))
    assert peer.ended is Close.RESTART


async def test_a_fenced_session_is_replaced_and_one_that_registers_anew_is_not(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    old = confirmed(hub, ledger)
    peer.register(ws_address="ws://x")
    hub.fenced(old, old.epoch + 1)  # the newer epoch is its own
    assert peer.ended is None
    new = confirmed(hub, ledger, 12)
    hub.fenced(old, new.epoch)
    assert peer.ended is None
    hub.fenced(new, new.epoch + 1)
    assert peer.ended is Close.REPLACED


async def test_an_update_is_not_confirmed_by_what_was_stored_before_it(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    old = confirmed(hub, ledger)
    peer.register(ws_address="ws://x")
    peer.heard()
    hub.restored([old], 20, is_partial=False)
    assert peer.heard() == []
    (own,) = hub.own_entries()
    assert own.epoch == 0
    assert own.registration.ws_address == "ws://x"


async def test_own_entries_are_those_of_open_connections(hub: Hub, ledger: SlowLedger) -> None:
    granted, waiting = Peer(hub, "a", "s1"), Peer(hub, "b", "s2")
    Peer(hub, "c", "s3")
    granted.register()
    entry = confirmed(hub, ledger)
    waiting.register()
    assert {(own.text, own.epoch) for own in hub.own_entries()} == {
        (entry.text, entry.epoch),
        ("acme:b@1:default", 0),
    }


async def test_what_the_store_shows_of_this_replica_without_a_connection_is_ended(
    hub: Hub, ledger: SlowLedger
) -> None:
    hub.restored([elsewhere("a", 5, replica="r1")], 10, is_partial=False)
    assert ledger.left == [("acme:a@1:default", 5, Reason.EXPIRED)]


def beside_one_elsewhere(hub: Hub, ledger: SlowLedger) -> Peer:
    """Peer ``a``, registered here, while ``b`` is on another replica."""
    peer = Peer(hub, "a", "s1")
    peer.register()
    confirmed(hub, ledger)
    hub.changed(Put(elsewhere("b", 3), 12))
    peer.heard()
    return peer


async def test_a_relay_to_another_replica_is_answered_by_it(hub: Hub, ledger: SlowLedger) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    for _ in range(3):
        peer.tell(messages.Relay(actor("b"), b""))
    assert peer.heard() == []
    assert [replica for replica, _ in ledger.sent] == ["r2"] * 3
    numbers = [parcel.number for _, parcel in ledger.sent]
    hub.answered(numbers[1], None)
    hub.answered(numbers[0], Undelivered.OFFLINE)
    hub.answered(numbers[0], None)  # twice: nothing
    assert peer.heard() == ["receipt", "undelivered"]
    hub.lost()
    assert peer.heard() == ["undelivered"]


def relay_bytes(to: str, number: int = 300) -> bytes:
    """A message as its client sends it."""
    offer = pb.Negotiate(connection_id="c", offer=pb.SessionDescription(sdp="x" * 200))
    relay = pb.Relay(to=actor(to).to_wire(), negotiate=offer)
    return pb.ClientMessage(id=number, relay=relay).SerializeToString()


async def test_a_relay_is_carried_by_its_bytes_here_and_to_another_replica(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    other = Peer(hub, "c", "s2")
    other.register()
    confirmed(hub, ledger, 1)
    peer.answers(), other.answers()
    assert hub.courier.carry(peer, relay_bytes("c"))
    (receipt,) = peer.answers()
    assert (receipt.reply_to, receipt.WhichOneof("body")) == (300, "receipt")
    (told,) = other.answers()
    assert getattr(told.relayed, "from") == actor("a").to_wire()
    assert told.relayed.negotiate.offer.sdp == "x" * 200
    assert hub.courier.carry(peer, relay_bytes("b", 7))
    ((replica, parcel),) = ledger.sent
    assert (replica, parcel.to, parcel.source) == ("r2", "acme:b@1:default", "acme:a@1:default")
    assert pb.ServerMessage.FromString(parcel.data).relayed.negotiate.offer.sdp == "x" * 200
    hub.answered(parcel.number, None)
    assert [answer.reply_to for answer in peer.answers()] == [7]
    assert hub.courier.carry(peer, relay_bytes("nobody", 8))
    (refused,) = peer.answers()
    assert (refused.reply_to, refused.undelivered.reason) == (8, pb.Undelivered.UNKNOWN)


async def test_a_message_that_is_no_usual_relay_is_not_carried(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    beat = pb.ClientMessage(id=1, heartbeat=pb.Heartbeat()).SerializeToString()
    assert not hub.courier.carry(peer, beat)
    broken = relay_bytes("b").replace(b"\x0a\x04acme", b"\x0f\x04acme")
    assert not hub.courier.carry(peer, broken)
    assert peer.heard() == []
    assert ledger.sent == []


async def test_nothing_is_carried_for_who_has_not_registered_or_has_left(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    stranger = Peer(hub, "d", "s3")
    stranger.heard()
    assert not hub.courier.carry(stranger, relay_bytes("a"))
    hub.gone(peer)
    assert not hub.courier.carry(peer, relay_bytes("b"))
    assert stranger.heard() == []
    assert ledger.sent == []


async def test_a_relay_that_nobody_answers_is_undelivered_in_time(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    peer.tell(messages.Relay(actor("b"), b""))
    await asyncio.sleep(0.1)
    assert peer.heard() == ["undelivered"]


async def test_without_its_store_a_relay_to_another_replica_fails_at_once(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    ledger.is_ready = False
    peer.tell(messages.Relay(actor("b"), b""))
    assert peer.heard() == ["undelivered"]
    assert ledger.sent == []


async def test_while_too_much_is_on_its_way_a_relay_to_another_replica_fails_at_once(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = beside_one_elsewhere(hub, ledger)
    ledger.is_full = True
    peer.tell(messages.Relay(actor("b"), b""))
    assert peer.heard() == ["undelivered"]
    assert ledger.sent == []


async def test_the_answer_of_another_replica_after_the_asker_left_is_dropped(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    confirmed(hub, ledger)
    hub.changed(Put(elsewhere("b", 3), 12))
    peer.tell(messages.Relay(actor("b"), b""))
    hub.gone(peer)
    hub.answered(ledger.sent[0][1].number, None)


async def test_a_closed_connection_comes_back_within_its_grace_or_expires(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    entry = confirmed(hub, ledger)
    hub.gone(peer)
    hub.gone(peer)
    assert ledger.left == []
    await asyncio.sleep(0.1)
    assert ledger.left == [(entry.text, entry.epoch, Reason.EXPIRED)]


async def test_a_drain_says_goaway_then_ends_who_stays(hub: Hub, ledger: SlowLedger) -> None:
    stays, broken = Peer(hub, "a", "s1"), Peer(hub, "b", "s2")
    for peer, version in ((stays, 10), (broken, 12)):
        peer.register()
        confirmed(hub, ledger, version)
    hub.gone(broken)
    stays.heard()
    await hub.drain(0.05)
    assert stays.heard() == ["goaway"]
    assert stays.ended is Close.RESTART
    assert {reason for _, _, reason in ledger.left} <= {Reason.DRAINED, Reason.EXPIRED}
    assert {text for text, _, _ in ledger.left} == {"acme:a@1:default", "acme:b@1:default"}


async def test_where_there_is_no_other_replica_a_drain_does_not_wait(
    hub: Hub, ledger: SlowLedger
) -> None:
    ledger.is_shared = False
    peer = Peer(hub, "a", "s1")
    await hub.drain(60)
    assert peer.ended is Close.RESTART


def test_memory_assigns_epochs_and_versions_that_rise_when_the_clock_falls() -> None:
    class Sink:
        def __init__(self) -> None:
            self.changes: list[Put | Removed] = []

        def changed(self, change: Put | Removed) -> None:
            self.changes.append(change)

    clock = iter([100, 100, 50, 50, 10])
    sink = Sink()
    memory = MemoryLedger(sink, wall_clock=lambda: next(clock))  # type: ignore[arg-type]
    memory.register(elsewhere("a", 0), above=0)
    memory.register(elsewhere("a", 0), above=100)
    first, second = sink.changes
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert second.entry.epoch == first.entry.epoch + 1
    assert second.version >= first.version + 2
    memory.leave(replace(elsewhere("a", 0), session="other"), Reason.CLOSED)
    memory.leave(elsewhere("a", 0), Reason.CLOSED)
    (removed,) = sink.changes[2:]
    assert isinstance(removed, Removed)
    assert removed.epoch == second.entry.epoch
    assert removed.version > second.version


async def test_an_older_registration_that_is_told_late_replaces_nothing(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    entry = confirmed(hub, ledger)
    peer.heard()
    hub.registrar.settle(elsewhere("a", entry.epoch - 1))
    hub.registrar.settle(elsewhere("a", entry.epoch))
    assert peer.ended is None
    assert peer.heard() == []
    assert hub.here[entry.text] is peer


async def test_a_confirmation_older_than_the_session_changes_nothing(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    entry = confirmed(hub, ledger)
    hub.registrar.settle(replace(entry, epoch=entry.epoch - 1))
    assert peer.session.epoch == entry.epoch
    assert peer.entry == entry


async def test_who_comes_back_within_the_grace_is_not_said_to_have_left(
    hub: Hub, ledger: SlowLedger
) -> None:
    peer = Peer(hub, "a", "s1")
    peer.register()
    confirmed(hub, ledger)
    hub.gone(peer)
    assert not hub.registrar.nobody_is_awaited.is_set()
    again = Peer(hub, "a", "s2")
    again.register()
    confirmed(hub, ledger, 12)
    assert hub.registrar.nobody_is_awaited.is_set()
    hub.registrar.end_graces(Reason.EXPIRED)
    assert ledger.left == []


# With certificates

ISSUER = Issuer()
ROOM = ISSUER.enrol("room")


@pytest.fixture
def trust() -> Trust:
    return Trust(issuer_keys=ISSUER.keys)


def certified(hub: Hub, ledger: SlowLedger, trust: Trust) -> Peer:
    """A connection that is registered with a certificate."""
    peer = Peer(hub, "room", "s1", trust)
    peer.tell(messages.read(pb.ClientMessage(authenticate=ROOM.authenticate("s", b""))))
    peer.tell(messages.read(pb.ClientMessage(register=ROOM.register())))
    confirmed(hub, ledger)
    assert peer.heard() == ["authenticated", "registered"]
    return peer


async def test_a_renewed_certificate_is_stored_under_the_same_epoch(
    hub: Hub, ledger: SlowLedger, trust: Trust
) -> None:
    peer = certified(hub, ledger, trust)
    assert peer.entry is not None
    before = peer.entry
    newer = ISSUER.renew(ROOM)
    peer.tell(messages.read(pb.ClientMessage(authenticate=newer.authenticate("s", b""))))
    assert peer.heard() == ["authenticated"]
    (stored,) = ledger.renewed
    assert stored == before
    assert stored.registration.signed is not None
    assert stored.registration.signed.certificate == newer.certificate


@pytest.mark.parametrize("what", ["address", "signature"])
async def test_of_its_own_actor_a_replica_does_not_believe_the_store(
    hub: Hub, ledger: SlowLedger, trust: Trust, what: str
) -> None:
    peer = certified(hub, ledger, trust)
    assert peer.entry is not None
    own = peer.entry
    if what == "address":
        registration = replace(own.registration, ws_address="ws://10.6.6.6:1/v1/wire")
    else:
        registration = replace(own.registration, signed=Signed(b"", b"", b""))
    hub.changed(Put(replace(own, registration=registration), 20))
    peer.tell(messages.Heartbeat(None))
    (stored,) = ledger.renewed
    assert (stored, stored.registration.signed) == (own, own.registration.signed)


async def test_who_is_revoked_leaves_at_once_and_others_stay(
    hub: Hub, ledger: SlowLedger, trust: Trust
) -> None:
    peer = certified(hub, ledger, trust)
    other = Peer(hub, "other", "s2")
    hub.examine_again()
    assert peer.ended is None
    trust.revoked = Revoked(serials=frozenset({ROOM.serial}))
    hub.examine_again()
    assert (peer.ended, other.ended) == (Close.FORBIDDEN, None)
    assert peer.heard() == ["error"]
    assert [reason for _, _, reason in ledger.left] == [Reason.KICKED]
    assert hub.registrar.nobody_is_awaited.is_set(), "no grace"
    assert hub.refused == {"revoked": 1}
