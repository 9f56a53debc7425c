"""``make fuzz`` has a target for each parser of strangers' bytes, and finds what is planted."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import __main__ as program
from tests.fuzz import corpus, parsers
from tests.fuzz.coverage import ROOT, Lines
from tests.fuzz.engine import Fuzzer, Result, Target
from tests.fuzz.mutation import Form, Mutator, apart, read_fields, series, write_fields
from tests.fuzz.parsers import EXCEPTIONS, Ran
from tests.fuzz.table import TARGETS

BY_NAME = {target.name: target for target in TARGETS}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


# Every parser has a target


def test_each_function_that_takes_bytes_apart_runs_in_a_target_or_has_its_reason() -> None:
    ran = Ran()
    for target in TARGETS:
        ran.replay(target)
    wanted = {name for name in parsers.parsers() if not parsers.reason(name)}
    assert wanted - ran.names == set(), "give it a target in tests/fuzz, or say why it needs none"


def test_each_reason_is_of_a_function_that_is_there() -> None:
    known = list(parsers.parsers())
    idle = [name for name in EXCEPTIONS if not any(each.startswith(name) for each in known)]
    assert idle == []


def test_a_function_that_takes_bytes_apart_is_seen_wherever_it_is() -> None:
    known = set(parsers.parsers())
    assert "actr_peer/protocol/session/frames.py:_fragment" in known
    assert "actr_signaling/protocol/relay/parcels.py:_items" in known


# The corpus


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_each_input_of_the_corpus_ends_as_it_may(name: str) -> None:
    target = BY_NAME[name]
    inputs = [*target.seeds(), *corpus.of(name)]
    assert inputs
    for data in inputs:
        with contextlib.suppress(*target.allowed):
            target.run(data)


def test_each_input_of_the_corpus_is_of_a_target() -> None:
    assert {entry.target for entry in corpus.entries()} - set(BY_NAME) == set()


def test_the_corpus_in_the_tree_is_small() -> None:
    assert sum(path.stat().st_size for path in corpus.FOLDER.iterdir()) < 400_000


# What is planted is found


def planted(run: Callable[[bytes], object], **other: object) -> Target:
    """A target with a fault."""
    said: dict[str, object] = {"allowed": (ValueError,), "seeds": lambda: [b"\x04data"]}
    return Target(name="planted", run=run, **{**said, **other})  # type: ignore[arg-type]


def found(target: Target, inputs: int, *, seed: int = 1) -> list[str]:
    """What the finds of a run are, in a word each."""
    finds = Fuzzer(target, seed=seed).run(inputs=inputs).finds
    return [find.what.partition(":")[0] for find in finds]


def behind_a_length(data: bytes) -> int:
    """A length in its first byte, which is believed."""
    if not data:
        raise ValueError("empty")
    return data[data[0]]


def test_an_index_behind_a_length_field_is_found() -> None:
    assert found(planted(behind_a_length), 500) == ["IndexError"]


def test_an_error_that_a_field_of_protobuf_hides_is_found() -> None:
    message = write_fields([(1, 2, write_fields([(3, 0, 7)])), (2, 2, b"text")])

    def run(data: bytes) -> None:
        fields = read_fields(data)
        if fields is None:
            raise ValueError("none")
        for number, _, value in fields:
            inner = read_fields(value) if isinstance(value, bytes) and number == 1 else None
            for _, kind, within in inner or ():
                if kind == 0 and within == 2**63:
                    raise KeyError(number)

    target = planted(run, seeds=lambda: [message], forms=(Form.PROTOBUF,))
    assert found(target, 4000) == ["KeyError"]


def test_an_error_in_the_third_of_three_messages_is_found() -> None:
    def run(data: bytes) -> None:
        state = 0
        for message in apart(data):
            state += message[:1] == bytes([state])
            if state == 3 and len(message) > 40:
                raise ZeroDivisionError

    target = planted(
        run, seeds=lambda: [series([b"\0a", b"\1b", b"\2c", b"x"])], forms=(Form.SERIES,)
    )
    assert found(target, 4000) == ["ZeroDivisionError"]


def test_a_list_that_grows_with_each_input_is_found() -> None:
    kept: list[bytes] = []
    target = planted(lambda data: kept.append(data + b"."))
    assert found(target, 100) == ["growth"]


def test_what_is_bounded_and_fills_up_is_no_find() -> None:
    kept: list[bytes] = []

    def run(data: bytes) -> None:
        kept.append(data + b".")
        del kept[:-256]

    assert found(planted(run), 100) == []


def test_an_input_that_costs_its_square_is_found() -> None:
    def run(data: bytes) -> int:
        count = 0
        for _ in data:
            for _ in data:
                count += 1
        return count

    target = planted(run, seeds=lambda: [bytes(40)], steps=(1_000, 60), most=300)
    assert found(target, 200) == ["TooManyStepsError"]


def test_what_no_line_counts_ends_by_the_processor_s_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.fuzz.engine.HANG", 0.2)

    def run(data: bytes) -> None:
        if len(data) > 9:
            while True:
                pass

    target = planted(run, steps=(10**12, 0))
    assert found(target, 500) == ["HangError"]


def test_the_same_seed_finds_the_same_and_another_one_tries_other_inputs() -> None:
    seen: dict[int, list[bytes]] = {}
    for run, seed in enumerate((1, 1, 2)):
        inputs = seen[run] = []
        Fuzzer(planted(inputs.append), seed=seed).run(inputs=200)
        del inputs[200:]
    assert seen[0] == seen[1] != seen[2]


def test_a_find_is_made_short() -> None:
    target = planted(behind_a_length, seeds=lambda: [b"\xf0" + bytes(200)])
    (find,) = Fuzzer(target, seed=1).run(inputs=1).finds
    assert len(find.data) == 1


def test_a_find_says_where_it_was_raised() -> None:
    result: Result = Fuzzer(planted(behind_a_length), seed=1).run(inputs=500)
    assert not result.is_good
    assert __file__ in result.finds[0].where


def test_an_input_that_reaches_a_new_line_is_kept() -> None:
    target = BY_NAME["peer.session-frame"]
    result = Fuzzer(
        Target(name="x", run=target.run, seeds=lambda: [b"\x04\0\0\0\1"], allowed=target.allowed)
    ).run(inputs=3000)
    assert result.new_lines > 0
    assert result.corpus > 1


def test_lines_of_two_files_that_are_alike_are_told_apart() -> None:
    text = "def same():\n    return 1\n"
    functions = []
    for name in ("one.py", "two.py"):
        space: dict[str, Callable[[], int]] = {}
        exec(compile(text, f"{ROOT}/{name}", "exec"), space)
        functions.append(space["same"])
    seen = Lines((str(ROOT),))
    counts = []
    for function in functions:
        with seen.watching():
            function()
        counts.append(seen.count)
    assert 0 < counts[0] < counts[1]


# What is told


def test_a_find_is_a_file_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    result = Fuzzer(planted(behind_a_length), seed=1).run(inputs=500)
    (line,) = program.write_finds(result, tmp_path)
    (file,) = tmp_path.iterdir()
    assert f'make fuzz TARGET=planted ARGS="--replay {file}"' in line
    with pytest.raises(IndexError):
        program.replay([planted(behind_a_length)], file)


def test_the_table_says_of_each_target_what_became_of_it() -> None:
    result = Fuzzer(planted(behind_a_length), seed=1).run(inputs=500)
    heading, row = program.table([program.row(result)])
    assert heading.split() == [
        "target",
        "inputs",
        "a",
        "second",
        "lines",
        "new",
        "corpus",
        "result",
    ]
    assert row.split()[0] == "planted"
    assert row.endswith("1 found")


# How inputs are made


@pytest.mark.parametrize("form", list(Form))
def test_whatever_an_input_is_it_can_be_changed(form: Form) -> None:
    mutator = Mutator(Random(1), (form,), most=200)
    made = {mutator.mutate(data, b"other") for data in (b"", b"\xff", b"{}", b"\0\1a") * 50}
    assert len(made) > 50
    assert max(map(len, made)) <= 200


def test_fields_are_written_as_they_were_read() -> None:
    for data in corpus.hexes("signaling", "requests", "replies"):
        fields = read_fields(data)
        assert fields is not None
        assert write_fields(fields) == data


def test_a_series_is_taken_apart_as_it_was_put_together() -> None:
    assert apart(series([b"", b"a", b"bc"])) == [b"", b"a", b"bc"]
