from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.negotiation import (
    TABLES,
    Action,
    Input,
    Negotiation,
    Role,
    State,
    role_of,
)

SENDS = {
    Action.SEND_OFFER: Input.OFFER,
    Action.SEND_REQUEST: Input.REQUEST,
    Action.APPLY_AND_ANSWER: Input.ANSWER,
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
@pytest.mark.parametrize("event", [e for e in Input if e is not Input.CLOSE])
def test_a_pair_is_in_the_table_or_a_violation_that_changes_nothing(
    role: Role, state: State, event: Input
) -> None:
    machine = Negotiation(role)
    machine.state = state
    machine.exchange = 4
    exchange = 5 if role is Role.ANSWERER else 4
    if (state, event) in TABLES[role]:
        machine.handle(event, exchange)
        return
    with pytest.raises(RemoteProtocolError):
        machine.handle(event, exchange)
    assert (machine.state, machine.exchange) == (state, 4)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
def test_closing_is_possible_everywhere_and_final(role: Role, state: State) -> None:
    machine = Negotiation(role)
    machine.state = state
    machine.handle(Input.CLOSE)
    assert machine.state is State.CLOSED
    assert all(machine.handle(event) == () for event in Input)


def test_the_smaller_id_offers_whoever_asked() -> None:
    small, large = ActrId.parse("a:b@1:r"), ActrId.parse("a:b@2:r")
    assert role_of(small, large) is Role.OFFERER
    assert role_of(large, small) is Role.ANSWERER


def test_offers_count_from_one() -> None:
    machine = Negotiation(Role.OFFERER)
    machine.handle(Input.CHANGED)
    assert machine.exchange == 1
    machine.handle(Input.OVERDUE)
    assert machine.exchange == 2


def test_an_answer_to_an_old_exchange_is_dropped() -> None:
    machine = Negotiation(Role.OFFERER)
    machine.handle(Input.CHANGED)
    machine.handle(Input.OVERDUE)
    assert machine.handle(Input.ANSWER, 1) == ()
    assert machine.state is State.WAITING
    assert machine.handle(Input.ANSWER, 2) == (Action.APPLY_ANSWER,)
    assert machine.handle(Input.ANSWER, 2) == ()


def test_an_answer_to_an_offer_never_made_is_the_far_sides_fault() -> None:
    machine = Negotiation(Role.OFFERER)
    machine.handle(Input.CHANGED)
    with pytest.raises(RemoteProtocolError):
        machine.handle(Input.ANSWER, 2)
    assert machine.state is State.WAITING


def test_a_repeated_offer_is_answered_once() -> None:
    machine = Negotiation(Role.ANSWERER)
    assert machine.handle(Input.OFFER, 1) == (Action.APPLY_AND_ANSWER,)
    assert machine.handle(Input.OFFER, 1) == ()
    assert machine.handle(Input.OFFER, 3) == (Action.APPLY_AND_ANSWER,)


class Pair:
    """Both ends, and the mail between them."""

    def __init__(self) -> None:
        self.ends = {"a": Negotiation(Role.OFFERER), "b": Negotiation(Role.ANSWERER)}
        self.mail: dict[str, deque[tuple[Input, int]]] = {"a": deque(), "b": deque()}

    def feed(self, who: str, event: Input = Input.CHANGED, exchange: int = 0) -> None:
        other = "b" if who == "a" else "a"
        for action in self.ends[who].handle(event, exchange):
            if action in SENDS:
                self.mail[other].append((SENDS[action], self.ends[who].exchange))

    def deliver(self, who: str) -> None:
        if self.mail[who]:
            self.feed(who, *self.mail[who].popleft())

    def lose(self, who: str) -> None:
        if self.mail[who]:
            self.mail[who].popleft()

    def timer(self) -> None:
        """As the shell's: what waits while nothing is under way is overdue."""
        if not any(self.mail.values()):
            for who, end in self.ends.items():
                if end.state is not State.STABLE:
                    self.feed(who, Input.OVERDUE)


@given(
    st.lists(
        st.tuples(st.sampled_from(["feed", "deliver", "lose"]), st.sampled_from("ab")), max_size=60
    )
)
def test_two_ends_always_settle_whatever_the_interleaving_and_loss(
    script: list[tuple[str, str]],
) -> None:
    pair = Pair()
    for verb, who in script:
        getattr(pair, verb)(who)
    for _ in range(200):
        pair.timer()
        pair.deliver("a")
        pair.deliver("b")
    assert {end.state for end in pair.ends.values()} == {State.STABLE}
    assert pair.ends["b"].exchange == pair.ends["a"].exchange
