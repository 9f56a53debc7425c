"""What a person names on the command line, and what is said when it is not there."""

from __future__ import annotations

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

def two():
    return [Plain(), Plain()]

number = 3
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "workload_source.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "workload_broken.py").write_text("import nowhere_to_be_found", encoding="utf-8")
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


def test_an_import_that_fails_inside_a_module_is_not_taken_for_a_missing_module() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_workload("workload_broken:x")
