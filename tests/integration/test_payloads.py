"""Five payload types between every pair of peers."""

from __future__ import annotations

import re

from integration_kit.drivers import PAYLOAD_TYPES, Composed
from integration_kit.engine import docker, each_eventually, eventually


def test_every_peer_exchanges_all_five_payload_types_with_every_other(system: Composed) -> None:
    each_eventually(
        system.pairs(),
        f"has exchanged {', '.join(PAYLOAD_TYPES)}",
        lambda pair: all(pair.sent()["done"][kind] > 0 for kind in PAYLOAD_TYPES),
        within=60,
    )


def test_the_log_has_a_readable_line_for_each_link_and_round(system: Composed) -> None:
    pair = system.pairs()[0]
    rounds = pair.sent()["rounds"]
    eventually(f"{pair}: another round", lambda: pair.sent()["rounds"] > rounds, within=60)
    wanted = re.compile(rf"round \d+: {pair.sender} → {pair.receiver} webrtc .* s$")
    lines = system.compose("logs", "--no-log-prefix", "peer").splitlines()
    assert any(map(wanted.search, lines)), f"no line of a round {pair} over webrtc in the log"


def test_ps_prints_a_table_of_actors_wires_lanes_and_mailbox(system: Composed) -> None:
    shown = docker("exec", system.peers()[0].container, "actr", "ps")
    for word in ("actors", "wires", "lanes", "mailbox", "acme:room@2:default"):
        assert word in shown, f"actr ps does not show {word}: {shown}"
