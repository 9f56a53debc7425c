"""connect-es in Node.js calls an actor through the gateway, by both codecs and both HTTPs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from actr_peer.errors import Code
from peer_kit.contracts import compiled
from peer_kit.gateway import CONTRACT, PROBE, gateway, probe, probe_place
from peer_kit.place import Place
from tests.skips import lacking

pytestmark = [pytest.mark.service, pytest.mark.slow]

HERE = Path(__file__).parent / "connect_es"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason=lacking("npm"))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("es")
    program = folder / "program"
    shutil.copytree(HERE, program, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts"], cwd=program, capture_output=True, text=True, check=False
    )
    assert installed.returncode == 0, installed.stderr
    contract = compiled({"probe.proto": CONTRACT})
    described = FileDescriptorSet(file=contract.proto_file)
    (folder / "probe.binpb").write_bytes(described.SerializeToString())
    place = Place(folder)
    probe_place(place)
    with place.signaling(), probe(place), gateway(place) as served:
        said = subprocess.run(
            ["node", "calls.mjs", f"{served.url}/{PROBE}", str(folder / "probe.binpb")],
            cwd=program,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


@needs_npm
@pytest.mark.parametrize("way", ["1.1 proto", "1.1 json", "2 proto", "2 json"])
def test_connect_es_calls_streams_and_is_told_each_code(found: dict[str, Any], way: str) -> None:
    got = found[way]
    assert (got["number"], got["seen"]) == (7, {"color": "red"})
    assert (got["counted"], got["last"], got["summed"]) == (300, 299, 3)
    names = {number: name.casefold() for number, (_, name, _, _) in got["codes"].items()}
    assert names == {str(int(code)): _camel(code) for code in Code}
    assert {tuple(rest) for _, _, *rest in got["codes"].values()} == {("why", "detail")}
    assert all(number == str(code) for number, (code, *_) in got["codes"].items())
    assert got["late"] == Code.DEADLINE_EXCEEDED
    assert got["stopped"] == Code.CANCELLED


def _camel(code: Code) -> str:
    """As the enum of connect-es has it."""
    return "canceled" if code is Code.CANCELLED else code.name.replace("_", "").casefold()
