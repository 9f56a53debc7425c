"""The command line: verbs, exit codes, and one sentence for each error."""

from __future__ import annotations

import inspect
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from actr_peer import errors
from actr_peer.cli import exits
from actr_peer.cli.exits import Exit
from actr_peer.cli.main import VERBS, wants_json
from actr_peer.errors import (
    CallError,
    Code,
    ConfigError,
    DeadlineError,
    LocalProtocolError,
    PeerError,
    UnreachableError,
)
from actr_peer.tasks import first_cause
from tests.skips import lacking


def actr(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actr_peer", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environment},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("calls.timeout_s"), Exit.USAGE),
        (UnreachableError("acme:room@2:default", "offline"), Exit.UNREACHABLE),
        (DeadlineError("no answer within 2 s"), Exit.DEADLINE),
        (CallError(Code.NOT_FOUND, "no such room"), Exit.REFUSED),
        (LocalProtocolError("offer at STABLE"), Exit.BROKEN),
    ],
)
def test_each_error_has_its_exit_code_and_one_line(error: PeerError, code: Exit) -> None:
    found, text = exits.explain(error)
    assert found is code
    assert text.startswith(str(error))
    assert "\n" not in text


def test_an_error_that_does_not_say_what_to_do_gets_advice() -> None:
    _, text = exits.explain(UnreachableError("acme:room@2:default", "offline"))
    assert "actr config show" in text
    away = "signaling at ws://127.0.0.1:8080/v1/ws"
    for error in (UnreachableError(away, "gone"), UnreachableError("acme:room@2:a", f"{away} is")):
        assert exits.explain(error)[1].endswith("or name another with --signaling")


def test_every_error_class_has_an_exit_code() -> None:
    classes = [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, PeerError) and found is not PeerError
    ]
    missing = [
        found for found in classes if not any(kind in exits._ADVICE for kind in found.__mro__)
    ]
    assert missing == []


def test_the_first_cause_of_nested_groups_is_found() -> None:
    cause = ConfigError("x")
    group = ExceptionGroup("a", [ExceptionGroup("b", [cause, ValueError()])])
    assert first_cause(group) is cause


def test_a_wrong_setting_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    ended = actr("config", "show", cwd=tmp_path, ACTR_WIRES__ICE_POLICY="none")
    assert ended.returncode == Exit.USAGE
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("actr: wires.ice_policy = 'none'")


def test_an_unknown_verb_ends_with_2(tmp_path: Path) -> None:
    ended = actr("dmeo", cwd=tmp_path)
    assert ended.returncode == Exit.USAGE
    assert ended.stderr == "actr: no verb 'dmeo'; did you mean demo? (see 'actr -h')\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("call",), "missing argument 'actor' (see 'actr call -h')"),
        (("call", "--tiemout", "3"), "no such option: --tiemout; did you mean --timeout?"),
        (("mailbox", "lst"), "no verb 'lst'; did you mean list? (see 'actr mailbox -h')"),
        (("gen", "--include"), "option '--include' requires an argument (see 'actr gen -h')"),
        (("ls", "--timeout", "soon"), "invalid value for '--timeout'"),
    ],
)
def test_a_command_line_that_cannot_be_read_ends_with_2_and_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ended = actr(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert ended.stderr.startswith(f"actr: {said}")
    assert ended.stderr.count("\n") == 1


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    ended = actr("--version", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (Exit.OK, f"actr {version('actr-peer')}\n")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("actr de", ["demo", "dev", "describe"]),
        ("actr call --ti", ["--timeout"]),
        ("actr mailbox l", ["list"]),
    ],
)
def test_a_shell_is_offered_verbs_and_options(
    tmp_path: Path, words: str, offered: list[str]
) -> None:
    ended = actr(
        cwd=tmp_path,
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
        _ACTR_COMPLETE="complete_bash",
    )
    assert ended.stdout.split() == offered


def test_completion_is_installed_for_bash(tmp_path: Path) -> None:
    script = """
        PATH=$1:$PATH HOME=$2
        actr --install-completion >&2 && . ~/.bashrc
        COMP_WORDS=(actr mailbox re) COMP_CWORD=2
        $(complete -p actr | sed -E 's/.* -F ([^ ]+) .*/\\1/') actr re mailbox
        echo "${COMPREPLY[@]}"
    """
    words = ("bash", "-c", script, "bash", str(Path(sys.executable).parent), str(tmp_path))
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "replay\n", ended.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason=lacking("fish"))
def test_completion_is_installed_for_fish(tmp_path: Path) -> None:
    script = """
        actr --install-completion >&2
        for words in "actr mailbox re" "actr call --tim" "actr config s"
            complete -C $words | string split -f 1 \\t
        end
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["fish", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": path, "HOME": str(tmp_path)},
    )
    assert ended.stdout.split() == ["replay", "--timeout", "show"], ended.stderr


@pytest.mark.skipif(shutil.which("zsh") is None, reason=lacking("zsh"))
def test_completion_is_installed_for_zsh_and_there_at_the_first_tab(tmp_path: Path) -> None:
    """Keys are pressed at a terminal: zsh completes nowhere else."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb", "SHELL": "zsh"}
    install = ["zsh", "-c", "actr --install-completion; true"]
    subprocess.run(install, timeout=60, check=True, env=environment, capture_output=True)
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        ["zsh", "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    ) as shell:
        os.close(terminal)
        os.write(keyboard, b"actr mai\tli\t-h\n")
        said = b""
        while b"Usage: " not in said and b"no verb" not in said:
            assert select.select([keyboard], [], [], 60)[0], said
            said += os.read(keyboard, 4096)
        shell.kill()
    os.close(keyboard)
    assert b"Usage: actr mailbox list " in said


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [("call a b --json", True), ("call a b", False), ("call a b -- --json", False)],
)
def test_json_is_wanted_also_of_a_command_line_that_cannot_be_read(
    arguments: str, *, wanted: bool
) -> None:
    assert wants_json(arguments.split()) is wanted


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "actr_peer", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
    assert ended.returncode == Exit.FAILED
    assert (
        ended.stderr == "actr: cannot write: No space left on device; make room, then try again\n"
    )


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m actr_peer config show --json | true"
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_interrupted_verb_has_its_document(tmp_path: Path) -> None:
    """Its signaling service is a port that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/v1/ws"
        with subprocess.Popen(
            [sys.executable, "-m", "actr_peer", "ls", "--json", "--signaling", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        ) as process:
            silent.settimeout(60)
            silent.accept()[0].close()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    error = {"class": "Interrupted", "text": "interrupted", "exit": 130}
    assert (process.returncode, json.loads(out), err) == (130, {"error": error}, "")


def test_what_nobody_meant_has_a_document_and_says_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError('at import')\n")
    ended = actr("call", "acme:room@1:default", "Say", "-m", "broken", "--json", cwd=tmp_path)
    error = {"class": "ValueError", "text": "at import", "exit": 1}
    assert (ended.returncode, json.loads(ended.stdout)) == (1, {"error": error})
    assert 'broken.py", line 1' in ended.stderr


def test_config_show_gives_json(tmp_path: Path) -> None:
    ended = actr("config", "show", "--json", cwd=tmp_path, ACTR_CALLS__TIMEOUT_S="4")
    rows = {row["key"]: row for row in json.loads(ended.stdout)["settings"]}
    assert rows["calls.timeout_s"] == {
        "key": "calls.timeout_s",
        "value": 4.0,
        "origin": "ACTR_CALLS__TIMEOUT_S",
    }


def test_help_lists_the_verbs_and_loads_nothing_that_takes_time(tmp_path: Path) -> None:
    code = "import sys; from actr_peer.cli.main import app; app(['--help'], standalone_mode=False)"
    slow = {"aiortc", "asyncio", "google.protobuf", "importlib.metadata", "pydantic", "structlog"}
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; print({slow} & sys.modules.keys())"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    assert "config" in ended.stdout
    assert "health" not in ended.stdout  # a container's, not a person's
    assert ended.stdout.endswith("set()\n")


HELPS = """
import contextlib, io, sys
from actr_peer.cli.main import VERBS, app, command_of

lines = [["--version"], ["-h"]]
for verb in VERBS:
    nested = getattr(command_of(verb), "commands", ())
    lines += [[verb, "-h"], *([verb, each, "-h"] for each in nested)]
    loaded = sorted({"aiortc", "aioice", "av"} & sys.modules.keys())
    assert not loaded, (verb, loaded)
shown = []
for line in lines:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        app(line, prog_name="actr", standalone_mode=False)
    shown.append(len(out.getvalue()) > 10)
print(len(shown), all(shown), sorted({"aiortc", "aioice", "av"} & sys.modules.keys()))
"""


def test_no_help_and_no_version_loads_the_webrtc_or_the_media_stack(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELPS],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    count, are_shown, loaded = ended.stdout.split(maxsplit=2)
    assert int(count) > len(VERBS)
    assert (are_shown, loaded) == ("True", "[]\n")
