"""The comparison itself: what it must find, on records made by hand."""

from __future__ import annotations

from pathlib import Path

from lab.record import Record, RecordFile, compare, oldest, read, silences


def records(*numbers: int, lane: str = "rpc", step: float = 1.0) -> list[Record]:
    """Arrivals one after the other, a second apart, each half a second old."""
    return [
        Record(lane, number, at * step, at * step - 0.5) for at, number in enumerate(numbers, 1)
    ]


def test_what_arrives_once_and_in_order_is_clean() -> None:
    verdict = compare(records(1, 2, 3), records(1, 2, 3), "rpc")
    assert verdict.is_clean
    assert (verdict.accepted, verdict.arrived) == (3, 3)


def test_what_never_arrives_is_lost_and_named() -> None:
    verdict = compare(records(1, 2, 3), records(1, 3), "rpc")
    assert (verdict.lost, verdict.missing) == (1, [2])


def test_what_arrives_again_is_doubled_and_not_out_of_order() -> None:
    verdict = compare(records(1, 2), records(1, 2, 1), "rpc")
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 1, 0)


def test_what_arrives_after_a_larger_number_is_out_of_order() -> None:
    assert compare(records(1, 2, 3), records(1, 3, 2), "rpc").out_of_order == 1


def test_what_arrives_and_was_never_noted_as_accepted_is_no_loss() -> None:
    assert compare(records(1), records(1, 2), "rpc").is_clean


def test_lanes_are_compared_apart() -> None:
    arrived = [*records(1, lane="rpc"), *records(1, lane="signal")]
    assert compare(records(1), arrived, "rpc").doubled == 0


def test_a_silence_is_the_longest_one_that_begins_after_its_cut() -> None:
    arrived = records(*range(10), step=0.1)  # until 1.0, then nothing
    assert [round(gap, 1) for gap in silences(arrived, "rpc", [0.35, 0.8], 3.0)] == [0.1, 2.0]


def test_the_age_is_the_largest_at_delivery() -> None:
    assert oldest(records(1, 2), "rpc") == 0.5
    assert oldest([], "rpc") == 0.0


def test_a_second_process_of_a_name_goes_on_with_its_records(tmp_path: Path) -> None:
    for number in (1, 2):
        records = RecordFile(tmp_path / "a.arrived")
        records.write(Record("stream", number, 2.0, 1.0))
        records.close()
    assert [record.number for record in read(tmp_path / "a.arrived")] == [1, 2]


def test_a_record_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.arrived"
    records = RecordFile(path)
    records.write(Record("rpc", 1, 2.0, 1.0))
    path.write_bytes(path.read_bytes() + b"\x00\x00")
    assert len(read(path)) == 1
