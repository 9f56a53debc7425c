from __future__ import annotations

import pytest

from actr_signaling.protocol.websocket.pulse import PING_SECONDS, Felt, Pulse

NOTHING, ASK, END = Felt


def test_who_says_nothing_is_asked_once_and_then_let_go() -> None:
    made = Pulse(0.0)
    assert made.feel(PING_SECONDS - 0.1, 0) is NOTHING
    assert made.due == PING_SECONDS
    assert made.feel(made.due, 0) is ASK
    assert made.due == 2 * PING_SECONDS
    assert made.feel(made.due, 0) is END


@pytest.mark.parametrize("answers_after", [0.1, PING_SECONDS - 0.1])
def test_who_answers_is_asked_again_later(answers_after: float) -> None:
    made = Pulse(0.0)
    assert made.feel(PING_SECONDS, 0) is ASK
    made.heard_at = PING_SECONDS + answers_after
    assert made.feel(2 * PING_SECONDS, 0) is NOTHING
    assert made.due == made.heard_at + PING_SECONDS
    assert made.feel(made.due, 0) is ASK


def test_who_reads_what_waits_for_it_is_there_though_it_is_not_heard() -> None:
    made, now, unsent = Pulse(0.0), 0.0, 1_000
    for _ in range(9):
        now, unsent = now + PING_SECONDS, unsent - 1
        assert made.feel(now, unsent) is not END
    assert [made.feel(now + n * PING_SECONDS, unsent) for n in (1, 2)] == [ASK, END]
