"""The counts of the compose system's peers: what they prove, and how a round reads."""

from actr_peer.cli.exchange.tally import Heard, Round


def test_each_number_once_and_in_order_leaves_nothing_missing() -> None:
    heard = Heard("a", "run")
    for number in (1, 2, 3):
        heard.take(number)
    assert (heard.heard, heard.missing, heard.repeated, heard.last) == (3, 0, 0, 3)


def test_numbers_that_are_passed_over_are_missing() -> None:
    heard = Heard("a", "run")
    heard.take(2)
    heard.take(5)
    assert (heard.heard, heard.missing) == (2, 3)


def test_a_line_that_comes_twice_or_late_is_repeated() -> None:
    heard = Heard("a", "run")
    for number in (1, 2, 2, 1):
        heard.take(number)
    assert (heard.heard, heard.repeated, heard.last) == (2, 2, 2)


def test_a_round_is_one_readable_line() -> None:
    finished = Round(12, steps={"calls": "4", "upload": "32 KiB"}, errors={"media": "no wire"})
    assert finished.line("a", "b", wire="webrtc 0.6 ms", seconds=0.114) == (
        "round 12: a → b webrtc 0.6 ms | calls 4 | upload 32 KiB | media FAILED: no wire | 0.11 s"
    )
    assert finished.row("a", "b", wire="webrtc 0.6 ms", seconds=0.1142) == {
        "round": 12,
        "actor": "a",
        "remote": "b",
        "wire": "webrtc 0.6 ms",
        "steps": {"calls": "4", "upload": "32 KiB"},
        "errors": {"media": "no wire"},
        "seconds": 0.114,
    }
