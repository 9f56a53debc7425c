"""The soak's own judgement: what it must find, and what it must let pass."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.soak.notes import TABLE, Counts, Notes, compare
from tests.soak.vitals import JUDGED_SECONDS, Life, slope, trends, windows


def judged(
    folder: Path,
    kind: str,
    notes: Sequence[tuple[int, str]],
    effects: Sequence[int],
    *,
    steady: Sequence[str] = ("a", "b"),
) -> Counts:
    """The counts of one kind of call of ``a`` to ``b``; effects are numbered from 1."""
    written = Notes(folder / "a.notes")
    for number, outcome in notes:
        written.write(kind, "b", number, "begun")
        written.write(kind, "b", number, outcome)
    written.close()
    with closing(sqlite3.connect(folder / "b.db")) as database, database:
        database.execute(TABLE)
        for call in effects:
            row = ("a", kind, call)
            database.execute("INSERT INTO effects (caller, kind, call) VALUES (?, ?, ?)", row)
    return compare(folder, ["b"], ["a"], steady)[kind]


def test_answered_calls_with_one_effect_each_are_clean(tmp_path: Path) -> None:
    counts = judged(tmp_path, "call", [(1, "answered 1"), (2, "answered 2")], [1, 2])
    assert counts.is_clean
    assert (counts.begun, counts.answered) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "notes", "effects", "fault"),
    [
        ("call", [(1, "answered 1")], [], "lost"),
        ("call", [(1, "hung")], [1], "lost"),
        ("call", [(1, "answered 1")], [1, 1], "doubled"),
        ("call", [(1, "answered 2"), (2, "answered 2")], [1, 2], "wrong"),
        ("call", [(1, "answered 2"), (2, "answered 1")], [2, 1], "out_of_order"),
        ("tell", [(1, "accepted")], [], "lost"),
        ("streams", [(1, "wrong upload")], [], "wrong"),
        ("items", [(1, "accepted")], [], "lost"),
        ("durable", [(1, "begun"), (2, "answered 1")], [2], "lost"),
        ("durable", [(1, "refused INTERNAL")], [1], "lost"),
    ],
)
def test_a_fault_is_found(
    tmp_path: Path, kind: str, notes: list[tuple[int, str]], effects: list[int], fault: str
) -> None:
    counts = judged(tmp_path, kind, notes, effects)
    assert getattr(counts, fault) == 1
    assert not counts.is_clean


def test_a_refused_call_may_have_an_effect_or_none(tmp_path: Path) -> None:
    notes = [(1, "refused BrokenError"), (2, "refused DeadlineError")]
    assert judged(tmp_path, "call", notes, [2]).is_clean


def test_the_counts_are_a_json_document(tmp_path: Path) -> None:
    row = judged(tmp_path, "call", [(1, "refused BrokenError")], []).row()
    assert json.loads(json.dumps(row)) == row
    assert (row["refused"], row["errors"]) == (1, {"BrokenError": 1})


def test_a_tell_may_end_with_the_process_that_had_accepted_it(tmp_path: Path) -> None:
    assert judged(tmp_path, "tell", [(1, "accepted")], [], steady=["b"]).is_clean


def life(hourly: float, *, seconds: float, noise: float = 0.0) -> Life:
    """A process whose memory grows so much in an hour, with a peak now and then."""
    made = Life("p0", 0.0)
    for number in range(int(seconds / 10)):
        at = number * 10.0
        peak = noise if number % 7 == 0 else 0.0
        grown = hourly * at / 3600 + peak
        others = {"descriptors": 9, "tasks": 30}
        made.add(at, {"rss_mib": 100 + grown, "blocks": 500_000 + 20_000 * grown, **others})
    return made


def test_growth_of_two_mebibytes_an_hour_is_found_under_peaks() -> None:
    found = {t.measure: t for t in trends(life(2.0, seconds=2400, noise=40), since=0)}
    assert found["rss_mib"].per_hour == pytest.approx(2.0, abs=0.1)
    assert not found["rss_mib"].is_flat
    assert not found["blocks"].is_flat
    assert found["descriptors"].is_flat


def test_peaks_alone_are_flat() -> None:
    assert all(trend.is_flat for trend in trends(life(0.0, seconds=2400, noise=40), since=0))


def test_a_short_run_is_judged_by_gross_growth_only() -> None:
    steep = life(60.0, seconds=JUDGED_SECONDS / 2)
    assert all(trend.is_flat for trend in trends(steep, since=0))
    assert not all(t.is_flat for t in trends(life(900.0, seconds=JUDGED_SECONDS / 2), since=0))


def test_windows_keep_the_least_value_of_each_minute() -> None:
    assert windows([(1, 5.0), (30, 3.0), (59, 4.0), (61, 9.0)]) == [(30, 3.0), (61, 9.0)]


def test_the_slope_is_not_moved_by_an_outlier() -> None:
    assert slope([(0, 1.0), (1, 2.0), (2, 300.0), (3, 4.0), (4, 5.0)]) == pytest.approx(1.0)
