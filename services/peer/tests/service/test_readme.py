"""The exchange of README.md, run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from peer_kit import ROOT, block
from peer_kit.webrtc.flashes import film

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A free port in place of the usual one; the scripts of the environment first."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ACTR_SIGNALING__LISTEN": "127.0.0.1:0",
        "ACTR_LOG__FORMAT": "json",
    }


@contextmanager
def background(
    command: str, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        ["bash", "-c", f"exec env {command}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)


def foreground(command: str, environment: dict[str, str], folder: Path) -> str:
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def wait_for(stream: IO[str] | None, event: str) -> dict[str, object]:
    """The first line of JSON with this event."""
    assert stream is not None
    for line in stream:
        sys.stdout.write(line)
        if line.startswith("{") and json.loads(line).get("event") == event:
            found: dict[str, object] = json.loads(line)
            return found
    raise AssertionError(f"it ended before {event!r}")


def spoken() -> set[str]:
    """The commands in the text around the blocks, but for verbs that are only spoken of."""
    spans = set(re.findall(r"`(actr [^`\n]+)`", (ROOT / "README.md").read_text("utf-8")))
    spans -= {f"actr {verb}" for verb in ("run", "call", "dev", "new")}
    return {span.replace("ACTOR", "chat:room@1:default") for span in spans}


def spoken_of(verb: str) -> str:
    (found,) = (command for command in spoken() if command.startswith(f"actr {verb} "))
    return found


def test_the_exchange_of_the_readme_works_as_it_is_written(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """
    1. Write the files of the README and run its commands, on a free port.
    2. Ann's line is answered and comes back; the command line's call is the second line.
    """
    contract = block("README.md", 'syntax = "proto3"')
    workload = block("README.md", "from collections.abc")
    ann = block("README.md", "import actr_peer")
    generate, signaling, room, talk, call = block("README.md", "actr gen").splitlines()
    for name, text in (("room.proto", contract), ("room.py", workload)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    foreground(generate, environment, tmp_path)

    with background(signaling.removesuffix("&"), environment, tmp_path) as service:
        environment["ACTR_SIGNALING__URL"] = str(wait_for(service.stdout, "ready")["url"])
        (tmp_path / "ann.py").write_text(ann, encoding="utf-8")
        with background(room.removesuffix("&"), environment, tmp_path) as actor:
            wait_for(actor.stderr, "actor ready")
            assert foreground(talk, environment, tmp_path) == "line 1\nann hello\n"
            assert json.loads(foreground(call, environment, tmp_path)) == {"number": "2"}
            second, watched = spoken_of("run"), spoken_of("dev")
            with background(second, environment, tmp_path) as other:
                wait_for(other.stderr, "actor ready")
                for command in spoken() - {second, watched}:
                    foreground(command, environment, tmp_path)
        assert actor.returncode == 0
    own = {key: value for key, value in environment.items() if "SIGNALING" not in key}
    with background(watched, own, tmp_path) as dev:
        assert dev.stdout is not None
        assert any("online as chat:room@1:default" in line for line in dev.stdout)
        assert foreground(talk, own, tmp_path) == "line 1\nann hello\n"


@pytest.mark.timeout(400)
def test_the_demo_runs_as_the_readme_says(tmp_path: Path, environment: dict[str, str]) -> None:
    """The last one starts containers: `make integration-test` is its test; and the page of the one
    before it has its own in browser/tests/pages."""
    demo, own_file, page, compose = (
        re.sub(r"\s+#.*$", "", line) for line in block("README.md", "make demo").splitlines()
    )
    assert page == "make demo BROWSER=1"
    assert compose.startswith("docker compose up")
    film(tmp_path / "video.mp4", ("libx264", "libopus"), 2.0, [])
    here = own_file.replace("video.mp4", str(tmp_path / "video.mp4"))
    for command in (demo, here):
        assert "5 of 5 payload types ok" in foreground(command, environment, ROOT)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("command", "size"),
    [
        ("make bench-stream", "ARGS='--streams 1 --size 64 --scale 0.01 --only actr'"),
        ("make bench-state", "SECONDS=0.1 ROUNDS=1"),
    ],
)
def test_a_measurement_runs_in_its_smallest_size(
    environment: dict[str, str], command: str, size: str
) -> None:
    """Of the others, which take minutes, tests/repository/test_readme.py sees that they start."""
    document = json.loads(foreground(f"{command} {size} JSON=1", environment, ROOT))
    assert document["rows"]
    assert all(row["system"] for row in document["rows"])
