"""Sans-I/O: the sections of a session description, and which of them are refused.

A media section that this side cannot take, or that the far side refuses, costs that section and
not the connection (RFC 8829, 5.3.1). The library below knows no refused section. So it is shown a
description in which each of those is an idle one (:func:`offered`, :func:`answered`), and what it
says of them is put right on the way out (:func:`refusing`). Sections keep their places.

All media shares the transport of the data channels (RFC 9143, BUNDLE): a section outside of it is
refused. What describes that transport is taken from the section that stands for the bundle (its
*tag*, the first), and may be missing in all others (RFC 9143, 7.1.3). The tag itself is never
refused in our answer, for browsers lose the transport with it: nothing is sent there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from actr_peer.errors import RemoteProtocolError

MEDIA = ("audio", "video")
MAX_MID_CHARACTERS = 32

_M_LINE = re.compile(r"m=([!-~]+) (\d{1,5})(?:/\d+)? ([!-~]+) (.+)")
_MID = re.compile(rf"[!-~]{{1,{MAX_MID_CHARACTERS}}}")
_BUNDLE = "a=group:BUNDLE"
_OF_TRANSPORT = (
    "a=ice-ufrag:",
    "a=ice-pwd:",
    "a=fingerprint:",
    "a=setup:",
    "a=candidate:",
    "a=end-of-candidates",
)
_DIRECTIONS = ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")
_IDLE = {
    "audio": ("0", ("a=rtpmap:0 PCMU/8000",)),
    "video": ("96", ("a=rtpmap:96 VP8/90000",)),
}

Takes = Callable[["Section"], bool]
"""Whether this side can use a media section: it has one of the codecs, and all can be read."""


@dataclass(frozen=True, slots=True)
class Section:
    """One ``m=`` line and what belongs to it."""

    kind: str
    port: int
    protocol: str
    formats: str
    lines: tuple[str, ...]
    """Without the ``m=`` line."""

    @property
    def mid(self) -> str:
        """Its name; empty where it has none, or none that can be used."""
        for line in self.lines:
            if line.startswith("a=mid:"):
                return line[6:] if _MID.fullmatch(line[6:]) else ""
        return ""

    @property
    def is_refused(self) -> bool:
        """Whether its sender refuses it, or has stopped it (RFC 8829, 5.2.2)."""
        return self.port == 0 and "a=bundle-only" not in self.lines

    @property
    def is_data(self) -> bool:
        return self.kind == "application" and self.protocol.endswith("DTLS/SCTP")

    @property
    def direction(self) -> str:
        for line in self.lines:
            if line in _DIRECTIONS:
                return line[2:]
        return "sendrecv"

    @property
    def msid(self) -> str:
        """Id of its sender's track (RFC 8830); empty where it says none."""
        for line in self.named("a=msid:"):
            stream, _, track = line[7:].partition(" ")
            return track if stream else ""
        return ""

    def named(self, name: str) -> list[str]:
        return [line for line in self.lines if line.startswith(name)]

    def text(self) -> str:
        """As it stands in a description."""
        first = f"m={self.kind} {self.port} {self.protocol} {self.formats}"
        return "".join(f"{line}\r\n" for line in (first, *self.lines))


@dataclass(frozen=True, slots=True)
class Description:
    session: tuple[str, ...]
    sections: tuple[Section, ...]

    def bundle(self) -> tuple[str, ...]:
        """Names of the sections that share the transport of the data, in order."""
        data = self.sections[self.data()].mid
        for line in self.session:
            if line.startswith(f"{_BUNDLE} ") and data in (names := line.split()[1:]):
                return tuple(names)
        return (data,)

    def msids(self) -> dict[str, str]:
        """mid to track id of what the sender of this sends, as far as it says so."""
        return {
            section.mid: section.msid
            for section in self.sections
            if section.kind in MEDIA and section.msid and section.direction.startswith("send")
        }

    def data(self) -> int:
        """Where the data channels are.

        Raises:
            RemoteProtocolError: If there are none.
        """
        for index, section in enumerate(self.sections):
            if section.is_data and not section.is_refused:
                return index
        raise RemoteProtocolError("a description without data channels")


def parse(sdp: str) -> Description:
    """Split a description into its sections.

    Raises:
        RemoteProtocolError: If it is none.
    """
    session: list[str] = []
    sections: list[tuple[str, list[str]]] = []
    for line in filter(None, sdp.splitlines()):
        if line.startswith("m="):
            sections.append((line, []))
        else:
            (sections[-1][1] if sections else session).append(line)
    return Description(tuple(session), tuple(_section(*each) for each in sections))


def _section(first: str, lines: list[str]) -> Section:
    match = _M_LINE.fullmatch(first)
    if match is None:
        raise RemoteProtocolError(f"not a media section: {first[:80]!r}")
    kind, port, protocol, formats = match.groups()
    return Section(kind, int(port), protocol, formats, tuple(lines))


class Offered(NamedTuple):
    """An offer of the far side, made fit for the library."""

    shown: str
    """With an idle section in place of each that is refused."""
    refused: Mapping[int, Section]
    """Those, by their index."""
    tag: int
    """Which section stands for the bundle."""


def offered(offer: str, takes: Takes) -> Offered:
    """What the library is shown of the far side's ``offer``, and what is to be refused of it.

    Raises:
        RemoteProtocolError: If it is no description, or one without data channels.
    """
    description = parse(offer)
    data, bundle = description.data(), description.bundle()
    refused: dict[int, Section] = {}
    names: set[str] = {description.sections[data].mid}
    for index, section in enumerate(description.sections):
        if index == data:
            continue
        may_stay = section.mid and section.mid in bundle and section.mid not in names
        if may_stay and _can_be_used(section, takes):
            names.add(section.mid)
        else:
            refused[index] = section
    shown = _shown(description, refused, bundle, lambda index: _free_mid(index, names))
    tag = data
    if bundle[0] != description.sections[data].mid:
        named = (i for i, section in enumerate(description.sections) if section.mid == bundle[0])
        tag = next(named, data)
    return Offered(shown, refused, tag)


def answered(answer: str, offer: str, takes: Takes) -> str:
    """What the library is shown of the far side's ``answer`` to ``offer``.

    Raises:
        RemoteProtocolError: If it is no description, has other sections, or refuses the data.
    """
    description, asked = parse(answer), parse(offer)
    if len(description.sections) != len(asked.sections):
        raise RemoteProtocolError(
            f"an answer of {len(description.sections)} sections to {len(asked.sections)}"
        )
    data, bundle = description.data(), description.bundle()
    refused = {
        index: section
        for index, section in enumerate(description.sections)
        if index != data and not (section.mid in bundle and _can_be_used(section, takes))
    }
    return _shown(description, refused, bundle, lambda index: asked.sections[index].mid)


def refusing(answer: str, offer: Offered) -> str:
    """The library's own ``answer`` to ``offer``, with the sections that are refused as such."""
    if not offer.refused:
        return answer
    description = parse(answer)
    sections = list(description.sections)
    for index, theirs in offer.refused.items():
        if index == offer.tag and not theirs.is_refused:
            sections[index] = _kept(theirs, sections[index])
        else:
            sections[index] = _gone(theirs)
    kept = [section.mid for section in sections if section.port]
    return _text(_with_bundle(description.session, kept), sections)


def _gone(theirs: Section) -> Section:
    lines = ("c=IN IP4 0.0.0.0", "a=inactive", *theirs.named("a=mid:"))
    return Section(theirs.kind, 0, theirs.protocol, theirs.formats, lines)


def _kept(theirs: Section, ours: Section) -> Section:
    """A section in which nothing is sent: whatever codecs are theirs may stand there."""
    lines = [line for line in ours.lines if line.startswith(_OF_TRANSPORT)]
    codecs = [line for line in theirs.lines if line.startswith(("a=rtpmap:", "a=fmtp:"))]
    first = ("c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{theirs.mid}", "a=rtcp-mux")
    return Section(theirs.kind, 9, theirs.protocol, theirs.formats, (*first, *codecs, *lines))


def _can_be_used(section: Section, takes: Takes) -> bool:
    return not section.is_refused and section.kind in MEDIA and takes(section)


def _free_mid(index: int, names: set[str]) -> str:
    mid = f"refused{index}"
    while mid in names:
        mid += "-"
    names.add(mid)
    return mid


def _shown(
    description: Description,
    refused: Mapping[int, Section],
    bundle: tuple[str, ...],
    mid_of: Callable[[int], str],
) -> str:
    transport = _transport(description, bundle)
    sections: list[Section] = []
    for index, section in enumerate(description.sections):
        if index in refused:
            sections.append(_idle(refused[index], mid_of(index), transport))
        else:
            sections.append(_on(section, transport))
    return _text(_with_bundle(description.session, [each.mid for each in sections]), sections)


def _transport(description: Description, bundle: tuple[str, ...]) -> list[str]:
    """The lines that describe the shared transport: of the section that stands for the bundle,
    and what that leaves out of the next one that has it."""
    order = {mid: place for place, mid in enumerate(bundle)}
    data = description.sections[description.data()]
    sharing = [s for s in description.sections if s is data or (s.mid and s.mid in order)]
    sharing.sort(key=lambda section: (section.is_refused, order[section.mid]))
    found: list[str] = []
    for name in _OF_TRANSPORT:
        if name == "a=end-of-candidates":  # of the section whose candidates are taken
            continue
        for section in sharing:
            lines = section.named(name)
            if lines:
                found += lines
                if name == "a=candidate:":
                    found += section.named("a=end-of-candidates")
                break
    return found


def _on(section: Section, transport: list[str]) -> Section:
    lines = [line for line in section.lines if not line.startswith(_OF_TRANSPORT)]
    if section.kind in MEDIA and "a=rtcp-mux" not in lines:
        lines.append("a=rtcp-mux")  # a bundle has no other way (RFC 9143, 9.3)
    lines = [line for line in lines if line != "a=bundle-only"]
    return Section(
        section.kind, section.port or 9, section.protocol, section.formats, (*lines, *transport)
    )


def _idle(section: Section, mid: str, transport: list[str]) -> Section:
    kind = section.kind if section.kind in MEDIA else "audio"
    formats, codec = _IDLE[kind]
    lines = ("c=IN IP4 0.0.0.0", "a=inactive", f"a=mid:{mid}", "a=rtcp-mux", *codec, *transport)
    return Section(kind, 9, "UDP/TLS/RTP/SAVPF", formats, lines)


def _with_bundle(session: tuple[str, ...], mids: list[str]) -> Iterator[str]:
    for line in session:
        if not line.startswith("a=group:"):
            yield line
    named = [mid for mid in mids if mid]
    if named:
        yield " ".join((_BUNDLE, *named))


def _text(session: Iterator[str], sections: list[Section]) -> str:
    return "".join(f"{line}\r\n" for line in session) + "".join(each.text() for each in sections)
