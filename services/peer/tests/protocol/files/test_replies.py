from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.files import messages
from actr_peer.protocol.files.messages import FilesReply
from actr_peer.protocol.files.order import Event
from actr_peer.protocol.files.replies import Replies


def heard(*replies: FilesReply, sent: int = 0, is_said: bool = False) -> Replies:
    """What a sender of nine blocks has heard."""
    made = Replies(9)
    for reply in replies:
        made.hear(reply)
    made.sent = max(made.sent, sent)
    made.is_said = is_said
    return made


MOVING = (messages.kept(3), messages.begin(3))


def test_a_transfer_that_goes_on_is_heard_from_its_kept_blocks_to_its_name() -> None:
    made = heard(messages.verified(2))
    assert made.hear(messages.kept(3)) == (Event.KEPT, True)
    assert not made.is_moving
    assert made.hear(messages.begin(3)) == (Event.BEGIN, True)
    assert made.is_moving
    made.sent = 9
    assert made.hear(messages.verified(9)) == (Event.VERIFIED, True)
    made.is_said = True
    assert made.hear(messages.done("x", was_there=False)) == (Event.DONE, True)


def test_a_word_that_says_nothing_new_is_no_progress() -> None:
    assert heard().hear(messages.verified(0)) == (Event.VERIFIED, False)
    assert heard(*MOVING).hear(messages.verified(3)) == (Event.VERIFIED, False)


@pytest.mark.parametrize(
    ("made", "reply"),
    [
        pytest.param(heard(), messages.kept(10), id="keeps more than there is"),
        pytest.param(heard(), messages.verified(10), id="reads over more than there is"),
        pytest.param(heard(messages.verified(2)), messages.verified(1), id="goes back"),
        pytest.param(heard(messages.kept(3)), messages.begin(2), id="begins where nothing is"),
        pytest.param(heard(*MOVING, sent=5), messages.verified(6), id="has what was not sent"),
        pytest.param(heard(*MOVING, sent=5), messages.verified(2), id="loses what it had"),
        pytest.param(heard(*MOVING), messages.done("x", was_there=True), id="done too early"),
        pytest.param(
            heard(*MOVING, is_said=True),
            messages.done("x\x1b[2J", was_there=False),
            id="a name that no folder takes",
        ),
        pytest.param(heard(), messages.begin(0), id="out of order"),
        pytest.param(heard(), FilesReply(), id="nothing known"),
    ],
)
def test_what_cannot_be_breaks_the_rules(made: Replies, reply: FilesReply) -> None:
    with pytest.raises(RemoteProtocolError, match="transfer of files"):
        made.hear(reply)


WORDS = st.one_of(
    st.builds(messages.verified, st.integers(0, 11)),
    st.builds(messages.kept, st.integers(0, 11)),
    st.builds(messages.begin, st.integers(0, 11)),
    st.builds(messages.done, st.just("x"), was_there=st.booleans()),
)


@given(st.lists(WORDS, max_size=200))
def test_a_receiver_has_no_end_of_words_that_are_progress(words: list[FilesReply]) -> None:
    made, progress = Replies(9), 0
    for word in words:
        try:
            progress += made.hear(word)[1]
        except RemoteProtocolError:
            break
        made.sent = 9
    assert progress <= 2 * 9 + 3
