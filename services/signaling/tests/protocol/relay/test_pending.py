from __future__ import annotations

from actr_signaling.protocol.relay.pending import PendingRelays
from signaling_kit.client import actor


def test_all_that_are_over_time_are_given_up_at_once_oldest_first() -> None:
    relays = PendingRelays(wait=1.5)
    for number in range(3):
        relays.add("s", number, actor("b"), "r2", now=float(number))
    assert [pending.reply_to for pending in relays.expire(100.0)] == [0, 1, 2]
    assert relays.deadline is None
