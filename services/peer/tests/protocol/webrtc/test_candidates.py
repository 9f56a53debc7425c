from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.webrtc.candidates import (
    MAX_EARLY,
    MAX_PER_DESCRIPTION,
    MAX_SDP_CHARACTERS,
    MAX_TRICKLED,
    AddressRule,
    CandidateInbox,
    EarlyCandidates,
    admits,
    clean,
)
from actr_peer.protocol.webrtc.negotiation import Candidate

STRICT = AddressRule()


def text(host: str = "192.0.2.7", port: int = 5000, component: int = 1) -> str:
    return f"f0 {component} udp 2130706431 {host} {port} typ host"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.1.1",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "100.100.100.200",
        "fd00:ec2::254",
        "1b5c.local",
        "example.com",
        "",
    ],
)
def test_an_address_that_could_mean_this_machine_or_its_cloud_is_refused(host: str) -> None:
    assert not STRICT.admits(host)


@pytest.mark.parametrize("host", ["192.0.2.7", "10.0.0.1", "172.17.0.1", "2001:db8::1", "fd00::2"])
def test_public_and_private_addresses_are_tried(host: str) -> None:
    assert STRICT.admits(host)


def test_the_loopback_is_tried_where_the_rule_says_so() -> None:
    rule = AddressRule(allow_loopback=True)
    assert rule.admits("127.0.0.1")
    assert not rule.admits("169.254.169.254")


def test_the_metadata_service_stays_refused_where_link_local_addresses_are_tried() -> None:
    rule = AddressRule(allow_link_local=True)
    assert rule.admits("169.254.1.1")
    assert not rule.admits("169.254.169.254")


@pytest.mark.parametrize(
    "candidate",
    ["", "x", "a b c d e f g h", "f 1 udp x 192.0.2.1 5 typ host", "f 1 udp 1 h 5 typ", "q" * 600],
)
def test_what_is_not_a_candidate_is_the_far_sides_fault(candidate: str) -> None:
    with pytest.raises(RemoteProtocolError):
        admits(STRICT, candidate)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    assert not admits(STRICT, text(port=port))


def test_a_second_component_is_refused() -> None:
    assert not admits(STRICT, text(component=2))


@given(st.text(max_size=200))
def test_any_text_is_admitted_refused_or_a_typed_error(candidate: str) -> None:
    with contextlib.suppress(PeerError):
        admits(STRICT, candidate)


def test_cleaning_takes_out_the_refused_candidates_and_nothing_else() -> None:
    kept = f"a=candidate:{text()}"
    sdp = "\r\n".join(
        [
            "v=0",
            "m=application 9 DTLS/SCTP 5000",
            kept,
            f"a=candidate:{text('127.0.0.1')}",
            f"a=candidate:{text('c0ffee.local')}",
            "a=end-of-candidates",
        ]
    )
    assert clean(STRICT, sdp).splitlines() == [
        "v=0",
        "m=application 9 DTLS/SCTP 5000",
        kept,
        "a=end-of-candidates",
    ]


def test_a_candidate_repeated_in_each_section_of_a_bundle_counts_once() -> None:
    lines = [f"a=candidate:{text()}"] * (MAX_PER_DESCRIPTION + 4)
    assert clean(STRICT, "\n".join(lines)).count("candidate") == len(lines)


def test_too_many_candidates_in_a_description_name_the_limit() -> None:
    lines = [f"a=candidate:{text(port=5000 + n)}" for n in range(MAX_PER_DESCRIPTION + 1)]
    with pytest.raises(LimitError) as caught:
        clean(STRICT, "\n".join(lines))
    assert (caught.value.limit, caught.value.asked) == (16, 17)


@pytest.mark.parametrize("sdp", ["x" * (MAX_SDP_CHARACTERS + 1), "m=audio\n" * 41])
def test_a_description_out_of_bounds_is_refused(sdp: str) -> None:
    with pytest.raises(LimitError):
        clean(STRICT, sdp)


def test_candidates_wait_for_the_description_and_then_pass_in_order() -> None:
    inbox = CandidateInbox(STRICT)
    first, second, third = (Candidate(text(port=5000 + n), "0") for n in range(3))
    assert inbox.receive(first) == []
    assert inbox.receive(second) == []
    assert inbox.described() == [first, second]
    assert inbox.receive(third) == [third]


def test_a_refused_candidate_is_counted_and_goes_nowhere() -> None:
    inbox = CandidateInbox(STRICT)
    assert inbox.receive(Candidate(text("127.0.0.1"))) == []
    assert inbox.described() == []
    assert inbox.refused == 1


def test_the_word_that_there_are_no_more_passes() -> None:
    inbox = CandidateInbox(STRICT)
    inbox.described()
    assert inbox.receive(Candidate("")) == [Candidate("")]


def test_more_trickled_candidates_than_the_bound_are_a_limit_error() -> None:
    inbox = CandidateInbox(STRICT)
    for n in range(MAX_TRICKLED):
        inbox.receive(Candidate(text(port=5000 + n)))
    inbox.receive(Candidate(""))
    with pytest.raises(LimitError):
        inbox.receive(Candidate(text()))


@given(st.lists(st.integers(0, 40), max_size=600))
def test_early_candidates_never_pass_their_bound(keys: list[int]) -> None:
    early = EarlyCandidates[int]()
    for key in keys:
        early.keep(key, Candidate("x"))
        assert len(early) <= MAX_EARLY
    held = len(early)
    assert sum(len(early.take(key)) for key in range(41)) == held
    assert len(early) == 0
    assert held + early.dropped == len(keys)


def test_the_oldest_connections_candidates_go_first_when_full() -> None:
    early = EarlyCandidates[str](limit=3)
    for key in ("old", "old", "new", "new"):
        early.keep(key, Candidate(key))
    assert early.take("old") == []
    assert len(early.take("new")) == 2


@pytest.mark.parametrize(
    "host",
    [
        "fd00:ec2::254",
        "fd00:ec2::254%1",
        "::ffff:169.254.169.254",
        "::ffff:100.100.100.200",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::1",
        "2001:0:7f00:1::1",
        "::1%1",
        "fe80::1%eth0",
        "ff02::1%eth0",
        "fec0::1",
        "0.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "localhost",
        "127.1",
    ],
)
def test_no_form_of_writing_makes_an_address_another_one(host: str) -> None:
    assert not STRICT.admits(host)


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_private_networks_are_reached_unless_the_rule_says_no(host: str) -> None:
    assert STRICT.admits(host)
    assert not AddressRule(allow_private=False).admits(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "64:ff9b::192.0.2.1", "1.1.1.1"])
def test_public_addresses_are_always_reached(host: str) -> None:
    assert AddressRule(allow_private=False).admits(host)


def test_one_connection_has_a_bound_of_its_own_before_it_is_known() -> None:
    early: EarlyCandidates[str] = EarlyCandidates()
    for number in range(MAX_TRICKLED + 3):
        early.keep("a", Candidate(text(port=1000 + number)))
    assert (len(early), early.dropped) == (MAX_TRICKLED + 1, 2)
    assert len(early.take("a")) == MAX_TRICKLED + 1
    assert len(early) == 0


def test_with_no_more_to_come_a_candidate_is_empty_and_is_let_through() -> None:
    inbox = CandidateInbox(STRICT)
    assert inbox.described() == []
    assert inbox.receive(Candidate("")) == [Candidate("")]
