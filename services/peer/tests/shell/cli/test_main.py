"""The command line: verbs, exit codes, and one sentence for each error."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from actr_peer import errors
from actr_peer.cli import exits
from actr_peer.cli.exits import Exit
from actr_peer.cli.main import VERBS, app
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
    assert ended.stderr == "actr: no verb 'dmeo'; did you mean demo?\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("call",), "missing argument 'actor' (see 'actr call -h')"),
        (("call", "--tiemout", "3"), "no such option: --tiemout; did you mean --timeout?"),
        (("mailbox", "lst"), "no such command 'lst'; did you mean 'list'? (see 'actr mailbox -h')"),
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


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_tells_its_usage_to_h(verb: str) -> None:
    told = CliRunner().invoke(app, [verb, "-h"], prog_name="actr")
    assert told.exit_code == Exit.OK
    assert f"Usage: actr {verb}" in told.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("actr de", ["demo", "describe"]),
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


def test_config_show_gives_json(tmp_path: Path) -> None:
    ended = actr("config", "show", "--json", cwd=tmp_path, ACTR_CALLS__TIMEOUT_S="4")
    rows = {row["key"]: row for row in json.loads(ended.stdout)["settings"]}
    assert rows["calls.timeout_s"] == {
        "key": "calls.timeout_s",
        "value": 4.0,
        "origin": "ACTR_CALLS__TIMEOUT_S",
    }


def test_help_lists_the_verbs_and_loads_no_webrtc_stack(tmp_path: Path) -> None:
    code = "import sys; from actr_peer.cli.main import app; app(['--help'], standalone_mode=False)"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; print('aiortc' in sys.modules)"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=True,
    )
    assert "config" in ended.stdout
    assert "health" not in ended.stdout  # a container's, not a person's
    assert ended.stdout.endswith("False\n")
