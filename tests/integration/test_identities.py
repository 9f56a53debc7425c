"""Who is who in the composed system: by certificates, until one is revoked."""

from __future__ import annotations

from integration_kit.drivers import Composed, Peer
from integration_kit.engine import docker, each_eventually


def test_ps_shows_verified_identities(system: Composed) -> None:
    peers = {peer.id: peer for peer in system.peers()}
    own = {name: peer.status()["identity"] for name, peer in peers.items()}
    for name, identity in own.items():
        assert identity["by"] == "certificate", f"{name} has none: {identity}"
        assert identity["seconds_left"] > 0, f"{name} has let its certificate end: {identity}"
        # A wire to another test's guest may be left, is dialled again, and proves nothing.
        wires = [w for w in peers[name].status()["wires"] if w["remote"] in own]
        ready = [wire for wire in wires if wire["state"] == "ready"]
        assert {wire["remote"] for wire in ready} == own.keys() - {name}
        for wire in ready:
            proved = wire["identity"]
            subject = wire["remote"].rpartition(":")[0]
            assert proved["subject"] == subject, f"{name} takes {wire} for {subject}"
            assert proved["fingerprint"] == own[wire["remote"]]["fingerprint"], f"{name}: {wire}"
            assert proved["seconds_left"] > 0, f"{name} keeps a wire without proof: {wire}"
    shown = docker("exec", system.peers()[0].container, "actr", "ps")
    for name, identity in own.items():
        assert identity["name"] in shown, f"actr ps does not show the key of {name}: {shown}"


def test_a_revoked_peer_is_out_within_a_minute(system: Composed) -> None:
    """One beside the others, so that their keys and ids are as they were."""
    issuer = system.containers("issuer")[0]
    setting = "ACTR_ACTOR__ID=acme:room@revoked:default"
    started = system.compose("run", "--detach", "--no-TTY", "--env", setting, "peer")
    guest = Peer(started.split()[-1], "revoked")
    try:
        each_eventually(
            system.peers(),
            "has both wires to the one that is to be revoked",
            lambda peer: guest.id in peer.wires("webrtc") & peer.wires("websocket"),
            within=60,
        )
        docker("exec", issuer, "actr-issuer", "revoke", "acme:room@revoked")
        each_eventually(
            system.peers(),
            "has no wire to it any more",
            lambda peer: guest.id not in peer.wires("webrtc") | peer.wires("websocket"),
            within=60,
        )
        assert not any(guest.id in peer.actors() for peer in system.peers()), "it is still found"
    finally:
        docker("rm", "--force", guest.container)
        docker("exec", issuer, "actr-issuer", "revoke", "acme:room@revoked", "--lift")
