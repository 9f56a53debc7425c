"""A library that may have moved what is used of it is refused at the import, in a sentence."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError

import pytest

from actr_peer.wire.private import check
from actr_peer.wire.webrtc.aiortc import private as aiortc
from actr_peer.wire.websocket import private as picows

WANTED = {**aiortc.WANTED, **picows.WANTED}


class Part:
    def used(self) -> None: ...


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("found", ["0.1.0", "1.160.0", "2.0", "20.3", None])
def test_a_library_of_another_version_is_refused_in_a_sentence(
    name: str, found: str | None
) -> None:
    def installed(asked: str) -> str:
        if asked != name:
            return WANTED[asked] + ".0"
        if found is None:
            raise PackageNotFoundError(asked)
        return found

    said = f"{name} {found or 'no version'} is installed and {WANTED[name]}.* is wanted"
    with pytest.raises(ImportError, match=re.escape(said)):
        check(WANTED, {}, installed)


@pytest.mark.parametrize("patch", ["", ".0", ".17"])
def test_a_patch_may_differ(patch: str) -> None:
    check({"picows": "2.3"}, {Part: ["used"]}, lambda name: f"2.3{patch}")


def test_a_library_without_a_part_that_is_used_is_refused_by_its_name() -> None:
    said = r"picows 2\.3\.9 has not what actr-peer uses: Part\._x;"
    with pytest.raises(ImportError, match=said):
        check({"picows": "2.3"}, {Part: ["used", "_x"]}, lambda name: "2.3.9")
