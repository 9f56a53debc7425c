"""Running protoc from PyPI: what is said when it is not there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from actr_peer.cli.codegen import compiler
from actr_peer.errors import ConfigError


@pytest.mark.parametrize(
    ("module", "package"), [("grpc_tools", "grpcio-tools"), ("mypy_protobuf", "mypy-protobuf")]
)
def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, package: str
) -> None:
    file = tmp_path / "a.proto"
    file.write_text('syntax = "proto3";')
    monkeypatch.setattr(
        compiler, "find_spec", lambda name: None if name == module else find_spec(name)
    )
    with pytest.raises(ConfigError) as caught:
        compiler.generate_modules([file])
    assert str(caught.value) == f"{package} is not installed: pip install 'actr-peer[gen]'"
