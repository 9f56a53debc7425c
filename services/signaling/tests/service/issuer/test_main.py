"""The command itself, on a register without a running issuer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from actr_signaling.issuer.__main__ import main
from actr_signaling.issuer.protocol.rules import Taken
from signaling_kit.issuer import SECRET

pytestmark = pytest.mark.service
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Do a verb; its status, standard output and standard error."""
    monkeypatch.setenv("ACTR_ISSUER__HOME", str(tmp_path / "issuer"))
    (tmp_path / "secret").write_bytes(SECRET)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level

    def do(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(arguments)
        except SystemExit as exc:
            status = int(str(exc.code))
        out, err = capsys.readouterr()
        return status, out, err

    yield do
    logging.getLogger().handlers[:], logging.getLogger().level = handlers, level
    structlog.reset_defaults()


def document(run: Run, *arguments: str) -> Any:
    status, out, _ = run(*arguments, "--json")
    found = json.loads(out)
    assert status == found.get("error", {"exit": 0})["exit"]
    return found


def test_a_token_stands_alone_on_standard_output(run: Run) -> None:
    status, out, err = run("token", "new", "acme:room@*", "--claim", "role=op", "--note", "lab")
    assert (status, out.startswith("actr-join-"), out.count("\n")) == (0, True, 1)
    assert "acme:room@*" in err
    [token] = document(run, "token", "list")["tokens"]
    assert (token["claims"], token["state"], token["note"]) == ({"role": "op"}, "waiting", "lab")
    _, listed, _ = run("token", "list")
    assert out.strip() not in listed
    assert "role=op" in listed
    assert document(run, "token", "revoke", token["id"])["state"] == "revoked"
    again = document(run, "token", "new", "--claim", "t=a", "--claim", "t=b", "--claim", "t=c")
    assert (again["claims"], again["pattern"]) == ({"t": ["a", "b", "c"]}, "*:*@*")


def test_keys_are_made_listed_and_retired(run: Run, tmp_path: Path) -> None:
    assert document(run, "key", "new", "--ahead", "0")["state"] == "signing"
    new = document(run, "key", "new")
    assert new["state"] == "published"
    status, out, err = run("key", "retire", new["kid"])
    assert (status, err) == (0, "")
    assert new["kid"] in out
    listed = document(run, "key", "list")["keys"]
    assert sorted(key["state"] for key in listed) == ["gone", "signing"]
    shown = json.loads((tmp_path / "issuer/public/keys.json").read_text())["keys"]
    assert [key["kid"] for key in shown] == [listed[0]["kid"]]
    assert run("key", "list")[1].count("\n") == 3


def test_ids_are_revoked_and_that_is_lifted(run: Run) -> None:
    run("key", "new", "--ahead", "0")
    status, out, _ = run("revoke", "acme:room@*")
    assert (status, "the realm's secret enrols none" in out) == (0, True)
    assert "revoked: acme:room@*" in run("list")[1]
    listed = document(run, "list", "--alive", "--realm", "default")
    assert listed["actors"] == []
    assert [one["pattern"] for one in listed["revoked_ids"]] == ["acme:room@*"]
    assert document(run, "revoke", "acme:room@*", "--lift")["lifted"] == "acme:room@*"
    assert document(run, "list")["revoked_ids"] == []
    events = [one["event"] for one in document(run, "audit")["entries"]]
    assert events == ["key made", "revoked", "lifted"]
    assert "lifted" in run("audit", "--last", "1")[1]


def test_rules_are_shown_checked_and_asked(run: Run, tmp_path: Path) -> None:
    status, out, err = run("rules")
    assert (status, "*:*@*" in out, "no file" in err) == (0, True, True)
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\npattern = "acme:room@*"\ntaken = "never"\nclaims = {a = "b"}\n')
    [rule] = document(run, "rules", "--file", str(path))["rules"]
    assert (rule["taken"], rule["claims"]) == (Taken.NEVER, {"a": "b"})
    assert "a=b" in run("rules", "--file", str(path), "--id", "acme:room@1")[1]
    asked = document(run, "rules", "--file", str(path), "--id", "acme:hall@1")
    assert (asked["allowed"], "use a token" in asked["why"]) == (False, True)
    path.write_text("[[rule]]\n")
    assert (
        "rule 1: it has no pattern" in document(run, "rules", "--file", str(path))["error"]["text"]
    )


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("list",), 2, "there is no register"),
        (("token", "list"), 2, "there is no register"),
        (("token", "new", "acme"), 2, "no id and no pattern"),
        (("token", "new", "--claim", "role"), 2, "name=value"),
        (("token", "new", "--claim", "a b=c"), 2, "no name of a claim"),
        (("token", "new", "--life", "5"), 2, "life"),
        (("token", "new", "--lasts", "-1"), 2, "seconds"),
        (("token", "new", "--lasts", "soon"), 2, "soon"),
        (("token", "new", "--note", "a\nb"), 2, "printable"),
        (("audit", "--last", "0"), 2, "lines"),
        (("health",), 2, "no issuer answers"),
        (("nothing",), 2, "nothing"),
        ((), 2, "VERB"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, word: str
) -> None:
    monkeypatch.setenv("ACTR_ISSUER__LISTEN", "127.0.0.1:1")
    found, out, err = run(*arguments)
    assert (found, out, err.count("\n")) == (status, "", 1)
    assert word in err
    assert err.startswith("actr-issuer")


@pytest.mark.parametrize("kid", ["-vpJ4QVZ0uoR0AtW", "--pJ4QVZ0uoR0AtW", f"-{'A' * 42}"])
@pytest.mark.parametrize("before", [True, False])
def test_a_key_that_begins_with_a_hyphen_is_no_option(run: Run, kid: str, *, before: bool) -> None:
    run("key", "new", "--ahead", "0")
    verb = ("revoke",) if len(kid) > 16 else ("key", "retire")
    arguments = (*verb, "--json", kid) if before else (*verb, kid, "--json")
    status, out, _ = run(*arguments)
    assert (status, list(json.loads(out))) == (1, ["error"])
    status, _, err = run(*verb, "--stolem-or-not", kid)
    assert (status, "--stolem-or-not" in err) == (2, True)


def test_what_cannot_be_done_is_status_1(run: Run) -> None:
    run("key", "new", "--ahead", "0")
    [key] = document(run, "key", "list")["keys"]
    for arguments in (
        ("token", "revoke", "none"),
        ("key", "retire", "none"),
        ("key", "retire", key["kid"]),
        ("revoke", "A" * 43),
        ("revoke", "acme:room@1", "--lift"),
    ):
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (1, "", 1), arguments
    assert run("revoke", "A" * 43, "--lift")[0] == 2


@pytest.mark.parametrize("verb", ["serve", "token", "list", "revoke", "rules", "key", "audit"])
def test_every_verb_helps(run: Run, verb: str) -> None:
    status, out, err = run(verb, "-h")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: actr-issuer {verb}")


ACCESS = """
[[access]]
effect = "allow"
callers = ["acme:console@*"]
claims = ["role=operator"]
targets = ["acme:room@*"]
methods = ["demo.Chat.*"]
"""


def test_access_rules_are_set_shown_and_cleared(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    path.write_text(ACCESS)
    status, out, _ = run("access", "set", str(path))
    assert (status, "1 rules hold for all who take them" in out) == (0, True)
    shown = document(run, "access", "show")
    assert shown["rules"][0]["targets"] == ["acme:room@*"]
    assert "demo.Chat.*" in run("access", "show")[1]
    public = json.loads((tmp_path / "issuer/public/access.json").read_text())
    assert public["access"].count(".") == 2
    assert document(run, "access", "clear")["version"] > shown["version"]
    assert "lets everybody" in run("access", "show")[1]
    assert "access set" in run("audit")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[access]]\neffect = 'maybe'\ncallers = ['*:*@*']", "access rule 1: effect 'maybe'"),
        ("[[rule]]", "[[access]] tables, and nothing else"),
        ("access", "that is no TOML"),
    ],
)
def test_a_mistake_in_access_rules_changes_nothing(
    run: Run, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "access.toml"
    path.write_text(ACCESS)
    assert run("access", "set", str(path))[0] == 0
    before = document(run, "access", "show")
    path.write_text(text)
    status, _, err = run("access", "set", str(path))
    assert (status, said in err) == (2, True)
    assert run("access", "set", str(tmp_path / "nowhere"))[0] == 2
    assert document(run, "access", "show") == before
