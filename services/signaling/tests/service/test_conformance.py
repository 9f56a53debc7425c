"""One suite for every form of the service: memory, Redis, two replicas on one Redis."""

from __future__ import annotations

import pytest

from actr import signaling_pb2 as pb
from signaling_kit.client import Client, Deployment, actor, relay_to, text_of, texts

pytestmark = pytest.mark.service
Event = pb.PresenceEvent


async def test_registering_answers_with_a_session_an_epoch_and_its_terms(
    deployment: Deployment,
) -> None:
    a = await deployment.registered("a")
    assert a.registered is not None
    assert len(a.registered.session_id) == 32
    assert a.registered.epoch > 0
    assert a.registered.lease_ms == 30_000
    assert 8_000 <= a.registered.heartbeat_interval_ms <= 12_000
    assert not a.registered.ice_servers


async def test_a_snapshot_shows_who_is_here_and_events_who_comes_and_goes(
    deployment: Deployment,
) -> None:
    a, b = await deployment.pair()
    snapshot = await a.subscribe("acme:b")
    assert texts(snapshot.present) == {"acme:b@1:default"}
    c = await deployment.registered("c", 1, ws_address="ws://10.0.0.1:9100/", incarnation=7)
    joined = await a.event("c", "JOIN")
    assert joined.version > snapshot.version
    assert joined.presence.ws_address == "ws://10.0.0.1:9100/"
    assert joined.presence.incarnation == 7
    assert c.registered is not None
    assert joined.presence.epoch == c.registered.epoch
    await b.event("c", "JOIN")  # else a watcher is told nothing of who came and went at once
    answer = await c.ask(unregister=pb.Unregister())
    assert answer.HasField("receipt")
    assert await c.closed() == 1000
    for watcher in (a, b):
        left = await watcher.event("c", "LEAVE")
        assert left.reason == Event.CLOSED
        assert left.version > joined.version


async def test_subscribing_to_a_type_hears_of_that_type_only(deployment: Deployment) -> None:
    a = await deployment.registered("a")
    await a.subscribe("acme:room")
    await deployment.registered("chat", 1)
    await deployment.registered("room", 1)
    event = await a.next("presence")
    assert text_of(event.presence.id) == "acme:room@1:default"


async def test_after_unsubscribing_no_more_events_come(deployment: Deployment) -> None:
    a = await deployment.registered("a")
    await a.subscribe("acme:room")
    await a.subscribe("acme:chat")
    answer = await a.ask(unsubscribe=pb.Unsubscribe(actr_type="acme:room"))
    assert answer.HasField("done")
    await deployment.registered("room", 1)
    await deployment.registered("chat", 1)
    event = await a.next("presence")
    assert text_of(event.presence.id) == "acme:chat@1:default"


async def test_a_broken_connection_is_a_leave_after_its_grace(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    b.abort()
    left = await a.event("b", "LEAVE")
    assert left.reason == Event.EXPIRED


async def test_coming_back_within_the_grace_is_an_update(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    b.abort()
    again = await deployment.registered("b", 0)
    event = await a.next("presence")
    while text_of(event.presence.id) != "acme:b@1:default":
        event = await a.next("presence")
    assert event.kind == Event.UPDATE
    assert again.registered is not None
    assert event.presence.epoch == again.registered.epoch
    assert (await a.relay("b", "hello")).HasField("receipt")


@pytest.mark.parametrize("place", [0, 1], ids=["same replica", "other replica"])
async def test_who_wants_a_free_identity_replaces_nobody(
    deployment: Deployment, place: int
) -> None:
    old = await deployment.registered("b", 0, incarnation=1)
    await (await deployment.registered("c", place)).sees("b")
    new = await deployment.client(place)
    await new.authenticate("b")
    refused = await new.register(incarnation=2, only_if_free=True)
    assert refused.error.code == 4409
    assert await new.closed() == 4409
    assert (await old.relay("c", "still here")).HasField("receipt")


@pytest.mark.parametrize("place", [0, 1], ids=["same replica", "other replica"])
async def test_a_newer_session_replaces_the_older_one(deployment: Deployment, place: int) -> None:
    a = await deployment.registered("a")
    await a.subscribe()
    old = await deployment.registered("b", 0, incarnation=1)
    await a.event("b", "JOIN")
    await (await deployment.registered("c", place)).sees("b")
    new = await deployment.registered("b", place, incarnation=2)
    assert old.registered is not None
    assert new.registered is not None
    assert (old.registered.took_over, new.registered.took_over) == (False, True)
    assert (await old.next("replaced")).epoch == new.registered.epoch
    assert await old.closed() == 4409
    left = await a.event("b", "LEAVE")
    joined = await a.event("b", "JOIN")
    assert left.reason == Event.REPLACED
    assert left.presence.epoch == old.registered.epoch
    assert joined.presence.epoch == new.registered.epoch > old.registered.epoch
    assert joined.version > left.version
    assert (await a.relay("b", "hello")).HasField("receipt")
    assert (await new.next("relayed")).negotiate.candidate.candidate == "hello"


async def test_registering_again_on_one_connection_is_an_update(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    answer = await b.register(metadata={"colour": "red"})
    assert answer.HasField("registered")
    event = await a.event("b", "UPDATE")
    assert event.presence.metadata == {"colour": "red"}
    assert (await a.relay("b", "still here")).HasField("receipt")
    assert (await b.relay("a", "and so are you")).HasField("receipt")


async def test_a_relay_arrives_with_its_source_stamped_and_is_receipted(
    deployment: Deployment,
) -> None:
    a = await deployment.registered("a", 0, incarnation=77)
    b = await deployment.registered("b", 1)
    await a.sees("b")
    offer = pb.SessionDescription(sdp="v=0 …", track_ids={"0": "camera"})
    answer = await a.relay("b", offer=offer)
    assert answer.HasField("receipt")
    relayed = await b.next("relayed")
    assert text_of(getattr(relayed, "from")) == "acme:a@1:default"
    assert relayed.incarnation == 77
    assert relayed.negotiate.offer == offer
    assert relayed.negotiate.connection_id == "c1"
    assert relayed.negotiate.exchange == 1


async def test_what_a_later_version_adds_to_a_negotiation_passes_through(
    deployment: Deployment,
) -> None:
    a, b = await deployment.pair()
    step = relay_to("b", "x").negotiate.SerializeToString() + b"\xfa\x07\x03new"  # field 127
    relay = pb.Relay(to=actor("b").to_wire(), negotiate=pb.Negotiate.FromString(step))
    assert (await a.ask(relay=relay)).HasField("receipt")
    relayed = await b.next("relayed")
    assert relayed.negotiate.SerializeToString() == step


async def test_messages_of_one_pair_keep_their_order(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    for number in range(300):
        await a.send(relay=relay_to("b", str(number)))
    arrived = [(await b.next("relayed")).negotiate.candidate.candidate for _ in range(300)]
    assert arrived == [str(number) for number in range(300)]
    for _ in range(300):
        await a.next("receipt")


async def test_a_relay_to_nobody_says_why(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    unknown = await a.relay("nobody")
    assert unknown.undelivered.reason == pb.Undelivered.UNKNOWN
    assert text_of(unknown.undelivered.to) == "acme:nobody@1:default"
    impossible = await a.ask(relay=pb.Relay(negotiate=relay_to("b", "x").negotiate))
    assert impossible.undelivered.reason == pb.Undelivered.UNKNOWN
    await b.ask(unregister=pb.Unregister())
    await a.event("b", "LEAVE")
    offline = await a.relay("b")
    assert offline.undelivered.reason == pb.Undelivered.OFFLINE


async def test_a_broken_target_is_offline_before_its_grace_ends(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    await a.relay("b")
    b.abort()
    while (answer := await a.relay("b")).HasField("receipt"):
        pass  # its replica reads the end of the socket when it comes to it
    assert answer.undelivered.reason == pb.Undelivered.OFFLINE


async def test_realms_do_not_see_or_reach_each_other(deployment: Deployment) -> None:
    a = await deployment.registered("a", 0)
    await a.subscribe()
    stranger = await deployment.registered("acme:room@1:other", 1)
    await deployment.registered("room", 1)
    await a.event("room", "JOIN")
    assert texts((await a.subscribe()).present) == {"acme:a@1:default", "acme:room@1:default"}
    found = await a.ask(discover=pb.Discover(actr_type="acme:room"))
    assert texts(found.discovered.found) == {"acme:room@1:default"}
    for other in ("acme:room@1:other", "acme:nobody@1:other"):
        refused = await a.relay(other)
        assert refused.undelivered.reason == pb.Undelivered.NOT_ALLOWED
    # What its replica has heard of by now is itself, or nobody.
    assert texts((await stranger.subscribe()).present) <= {"acme:room@1:other"}


async def test_an_allowed_realm_sees_and_reaches_and_is_answered(deployment: Deployment) -> None:
    a = await deployment.registered("a", 0)
    await a.subscribe()
    shop = await deployment.registered("acme:shop@1:mall", 1, allowed_realms=["default"])
    await a.event("acme:shop@1:mall", "JOIN")
    before = await shop.relay("a", "uninvited")
    assert before.undelivered.reason == pb.Undelivered.NOT_ALLOWED
    assert (await a.relay("acme:shop@1:mall", "hello")).HasField("receipt")
    await shop.next("relayed")
    # The answer needs a's replica to be known there too; it is, for a was there first.
    assert (await shop.relay("a", "welcome")).HasField("receipt")
    assert (await a.next("relayed")).negotiate.candidate.candidate == "welcome"
    closed = await shop.register(allowed_realms=[])
    assert closed.HasField("registered")
    assert (await a.event("acme:shop@1:mall", "LEAVE")).reason == Event.CLOSED


async def test_a_hidden_actor_is_shown_to_nobody_and_reached_by_who_knows_it(
    deployment: Deployment,
) -> None:
    a = await deployment.registered("a", 0)
    await a.subscribe()
    hidden = await deployment.registered("room@9", 1, visibility=pb.HIDDEN)
    await deployment.registered("room@1", 1)
    first = await a.next("presence")
    assert text_of(first.presence.id) == "acme:room@1:default"
    found = await a.ask(discover=pb.Discover(actr_type="acme:room"))
    assert texts(found.discovered.found) == {"acme:room@1:default"}
    assert (await a.relay("room@9", "psst")).HasField("receipt")
    assert (await hidden.next("relayed")).negotiate.candidate.candidate == "psst"
    await hidden.register(visibility=pb.REALM)
    await a.event("room@9", "JOIN")


async def test_one_actor_is_found_by_its_id_among_any_number_of_its_type(
    deployment: Deployment,
) -> None:
    a = await deployment.registered("a", 0)
    await a.subscribe()
    for number in range(20):  # more than a question without a limit is answered with
        await deployment.registered(f"room@{number}", 1)
        await a.event(f"room@{number}", "JOIN")
    await deployment.registered("room@99", 1, visibility=pb.HIDDEN)

    async def found(name: str) -> set[str]:
        query = pb.Discover(id=actor(name).to_wire())
        return texts((await a.ask(discover=query)).discovered.found)

    for number in range(20):
        assert await found(f"room@{number}") == {f"acme:room@{number}:default"}
    assert await found("room@99") == set(), "hidden"
    assert await found("room@77") == set(), "nobody"


async def test_discovery_prefers_the_exact_fingerprint_then_the_smaller_load(
    deployment: Deployment,
) -> None:
    a = await deployment.registered("a", 0)
    await a.subscribe()

    async def room(instance: int, fingerprint: str, backlog: int) -> Client:
        service = pb.ServiceFingerprint(service="chat.Room", fingerprint=fingerprint)
        client = await deployment.registered(f"room@{instance}", instance, services=[service])
        await a.event(f"room@{instance}", "JOIN")
        await client.ask(heartbeat=pb.Heartbeat(load=pb.Load(mailbox_backlog=backlog)))
        await a.event(f"room@{instance}", "UPDATE")
        return client

    await room(1, "aa", 500)
    await room(2, "aa", 20)
    await room(3, "bb", 1)

    async def found(**query: object) -> list[str]:
        answer = await a.ask(discover=pb.Discover(service="chat.Room", **query))  # type: ignore[arg-type]
        return [one.id.instance for one in answer.discovered.found]

    assert await found() == ["3", "2", "1"]
    assert await found(fingerprint="aa") == ["2", "1", "3"]
    assert await found(limit=1) == ["3"]
    assert await found(actr_type="acme:other") == []
    assert await found(stickiness="k1") == await found(stickiness="k1")
    asked = pb.Discover(service="chat.Room", limit=1)
    instances = []
    while len(instances) < 4 and (answer := (await a.ask(discover=asked)).discovered).found:
        instances += [one.id.instance for one in answer.found]
        asked.after = answer.next
    assert instances == ["3", "2", "1"]


async def test_a_heartbeat_is_answered_and_only_a_new_load_is_told(deployment: Deployment) -> None:
    a, b = await deployment.pair()
    load = pb.Load(mailbox_backlog=100, power_reserve=0.5)
    for _ in range(3):
        answer = await b.ask(heartbeat=pb.Heartbeat(load=load))
        assert answer.HasField("heartbeat_ack")
    event = await a.event("b", "UPDATE")
    assert event.presence.load == load
    await deployment.registered("c", 1)
    following = await a.next("presence")
    assert text_of(following.presence.id) == "acme:c@1:default"


async def test_everyone_is_in_a_snapshot_taken_on_any_replica(deployment: Deployment) -> None:
    watcher = await deployment.registered("watcher", 0)
    await watcher.subscribe()
    for number in range(60):
        await deployment.registered(
            f"room@{number}", number, metadata={"note": "x" * 200, "more": "y" * 200}
        )
    for number in range(60):
        await watcher.event(f"room@{number}", "JOIN")
    late = await deployment.registered("late", 1)
    await watcher.event("late", "JOIN")
    assert len((await watcher.subscribe("acme:room")).present) == 60
    await late.sees("room@59")
