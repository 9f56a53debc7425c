from __future__ import annotations

from collections import Counter

import pytest

from actr_signaling.protocol.presence.discovery import Query, place_of, rank, read_place, written
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from signaling_kit.client import actor

SERVICE = "chat.Room"


def room(instance: int, load: Load | None = None, fingerprint: str = "aa") -> Entry:
    return Entry(
        registration=Registration(id=actor(f"room@{instance}"), services={SERVICE: fingerprint}),
        load=load or Load(),
        epoch=1,
        session="s",
        replica="r",
    )


def query(**fields: object) -> Query:
    asked: dict[str, object] = {
        "actr_type": "",
        "service": SERVICE,
        "fingerprint": "",
        "stickiness": "",
        "limit": 16,
    }
    return Query(**{**asked, **fields})  # type: ignore[arg-type]


def instances(found: list[Entry]) -> list[str]:
    return [entry.registration.id.instance for entry in found]


def test_the_smaller_backlog_comes_first_then_the_larger_reserve() -> None:
    rooms = [room(1, Load(100, 1.0)), room(2, Load(1, 0.2)), room(3, Load(1, 0.9))]
    assert instances(rank(rooms, query(), asker="a")) == ["3", "2", "1"]


def test_an_exact_fingerprint_comes_before_a_smaller_load() -> None:
    rooms = [room(1, Load(100)), room(2, Load(0), "bb")]
    assert instances(rank(rooms, query(fingerprint="aa"), asker="a")) == ["1", "2"]
    assert instances(rank(rooms, query(fingerprint="cc"), asker="a")) == ["2", "1"]


def test_the_same_key_finds_the_same_actor_while_it_is_there() -> None:
    rooms = [room(number, Load(number)) for number in range(20)]
    best = {key: rank(rooms, query(stickiness=key), asker="a")[0] for key in map(str, range(50))}
    assert len({entry.text for entry in best.values()}) > 10
    gone = best["7"]
    left = [entry for entry in rooms if entry is not gone]
    for key, entry in best.items():
        now = rank(left, query(stickiness=key), asker="another")[0]
        assert (now is entry) is (entry is not gone)


def test_equals_are_spread_over_askers() -> None:
    rooms = [room(number) for number in range(4)]
    first = Counter(rank(rooms, query(limit=1), asker=str(n))[0].text for n in range(200))
    assert len(first) == 4
    assert min(first.values()) > 20


def test_at_most_the_limit_is_found() -> None:
    rooms = [room(number) for number in range(9)]
    assert len(rank(rooms, query(limit=3), asker="a")) == 3


@pytest.mark.parametrize("asked", [{}, {"stickiness": "k"}, {"fingerprint": "aa"}])
def test_pages_have_everybody_once_in_the_order_of_one_answer(asked: dict[str, object]) -> None:
    rooms = [room(number, Load(number % 7), "ab"[number % 2] * 2) for number in range(50)]
    whole = rank(rooms, query(limit=50, **asked), asker="a")
    pages: list[Entry] = []
    after = None
    while page := rank(rooms, query(limit=7, after=after, **asked), asker="a"):
        pages += page
        after = read_place(written(place_of(page[-1], query(**asked), asker="a")))
    assert pages == whole


@pytest.mark.parametrize("text", ["1", "a.b.c.d.e", "1.2.3.4"])
def test_what_no_answer_had_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_place(text)
