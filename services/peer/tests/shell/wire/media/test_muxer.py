from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.wire.media.muxer import Muxer, check

pytestmark = pytest.mark.service  # it writes files


def first(data: bytes, codec: str = "VP8") -> MediaFrame:
    return MediaFrame(
        data=data,
        timestamp=0,
        codec=codec,
        kind="video",
        track_id="x",
        keyframe=True,
        first_sequence=0,
        last_sequence=0,
    )


@pytest.mark.parametrize("data", [b"\x10", b"\x10\x02\x00\x9d\x01\x2a\0\0\0\0", b"\x10" * 40])
def test_a_track_that_begins_with_no_picture_is_a_typed_error(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(BrokenError, match="no picture of VP8"):
        Muxer(tmp_path / "x.mkv", [first(data)])


def test_a_file_that_cannot_be_is_told_of_before_anything_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dir.mkv").mkdir()
    for path in (tmp_path / "nowhere" / "x.mkv", tmp_path / "dir.mkv"):
        with pytest.raises(ConfigError, match="takes no file"):
            check(path)
    check(tmp_path / "x.mkv")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ConfigError, match="takes no file"):
        check(tmp_path / "x.mkv")
