"""A peer that is killed and comes back is the same actor, and gets what was meant for it."""

from __future__ import annotations

from integration_kit.drivers import Composed, Pair
from integration_kit.engine import each_eventually, eventually


def test_a_peer_killed_with_sigkill_keeps_its_id_and_gets_its_messages(system: Composed) -> None:
    pair = Pair(*system.peers()[:2])
    victim = pair.receiver
    eventually(f"{pair}: lines are answered", lambda: pair.sent()["answered"] > 3, within=60)
    victim.kill()
    eventually(
        f"{pair}: a line is said to a dead peer, and waits",
        lambda: pair.sent()["said"] > pair.sent()["answered"],
        within=40,  # a round that is under way ends with its calls' deadlines, of 20 s
    )
    waiting = pair.sent()["said"]
    victim.start()
    each_eventually(
        system.peers(),
        f"sees {victim} under its id again",
        lambda peer: victim.id in peer.actors(),
        within=30,
    )
    eventually(
        f"{pair}: every line is answered, also the one that was said to a dead peer",
        lambda: pair.sent()["answered"] >= waiting,
        within=60,
    )
    unanswered = pair.sent()["unanswered"]
    assert unanswered == 0, f"{unanswered} calls to {victim} ended in an error: {pair.sent()}"
    taken = pair.taken()
    assert taken["run"] == pair.sent()["own_run"], "the sender was restarted too"
    assert taken["missing"] == 0, f"{taken['missing']} lines were lost with {victim}'s death"
    assert taken["repeated"] == 0, f"{taken['repeated']} lines ran twice at {victim}"


def test_a_recreated_peer_keeps_its_id_and_its_mailbox(system: Composed) -> None:
    pair = Pair(*system.peers()[:2])
    eventually(f"{pair}: lines are heard", lambda: pair.taken()["heard"] > 3, within=60)
    before = pair.taken()
    system.compose("rm", "--stop", "--force", "peer")
    system.up()
    assert [peer.id for peer in system.peers()] == [f"acme:room@{i}:default" for i in (1, 2, 3)]
    victim = pair.receiver.status()
    assert victim["mailbox"]["path"] == "/data/2.db"
    kept = {heard["run"]: heard for heard in victim["heard"] if heard["author"] == pair.sender.id}
    assert kept[before["run"]]["heard"] >= before["heard"], (
        f"{pair.receiver} has forgotten what {pair.sender} said before both were re-created"
    )
