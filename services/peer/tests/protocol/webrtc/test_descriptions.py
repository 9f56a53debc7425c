"""Sections of descriptions, as browsers write them: recorded from Chromium, and written by hand."""

from __future__ import annotations

import random
import re

import pytest

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.webrtc.descriptions import (
    Description,
    Section,
    answered,
    offered,
    parse,
    refusing,
)
from peer_kit.webrtc.offers import MAX_BUNDLE, PLAIN, VP9, mutated

TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:", "a=candidate:")


def everything(section: Section) -> bool:
    return True


def no_vp9(section: Section) -> bool:
    return "VP9" not in section.text() or "VP8" in section.text()


def replaced(sdp: str, index: int, text: str) -> str:
    parts = re.split(r"(?=^m=)", sdp, flags=re.M)
    parts[index + 1] = text
    return "".join(parts)


def sections(sdp: str) -> tuple[Section, ...]:
    return parse(sdp).sections


@pytest.mark.parametrize("sdp", [PLAIN, MAX_BUNDLE, VP9])
def test_a_description_comes_apart_and_together_again(sdp: str) -> None:
    description = parse(sdp)
    text = "".join(f"{line}\r\n" for line in description.session)
    assert text + "".join(section.text() for section in description.sections) == sdp
    assert [section.mid for section in description.sections] == ["0", "1", "2"]
    assert description.data() == 2
    assert description.bundle() == ("0", "1", "2")


@pytest.mark.parametrize("sdp", [PLAIN, MAX_BUNDLE])
def test_what_can_be_used_keeps_its_place_and_has_the_transport_of_the_tag(sdp: str) -> None:
    offer = offered(sdp, everything)
    assert offer.refused == {}
    tag, *others = sections(offer.shown)
    assert tag.named("a=candidate:") == sections(sdp)[0].named("a=candidate:")
    for section in others:
        for name in TRANSPORT:
            assert section.named(name) == tag.named(name) != []
    assert all(section.port for section in (tag, *others))


def test_a_section_in_no_codec_of_ours_is_idle_for_the_library_and_refused_in_the_answer() -> None:
    offer = offered(VP9, no_vp9)
    assert list(offer.refused) == [1]
    audio, video, data = sections(offer.shown)
    assert (video.kind, video.direction, video.formats) == ("video", "inactive", "96")
    assert "VP9" not in offer.shown
    assert video.named("a=ice-ufrag:") == audio.named("a=ice-ufrag:") == data.named("a=ice-ufrag:")
    answer = refusing(offer.shown, offer)
    assert sections(answer)[1] == Section(
        "video",
        0,
        "UDP/TLS/RTP/SAVPF",
        "98 100",
        ("c=IN IP4 0.0.0.0", "a=inactive", "a=mid:1"),
    )
    assert parse(answer).bundle() == ("0", "2")
    assert sections(answer)[0] == audio


def test_the_tag_of_the_bundle_is_kept_for_its_transport_and_nothing_is_sent_there() -> None:
    swapped = VP9.replace("BUNDLE 0 1 2", "BUNDLE 1 0 2")
    offer = offered(swapped, no_vp9)
    assert offer.tag == 1
    video = sections(refusing(offer.shown, offer))[1]
    assert (video.port, video.mid, video.direction) == (9, "1", "inactive")
    assert video.formats == "98 100"
    assert "a=rtpmap:98 VP9/90000" in video.lines
    assert video.named("a=ice-ufrag:") == sections(VP9)[1].named("a=ice-ufrag:")


@pytest.mark.parametrize(
    "text",
    [
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:1\r\n",  # stopped
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:7\r\n",  # not in the bundle
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",  # without a name
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n",  # with one that is taken
        "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n",  # with that of the data
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{'x' * 33}\r\n",
        "m=text 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n",
        "m=application 9 UDP/BFCP 1\r\na=mid:1\r\n",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n",  # more of the same
    ],
)
def test_a_section_that_cannot_be_used_costs_itself(text: str) -> None:
    sdp = replaced(PLAIN, 1, text)
    if "DTLS/SCTP" in text:  # the first one is the data's
        sdp = replaced(PLAIN, 2, sections(PLAIN)[2].text() + text)
    offer = offered(sdp, everything)
    (index,) = offer.refused
    shown = sections(offer.shown)[index]
    assert shown.direction == "inactive"
    assert shown.port
    assert len({section.mid for section in sections(offer.shown)}) == len(sections(sdp))
    answer = sections(refusing(offer.shown, offer))[index]
    assert answer.port == 0
    assert (answer.kind, answer.formats) == (
        sections(sdp)[index].kind,
        sections(sdp)[index].formats,
    )


def test_a_section_of_a_bundle_without_a_port_of_its_own_is_not_refused() -> None:
    sdp = MAX_BUNDLE.replace("m=video 9 ", "m=video 0 ").replace(
        "a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n"
    )
    video = re.split(r"(?=^m=)", sdp, flags=re.M)[2]
    bare = re.sub(r"a=(?:ice-.*|fingerprint:.*|setup:.*|rtcp-mux)\r\n", "", video)
    offer = offered(sdp.replace(video, bare), everything)
    assert offer.refused == {}
    shown = sections(offer.shown)[1]
    assert shown.port == 9
    assert "a=rtcp-mux" in shown.lines
    assert shown.named("a=setup:") == ["a=setup:actpass"]


def test_data_alone_needs_no_bundle_and_no_name() -> None:
    data = sections(PLAIN)[2]
    lines = "".join(f"{line}\r\n" for line in data.lines if not line.startswith("a=mid"))
    sdp = f"v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{lines}"
    offer = offered(sdp, everything)
    assert offer.refused == {}
    assert "BUNDLE" not in offer.shown


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0\r\n",
        "no description",
        replaced(PLAIN, 2, ""),
        replaced(PLAIN, 2, "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"),
        PLAIN.replace("m=video", "m= video"),
        PLAIN.replace("m=audio", "m=audio x"),
    ],
)
def test_what_is_no_description_of_data_channels_breaks_the_rules(sdp: str) -> None:
    with pytest.raises(RemoteProtocolError):
        offered(sdp, everything)
    with pytest.raises(RemoteProtocolError):
        answered(sdp, PLAIN, everything)


def test_an_answer_may_refuse_all_but_the_data() -> None:
    answer = PLAIN.replace("actpass", "active").replace("BUNDLE 0 1 2", "BUNDLE 2")
    for index, kind in enumerate(("audio", "video")):
        answer = replaced(answer, index, f"m={kind} 0 UDP/TLS/RTP/SAVPF 0\r\n")
    shown = answered(answer, PLAIN, everything)
    audio, video, data = sections(shown)
    assert [section.direction for section in (audio, video)] == ["inactive", "inactive"]
    assert [section.mid for section in (audio, video, data)] == ["0", "1", "2"]
    assert audio.named("a=setup:") == data.named("a=setup:") == ["a=setup:active"]


def test_an_answer_of_other_sections_breaks_the_rules() -> None:
    with pytest.raises(RemoteProtocolError, match="2 sections to 3"):
        answered(replaced(PLAIN, 1, ""), PLAIN, everything)


def test_the_track_that_a_browser_names_is_known() -> None:
    assert {*parse(PLAIN).msids()} == {"0", "1"}
    assert all(len(track) == 36 for track in parse(PLAIN).msids().values())
    silent = PLAIN.replace("a=sendonly", "a=recvonly")
    assert parse(silent).msids() == {}


@pytest.mark.parametrize("sdp", [PLAIN, MAX_BUNDLE, VP9])
def test_a_description_with_anything_wrong_in_it_is_used_or_refused(sdp: str) -> None:
    dice = random.Random(1)
    for _ in range(400):
        wrong = mutated(sdp, dice)
        try:
            offer = offered(wrong, no_vp9)
        except RemoteProtocolError:
            continue
        _hold(offer.shown, wrong)
        answer = parse(refusing(offer.shown, offer))
        assert {each.mid for each in answer.sections if each.port} == set(answer.bundle())
        try:
            shown = answered(wrong, sdp, no_vp9)
        except RemoteProtocolError:
            continue
        _hold(shown, wrong)


def _hold(shown: str, wrong: str) -> None:
    description: Description = parse(shown)
    assert len(description.sections) == len(parse(wrong).sections)
    assert all(section.port for section in description.sections)
    transports = [
        [line for line in section.lines if line.startswith(TRANSPORT)]
        for section in description.sections
    ]
    assert all(each == transports[0] for each in transports), "one transport for all"


def test_a_section_says_which_way_it_goes_and_whose_track_it_is_or_the_default() -> None:
    plain = Section("audio", 9, "UDP/TLS/RTP/SAVPF", "111", ())
    assert (plain.direction, plain.msid) == ("sendrecv", "")
    said = Section(
        "audio", 9, "UDP/TLS/RTP/SAVPF", "111", ("a=recvonly", "a=msid:stream track", "a=msid:x")
    )
    assert (said.direction, said.msid) == ("recvonly", "track")
    assert Section("audio", 9, "", "", ("a=msid: track",)).msid == ""


def test_a_name_for_a_refused_section_is_one_that_nobody_has() -> None:
    first = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:refused1\r\n"
    taken = PLAIN.replace("BUNDLE 0", "BUNDLE refused1").replace("a=mid:0", "a=mid:refused1")
    offer = offered(replaced(taken, 1, first), everything)
    mids = [section.mid for section in sections(offer.shown)]
    assert len(set(mids)) == len(mids)
    assert "refused1-" in mids
