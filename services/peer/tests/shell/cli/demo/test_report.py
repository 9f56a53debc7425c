"""What the demo adds up and tells."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from actr_peer.cli.demo.file import PIECE_BYTES, Pieces
from actr_peer.cli.demo.report import (
    EVENT,
    Event,
    Failed,
    Finished,
    MediaSeen,
    MediaSent,
    Progress,
    Ready,
    RowDone,
    lane_name,
    make_plan,
    not_run,
    percentile,
)
from actr_peer.protocol.payload import PayloadType


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([3.0], 50, 3.0),
        ([3.0], 99, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        (list(map(float, range(1, 101))), 99, 99.0),
        (list(map(float, range(1, 101))), 100, 100.0),
    ],
    ids=["none", "one", "one at the top", "the middle of four", "99 of 100", "the largest"],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], percent: float, expected: float | None
) -> None:
    assert percentile(values, percent) == expected


@pytest.mark.parametrize(
    "event",
    [
        Ready(id="demo:room@1:default"),
        Progress(payload_type="RPC_SIGNAL", done=1, total=2),
        RowDone(row=not_run(PayloadType.RPC_SIGNAL, "not run")),
        MediaSent(track_id="camera", wire=None, frames=((1, 2),), bytes=3),
        MediaSeen(track_id="camera", kind="video", codec="VP8", frames=(), bytes=0),
        Failed(error="BrokenError", text="gone"),
        Finished(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_event_is_one_line_and_comes_back_as_it_was(event: Event) -> None:
    line = event.model_dump_json()
    assert "\n" not in line
    assert EVENT.validate_json(line) == event


def test_a_line_with_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json('{"event": "party"}')


def test_the_plan_takes_the_size_of_the_users_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * 100)
    plan = make_plan("demo:room@1:default", wire="both", size="small", file=path)
    assert (plan.file, plan.file_bytes) == (str(path), 100)


def test_each_payload_type_says_what_carries_it() -> None:
    assert [lane_name(payload_type) for payload_type in PayloadType] == [
        "channel 0",
        "channel 1",
        "channel 2",
        "channel 3",
        "RTP track",
    ]


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_a_file_goes_out_whole_in_pieces_behind_a_header(tmp_path: Path, size: int) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"x" * size)
    pieces = Pieces(str(path), total_bytes=size)
    header, *rest = list(pieces)
    assert (header.header.name, header.header.size_bytes) == ("notes.txt", size)
    assert b"".join(piece.data for piece in rest) == b"x" * size
    assert all(len(piece.data) <= PIECE_BYTES for piece in rest)
    assert pieces.sha256 == hashlib.sha256(b"x" * size).hexdigest()


def test_the_made_up_file_is_the_same_each_time() -> None:
    first, second = (Pieces(None, total_bytes=200_000) for _ in range(2))
    assert [piece.data for piece in first] == [piece.data for piece in second]
    assert first.sha256 == second.sha256
    assert first.sent_bytes == 200_000
