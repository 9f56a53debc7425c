"""Running protoc from PyPI: what is said when it is not there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from actr_peer.cli.codegen import compiler
from actr_peer.cli.codegen.names import Language
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


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One contract in a folder of its own, with no tool on the PATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "a.proto"
    file.write_text('syntax = "proto3"; message A {} service S { rpc R(A) returns (A); }')
    return file


def test_without_the_tool_for_messages_it_says_what_to_install(contract: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        compiler.generate_modules([contract], (), Language.TYPESCRIPT, contract.parent / "out")
    assert str(caught.value) == (
        "protoc-gen-es, which makes the messages in TypeScript, is neither in a node_modules of "
        f"{contract.parent / 'out'} or above nor on the PATH: "
        "npm install --save-dev @bufbuild/protoc-gen-es"
    )


@pytest.mark.parametrize("at", ["node_modules/.bin", "page/node_modules/.bin"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho no >&2\nexit 3\n", "protoc-gen-es failed:\nno"),
        ("#!/nowhere\n", "protoc-gen-es cannot be run: "),
    ],
)
def test_the_tool_of_the_nearest_package_is_run_and_its_faults_are_told(
    contract: Path, at: str, text: str, said: str
) -> None:
    tool = contract.parent / at / "protoc-gen-es"
    tool.parent.mkdir(parents=True)
    tool.write_text(text)
    tool.chmod(0o755)
    with pytest.raises(ConfigError) as caught:
        compiler.generate_modules([contract], (), Language.TYPESCRIPT, contract.parent / "page/src")
    assert str(caught.value).startswith(said)
