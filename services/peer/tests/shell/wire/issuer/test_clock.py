"""The issuer's clock: learnt of its certificates, and untouched when this machine's is set."""

from __future__ import annotations

import pytest

from actr_peer.wire.issuer.clock import IssuerClock


class Machine:
    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 50.0

    def clock(self) -> IssuerClock:
        return IssuerClock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_a_clock_that_is_right_stays_as_it_is() -> None:
    machine = Machine()
    clock = machine.clock()
    asked = clock.now()
    machine.pass_by(0.4)
    clock.learn(1_800_000_000, asked, clock.now())
    assert clock.offset == pytest.approx(0)


@pytest.mark.parametrize(("wrong", "side"), [(-3600, "behind"), (3600, "ahead of")])
def test_a_wrong_clock_is_named_and_not_used(
    wrong: int, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.learn(1_800_000_000 - wrong, clock.now(), clock.now())
    assert clock.offset == pytest.approx(-wrong, abs=1)
    assert "the clock of this machine is 36" in caplog.text or "3599 s" in caplog.text
    assert f" s {side} the issuer's" in caplog.text


def test_setting_the_machine_s_clock_changes_nothing() -> None:
    machine = Machine()
    clock = machine.clock()
    before = clock.now()
    machine.wall -= 86400
    assert clock.now() == before
    assert clock.offset == pytest.approx(86400)


def test_it_goes_on_with_the_machine() -> None:
    assert abs(IssuerClock().offset) < 60
