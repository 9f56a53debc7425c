"""``actr access explain``: which rule decides, before anybody is refused."""

from __future__ import annotations

import json

import pytest

import actr_peer
from actr_peer.cli.exits import Exit
from actr_peer.node.config.settings import Settings
from peer_kit import ROOT, block
from peer_kit.place import ROOM, Place

pytestmark = pytest.mark.service

RULES = """
[[access]]
effect = "allow"
callers = ["acme:*@*"]

[[access]]
effect = "deny"
callers = ["acme:guest@*"]
methods = ["demo.Chat.Kick"]
"""
FRIEND, GUEST = "acme:friend@1:default", "acme:guest@1:default"


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("place"))
    with (made.folder / "actr.toml").open("a", encoding="utf-8") as file:
        file.write(RULES)
    return made


@pytest.mark.parametrize(
    ("caller", "method", "is_allowed", "rule"),
    [
        (FRIEND, "demo.Chat/Kick", True, 1),
        (GUEST, "demo.Chat.Kick", False, 2),
        (GUEST, "demo.Chat/Say", True, 1),
        (GUEST, "streams", True, 1),
        ("other:room@1:default", "demo.Chat/Say", False, None),
        ("acme:friend@1:elsewhere", "media", False, None),
        (ROOM, "demo.Chat/Say", True, None),
    ],
)
def test_the_rule_that_decides_is_named(
    place: Place, caller: str, method: str, is_allowed: bool, rule: int | None
) -> None:
    words = ("access", "explain", caller, ROOM, method)
    told = json.loads(place.run(*words, "--json").stdout)
    assert (told["is_allowed"], told["rule"]) == (is_allowed, rule)
    said = place.run(*words).stdout
    shown = method.replace("/", ".")
    verdict = "may" if is_allowed else "may not"
    assert said == f"{caller} {verdict} ask {ROOM} for {shown}: {told['why']}\n"


def test_without_rules_everybody_may(place: Place) -> None:
    (place.folder / "actr.toml").write_text("")
    said = place.run("access", "explain", GUEST, ROOM, "demo.Chat/Say").stdout
    assert said.endswith("for demo.Chat.Say: there are no rules\n")


def keyed(place: Place) -> str:
    """A generated module one of whose methods needs claims; returns its name."""
    (place.folder / "vault.proto").write_text(
        'syntax = "proto3";\npackage vault;\nimport "actr/options.proto";\n'
        "message Key {}\nservice Vault {\n  rpc Open(Key) returns (Key) {\n"
        '    option (actr.requires) = "operator";\n    option (actr.requires) = "team=a";\n  }\n'
        "  rpc Look(Key) returns (Key);\n}\n"
    )
    assert place.run("gen", "vault.proto").returncode == 0
    return "vault_actr"


def test_the_claim_that_the_contract_needs_is_named_where_the_rules_allow(place: Place) -> None:
    module = keyed(place)

    def explain(caller: str, method: str, *claims: str) -> dict[str, object]:
        given = [word for claim in claims for word in ("--claim", claim)]
        words = ("access", "explain", caller, ROOM, method, "-m", module, *given)
        told: dict[str, object] = json.loads(place.run(*words, "--json").stdout)
        return told

    none = explain(FRIEND, "vault.Vault/Open")
    assert (none["is_allowed"], none["rule"], none["lacks"]) == (False, 1, "operator")
    assert none["requires"] == ["operator", "team=a"]
    assert none["why"] == (
        "the contract requires the claim operator; none is given (--claim NAME=VALUE)"
    )
    half = explain(FRIEND, "vault.Vault/Open", "operator=yes", "team=b")
    assert (half["is_allowed"], half["lacks"]) == (False, "team=a")
    assert str(half["why"]).endswith("given are operator=yes, team=b")
    both = explain(FRIEND, "vault.Vault/Open", "operator=yes", "team=b", "team=a")
    assert (both["is_allowed"], both["lacks"]) == (True, None)
    assert str(both["why"]).endswith("it has what the contract requires: operator, team=a")
    stranger = explain("other:x@1:default", "vault.Vault/Open", "operator=yes", "team=a")
    assert (stranger["is_allowed"], stranger["lacks"]) == (False, None), "no rule allows it"
    assert explain(FRIEND, "vault.Vault/Look")["is_allowed"]
    assert explain(FRIEND, "streams")["is_allowed"]
    assert explain(ROOM, "vault.Vault/Open")["is_allowed"], "it may ask itself"


def test_what_is_no_claim_or_no_method_of_the_module_is_refused(place: Place) -> None:
    module = keyed(place)
    words = ("access", "explain", FRIEND, ROOM, "vault.Vault/Open")
    ended = place.run(*words, "--claim", "operator")
    assert ended.returncode == Exit.USAGE
    assert "write NAME=VALUE, for example role=operator" in ended.stderr
    ended = place.run("access", "explain", FRIEND, ROOM, "vault.Vault/Close", "-m", module)
    assert ended.returncode == Exit.USAGE
    assert "'vault.Vault.Close' of vault_actr is not there" in ended.stderr


@pytest.mark.parametrize(
    ("method", "text"), [("demo.Chat.*", "name one, as chat.Room/Say"), ("Say", "write a method")]
)
def test_what_is_no_method_is_refused(place: Place, method: str, text: str) -> None:
    ended = place.run("access", "explain", GUEST, ROOM, method)
    assert ended.returncode == Exit.USAGE
    assert text in ended.stderr


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ('effect = "allow"\ncallers = ["acme:room"]', "write manufacturer:name@instance"),
        ('effect = "maybe"\ncallers = ["*:*@*"]', "must be 'allow' or 'deny'"),
        ('effect = "deny"\ncallers = ["*:*@*"]\nmethods = ["Say"]', "write a method as"),
        ('effect = "deny"\ncallers = []', "should have at least 1 item"),
    ],
)
def test_a_rule_that_is_none_is_told_with_its_place(place: Place, table: str, text: str) -> None:
    (place.folder / "actr.toml").write_text(f"[[access]]\n{table}\n")
    ended = place.run("access", "explain", GUEST, ROOM, "demo.Chat/Say")
    assert ended.returncode == Exit.USAGE
    assert text in ended.stderr
    assert "access.0" in ended.stderr


def test_the_rules_of_the_page_are_what_it_says_they_are(place: Place) -> None:
    page = (ROOT / "docs/access.md").read_text("utf-8")
    rules = page.partition("```toml\n")[2].partition("```")[0]
    (place.folder / "actr.toml").write_text(rules)
    command, said = page.partition("```console\n$ actr ")[2].partition("```")[0].splitlines()
    assert place.run(*command.split()).stdout == f"{said}\n"
    names = {**vars(actr_peer), "url": Settings().signaling.url}
    names |= {name: getattr(actr_peer, name) for name in ("NodeConfig", "AccessRule")}
    config = eval(block("docs/access.md", "NodeConfig("), names)
    assert config.access[0].methods == ["demo.Chat.*"]
