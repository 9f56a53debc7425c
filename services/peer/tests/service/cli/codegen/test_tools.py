"""The generator as people run it: with protoc, grpcio-tools and buf, and as ``actr gen``.

protoc and buf are not among the project's own tools: their tests run where they are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from peer_kit import ROOT
from peer_kit.contracts import INCLUDES, chat
from tests.skips import lacking

pytestmark = pytest.mark.service

PROTO = ROOT / "proto"
GOLDEN = ROOT / "services/peer/tests/golden"
TYPED_API = ROOT / "services/peer/tests/typed_api"
PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
PYRIGHT = shutil.which("basedpyright", path=PATH) or shutil.which("pyright", path=PATH)


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PATH": PATH},
        timeout=110,
        check=False,
    )


def actr(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "actr_peer", *arguments, cwd=cwd)


def modules(root: Path) -> dict[str, str]:
    """Generated modules below ``root``: path to text."""
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for pattern in ("*_pb2.py", "*_pb2.pyi", "*_actr.py")
        for path in root.rglob(pattern)
    }


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool, path=PATH) is None, reason=lacking(tool))


def test_the_committed_modules_are_what_the_generators_write_today(tmp_path: Path) -> None:
    made = run(ROOT / "tools/generate", tmp_path)
    assert made.returncode == 0, made.stderr
    fresh, committed = modules(tmp_path), modules(PROTO)
    assert fresh.keys() == committed.keys()
    assert [path for path in fresh if fresh[path] != committed[path]] == []


def test_grpcio_tools_runs_the_plugin(tmp_path: Path) -> None:
    compiler = (sys.executable, "-m", "grpc_tools.protoc")
    made = run(*compiler, "-I.", f"--actr_out={tmp_path}", "actr/demo/chat.proto", cwd=PROTO)
    assert made.returncode == 0, made.stderr
    assert modules(tmp_path) == {
        "actr/demo/chat_actr.py": (PROTO / "actr/demo/chat_actr.py").read_text()
    }


def test_the_plugin_says_what_it_wanted_to_read() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "actr_peer.cli.codegen"],
        input=b"junk",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(b"protoc-gen-actr: standard input holds no CodeGenerator")


@needs("protoc")
def test_protoc_runs_the_plugin(tmp_path: Path) -> None:
    command = ("protoc", "-I.", *INCLUDES, f"--actr_out={tmp_path}", "actr/demo/chat.proto")
    made = run(*command, cwd=PROTO)
    assert made.returncode == 0, made.stderr
    assert modules(tmp_path) == {
        "actr/demo/chat_actr.py": (PROTO / "actr/demo/chat_actr.py").read_text()
    }


BUF_GEN = """
version: v2
plugins:
  - local: protoc-gen-actr
    out: gen
"""


@needs("buf")
def test_buf_runs_the_plugin_and_reports_its_refusals(tmp_path: Path) -> None:
    shutil.copytree(PROTO, tmp_path / "proto")
    (tmp_path / "buf.yaml").write_text("version: v2\nmodules:\n  - path: proto\n")
    (tmp_path / "buf.gen.yaml").write_text(BUF_GEN)
    made = run("buf", "generate", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    text = (PROTO / "actr/demo/chat_actr.py").read_text()
    assert modules(tmp_path / "gen") == {"actr/demo/chat_actr.py": text}
    contract = tmp_path / "proto/actr/demo/chat.proto"
    contract.write_text(contract.read_text().replace("= RPC_SIGNAL", "= MEDIA_RTP"))
    refused = run("buf", "generate", cwd=tmp_path)
    assert refused.returncode != 0
    assert "service demo.Chat, method Kick: payload_type MEDIA_RTP does not fit" in refused.stderr


@needs("buf")
def test_buf_does_not_see_a_changed_lane_and_actr_does(tmp_path: Path) -> None:
    shutil.copytree(PROTO, tmp_path / "proto")
    contract = tmp_path / "proto/actr/demo/chat.proto"
    contract.write_text(contract.read_text().replace("= RPC_SIGNAL", "= RPC_RELIABLE"))
    assert run("buf", "breaking", "proto", "--against", PROTO, cwd=tmp_path).returncode == 0
    assert actr("proto", "check", PROTO, tmp_path / "proto").returncode == 1


def test_gen_writes_modules_that_strict_type_checkers_accept(tmp_path: Path) -> None:
    files = sorted(GOLDEN.rglob("*.proto"))
    made = actr("gen", "-I", GOLDEN, "--out", tmp_path, *files)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "everything_actr.py").read_text() == (
        GOLDEN / "everything_actr.py"
    ).read_text()
    search = os.pathsep.join(map(str, (tmp_path, ROOT / "services/peer/src", PROTO)))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", tmp_path / "everything_actr.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": search},
        timeout=110,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_mypy_accepts_right_use_and_finds_every_misuse() -> None:
    wrong = TYPED_API / "misuse.py"
    right = (PROTO / "actr/demo/chat_actr.py", TYPED_API / "usage.py", TYPED_API / "program.py")
    paths = [str(path.relative_to(ROOT)) for path in (*right, wrong)]
    checked = run(sys.executable, "-m", "mypy", "--strict", *paths)
    found = Counter(
        (line.split(":")[0], int(line.split(":")[1]))
        for line in checked.stdout.splitlines()
        if ": error: " in line
    )
    assert set(found) == {(paths[-1], number) for number in marked_lines(wrong)}


@pytest.mark.skipif(PYRIGHT is None, reason=lacking("basedpyright"))
def test_pyright_accepts_right_use_and_finds_every_misuse(tmp_path: Path) -> None:
    settings = {
        "include": [str(TYPED_API), str(PROTO / "actr/demo/chat_actr.py")],
        "extraPaths": [str(PROTO), str(ROOT / "services/peer/src")],
        "typeCheckingMode": "strict",
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    assert PYRIGHT is not None
    checked = run(PYRIGHT, "--outputjson", "-p", tmp_path / "pyrightconfig.json")
    found = {
        (Path(row["file"]).name, row["range"]["start"]["line"] + 1)
        for row in json.loads(checked.stdout)["generalDiagnostics"]
        if row["severity"] == "error"
    }
    assert found == {("misuse.py", number) for number in marked_lines(TYPED_API / "misuse.py")}


def marked_lines(path: Path) -> set[int]:
    lines = path.read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            chat("rpc Say(Ask) returns (Reply) { option (actr.payload_type) = MEDIA_RTP; }"),
            "chat.proto:9: service chat.v1.Chat, method Say: payload_type MEDIA_RTP",
        ),
        ("syntax = 'proto3'; message", "chat.proto:1:"),
        ('syntax = "proto3"; import "other.proto";', "other.proto: File not found"),
    ],
    ids=["a lane that does not fit", "no protobuf", "a missing import"],
)
def test_gen_refuses_a_wrong_contract_and_writes_nothing(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "chat.proto").write_text(text)
    made = actr("gen", "chat.proto", "--out", "out", cwd=tmp_path)
    assert made.returncode == 2
    assert said in made.stderr
    assert not (tmp_path / "out").exists()


def test_gen_takes_a_file_elsewhere_by_its_directory(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/chat.proto").write_text(chat("rpc Say(Ask) returns (Reply);"))
    (tmp_path / "here").mkdir()
    made = actr("gen", "../far/chat.proto", cwd=tmp_path / "here")
    assert made.returncode == 0, made.stderr
    assert set(modules(tmp_path / "here")) == {"chat_pb2.py", "chat_pb2.pyi", "chat_actr.py"}


def test_gen_names_a_file_that_is_below_no_root(tmp_path: Path) -> None:
    (tmp_path / "chat.proto").write_text(chat(""))
    made = actr("gen", "-I", PROTO, tmp_path / "chat.proto", cwd=tmp_path)
    assert made.returncode == 2
    assert f"is below no include directory ({PROTO}): give its root with -I" in made.stderr


def test_proto_check_says_what_breaks_in_text_json_and_status(tmp_path: Path) -> None:
    old, new = tmp_path / "old.proto", tmp_path / "new.proto"
    old.write_text(chat("rpc Say(Ask) returns (Reply);"))
    new.write_text(
        chat("rpc Say(Ask) returns (Reply) { option (actr.payload_type) = RPC_SIGNAL; }")
    )
    same = actr("proto", "check", old, old)
    assert (same.returncode, same.stdout) == (0, "0 breaking, 0 to note\n")
    text = actr("proto", "check", old, new)
    assert text.returncode == 1
    assert text.stdout.splitlines() == [
        "breaking  lane  chat.v1.Chat.Say: RPC_RELIABLE became RPC_SIGNAL",
        "1 breaking, 0 to note",
    ]
    document = actr("proto", "check", old, new, "--json")
    assert document.returncode == 1
    assert json.loads(document.stdout) == {
        "ok": False,
        "changes": [
            {
                "severity": "breaking",
                "rule": "lane",
                "where": "chat.v1.Chat.Say",
                "text": "RPC_RELIABLE became RPC_SIGNAL",
            }
        ],
    }


def test_proto_check_reads_directories_and_descriptor_sets(tmp_path: Path) -> None:
    whole, bare = tmp_path / "whole.binpb", tmp_path / "bare.binpb"
    compiler = (sys.executable, "-m", "grpc_tools.protoc", "-I.", "actr/demo/chat.proto")
    run(*compiler, f"--descriptor_set_out={whole}", "--include_imports", cwd=PROTO)
    run(*compiler, f"--descriptor_set_out={bare}", cwd=PROTO)
    assert actr("proto", "check", whole, PROTO).returncode == 0
    refused = actr("proto", "check", bare, PROTO)
    assert refused.returncode == 2
    assert "actr/demo/chat.proto imports actr/options.proto, which is not in it" in refused.stderr


@pytest.mark.parametrize("what", ["nothing", "empty", "junk"])
def test_proto_check_refuses_what_is_no_contract(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").write_bytes(b"\xff\xff\xff")
    refused = actr("proto", "check", PROTO, tmp_path / what)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"actr: {tmp_path / what}: ")
