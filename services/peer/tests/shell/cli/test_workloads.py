"""What a person names on the command line, and what is said when it is not there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.cli.workloads import load_workload
from actr_peer.errors import ConfigError

SOURCE = """
from actr_peer.service import Service

class Plain(Service):
    pass

made = Plain()

class Failing(Service):
    def __init__(self):
        raise OSError("no database\\nat all")

def two():
    return [Plain(), Plain()]

number = 3
"""
FAR = """
import json
from actr_peer.service import Service

def Loaded(): return json.loads("")
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "workload_source.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "workload_broken.py").write_text("import nowhere_to_be_found", encoding="utf-8")
    (tmp_path / "workload_half.py").write_text("x = 1\nx y\n", encoding="utf-8")
    (tmp_path / "workload_far.py").write_text(FAR, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("workload_source", None)


@pytest.mark.parametrize(("name", "count"), [("Plain", 1), ("made", 1), ("two", 2)])
def test_a_workload_is_a_class_an_object_or_a_function(name: str, count: int) -> None:
    services = load_workload(f"workload_source:{name}")
    assert [type(service).__name__ for service in services] == ["Plain"] * count


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("workload_source", "module:name"),
        ("workload_sauce:Plain", "no module 'workload_sauce'"),
        ("workload_source:Plane", "did you mean Plain"),
        ("workload_source:number", "int is no service"),
    ],
    ids=["no name", "no module", "no such name", "no service"],
)
def test_a_workload_that_cannot_be_used_is_refused_with_a_reason(spec: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_workload(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "workload_broken:x",
            "workload_broken.py:1: ModuleNotFoundError: No module named 'nowhere",
        ),
        ("workload_half:x", "workload_half.py:2: SyntaxError: invalid syntax"),
        ("workload_source:Failing", "workload_source.py:11: OSError: no database"),
        ("workload_far:Loaded", "workload_far.py:5: ValueError: Expecting value: line 1"),
    ],
    ids=["import", "syntax", "constructor", "in a library"],
)
def test_what_a_workload_raises_is_one_sentence_with_its_place_and_how_to_see_more(
    caplog: pytest.LogCaptureFixture, spec: str, said: str
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as caught:
        load_workload(spec)
    text = str(caught.value)
    assert text.startswith(said.replace("ValueError", "JSONDecodeError"))
    assert text.endswith(" (ACTR_LOG__LEVEL=debug shows the traceback)")
    assert "\n" not in text
    (record,) = [each for each in caplog.records if each.name == "actr_peer.cli.workloads"]
    assert (record.levelno, record.exc_info is not None) == (logging.DEBUG, True)


def test_a_place_outside_of_the_folder_is_named_whole(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "workload_elsewhere.py").write_text("\n1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(other))
    with pytest.raises(
        ConfigError, match=r"workload_elsewhere\.py:2: ZeroDivisionError: "
    ) as caught:
        load_workload("workload_elsewhere:x")
    assert str(caught.value).startswith(str(other))
