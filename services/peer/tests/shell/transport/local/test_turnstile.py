"""Writers that go on in turn: a bounded number in a turn, in order, and none left behind."""

from __future__ import annotations

import asyncio

from actr_peer.transport.local.turnstile import A_TURN, Turnstile


async def test_few_go_on_in_a_turn_in_the_order_of_their_coming_and_all_in_the_end() -> None:
    loop, turnstile = asyncio.get_running_loop(), Turnstile()
    waiters = [loop.create_future() for _ in range(2 * A_TURN + 1)]
    for waiter in waiters:
        turnstile.admit(waiter)
    gone: list[int] = []
    while len(turnstile):
        await asyncio.sleep(0)
        done = [waiter.done() for waiter in waiters]
        assert done == sorted(done, reverse=True)
        gone.append(sum(done))
    assert gone == [A_TURN, 2 * A_TURN, 2 * A_TURN + 1]
    again = loop.create_future()
    turnstile.admit(again)
    await asyncio.wait_for(again, 10)


async def test_one_that_was_cancelled_takes_nobodys_turn() -> None:
    loop, turnstile = asyncio.get_running_loop(), Turnstile()
    gone = [loop.create_future() for _ in range(A_TURN)]
    waiters = [loop.create_future() for _ in range(A_TURN)]
    for waiter in gone + waiters:
        turnstile.admit(waiter)
    for waiter in gone:
        waiter.cancel()
    await asyncio.sleep(0)
    assert all(waiter.done() for waiter in waiters)
