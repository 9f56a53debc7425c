"""Every verb of the command line, walked: help, JSON, wrong usage, words with one meaning."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from actr_peer.cli.exits import Exit
from actr_peer.cli.main import CONTAINERS, VERBS, command_of, run
from actr_peer.node.config.loading import FLAGS
from peer_kit import ROOT


def walk() -> Iterator[tuple[str, Any]]:
    """Each verb, and each command below one: its words, and what typer knows of it."""
    for verb in VERBS:
        command = command_of(verb)
        nested = getattr(command, "commands", None)
        if nested is None:
            yield verb, command
        else:
            yield from ((f"{verb} {name}", each) for name, each in nested.items())


COMMANDS = dict(walk())
GROUPS = [verb for verb in VERBS if verb not in COMMANDS]
WITHOUT_FLAGS = {"demo": "it makes a network of its own, and takes nothing from outside"}
"""Verbs that make an actor, and yet have no flags to say which."""
TWO_MEANINGS = {
    "--all": "of a listing it is what is hidden else; 'mailbox' wants it before it takes all",
    "--file": "the file that is sent, or the one that a mailbox is in",
    "--interval": "'ping' waits so long between two questions, 'exchange' between two rounds",
    "--json": "one document, or one a line for what goes on",
    "--module": "'gateway' has actors of several contracts, so it takes several",
    "-m": "the same",
    "--once": "'top' ends after one look, 'receive' after one transfer",
    "--signaling": "'dev' starts one where none is named",
    "--timeout": "'publish' goes on as long as the file; it limits the wait for a wire",
}
"""Options that do not say the same for all verbs that have them."""
WORDS = {
    "actor": "acme:room@1:default",
    "number": "1",
    "numbers": "1",
    "workload": "room:Room",
    "tracks": "camera",
    "file": "film.webm",
}
"""An argument that can be read, where a word will not do."""


@dataclass(frozen=True)
class Ended:
    code: object
    out: str
    err: str

    @property
    def said(self) -> str:
        """Of a wrong command line: one sentence on standard error, and nothing else."""
        assert (self.code, self.out, self.err.count("\n")) == (Exit.USAGE, "", 1), self
        assert self.err.startswith("actr: ")
        return self.err.removeprefix("actr: ").rstrip("\n")


Actr: TypeAlias = Callable[..., Ended]


@pytest.fixture
def actr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Actr:
    """The command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["actr", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        told = capsys.readouterr()
        return Ended(ended.value.code, told.out, told.err)

    return invoke


def arguments(command: Any) -> list[str]:
    """One word for each argument that a command must have."""
    return [WORDS.get(each.name, "x") for each in command.params if is_needed(each)]


def is_needed(parameter: Any) -> bool:
    return parameter.param_type_name == "argument" and bool(parameter.required)


def options(command: Any) -> dict[str, Any]:
    found = [each for each in command.params if each.param_type_name == "option"]
    return {name: each for each in found for name in each.opts}


@pytest.mark.parametrize("verb", [*COMMANDS, *GROUPS])
def test_every_verb_tells_its_usage_to_h_and_help(actr: Actr, verb: str) -> None:
    short, long = actr(*verb.split(), "-h"), actr(*verb.split(), "--help")
    assert short == long
    assert (short.code, short.err) == (Exit.OK, "")
    assert f"Usage: actr {verb} " in short.out


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_word_of_every_verb_is_explained(verb: str) -> None:
    command = COMMANDS[verb]
    assert command.help
    assert [each.name for each in command.params if not (each.help or "").endswith(".")] == []


def test_no_word_is_lost_as_markup() -> None:
    texts = [each.help for command in COMMANDS.values() for each in (command, *command.params)]
    assert [text for text in texts if re.search(r"(?<!\\)\[[a-z]", text)] == []


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_takes_json(verb: str) -> None:
    assert options(COMMANDS[verb])["--json"].is_flag


@pytest.mark.parametrize("verb", COMMANDS)
def test_an_option_that_no_verb_has_is_one_sentence_and_one_document(actr: Actr, verb: str) -> None:
    said = actr(*verb.split(), "--no-such").said
    assert said.startswith("no such option: --no-such")
    assert said.endswith(f"(see 'actr {verb} -h')")
    with_json = actr(*verb.split(), "--json", "--no-such")
    error = {"class": "UsageError", "text": said, "exit": 2}
    assert json.loads(with_json.out) == {"error": error}
    assert (with_json.code, with_json.err) == (Exit.USAGE, f"actr: {said}\n")


@pytest.mark.parametrize("verb", [verb for verb, each in COMMANDS.items() if arguments(each)])
def test_a_verb_names_the_argument_that_is_missing(actr: Actr, verb: str) -> None:
    assert actr(*verb.split()).said.startswith("missing argument '")


def test_some_verb_takes_so_many_words_and_no_more(actr: Actr) -> None:
    bounded = {
        verb: command
        for verb, command in COMMANDS.items()
        if all(each.nargs == 1 for each in command.params)
    }
    assert len(bounded) > len(VERBS) / 2
    for verb, command in bounded.items():
        optional = ["acme:room"] * sum(
            each.param_type_name == "argument" and not each.required for each in command.params
        )
        said = actr(*verb.split(), *arguments(command), *optional, "many", "more").said
        assert said == f"too many words: many more (see 'actr {verb} -h')"


@pytest.mark.parametrize(
    ("verb", "option"),
    [
        (verb, name)
        for verb, command in COMMANDS.items()
        for name, option in options(command).items()
        if option.type_descriptor.annotation in {int, float}
    ],
)
def test_a_value_that_is_no_number_is_told_as_such(actr: Actr, verb: str, option: str) -> None:
    said = actr(*verb.split(), *arguments(COMMANDS[verb]), option, "soon").said
    assert said.startswith(f"invalid value for '{option}'")
    assert ": write a " in said


@pytest.mark.parametrize("verb", GROUPS)
def test_a_group_names_its_verbs_where_none_is_given_or_a_wrong_one(actr: Actr, verb: str) -> None:
    names = [each.split()[1] for each in COMMANDS if each.startswith(f"{verb} ")]
    assert actr(verb).said == f"which? there are {', '.join(names)} (see 'actr {verb} -h')"
    wrong = names[0][:-1]
    assert actr(verb, wrong).said.startswith(f"no verb '{wrong}'; did you mean {names[0]}?")


@pytest.mark.parametrize("verb", ["rnu", "heatlh", "nothing-like-it"])
def test_a_wrong_verb_is_answered_with_a_persons_verbs(actr: Actr, verb: str) -> None:
    said = actr(verb).said
    assert said.startswith(f"no verb '{verb}'; ")
    assert said.endswith("(see 'actr -h')")
    assert not any(name in said.replace(verb, "") for name in CONTAINERS)


@pytest.mark.parametrize(
    "verb",
    [
        verb
        for verb, each in COMMANDS.items()
        if "--config" in options(each) and verb != "doctor"  # there it is the first step
    ],
)
def test_a_configuration_that_cannot_be_read_is_told_by_every_verb_alike(
    actr: Actr, verb: str
) -> None:
    words = [*verb.split(), *arguments(COMMANDS[verb]), "--config", "nowhere.toml"]
    words += ["--all"] if verb in {"mailbox replay", "mailbox drop"} else []
    said = actr(*words).said
    assert said.startswith("cannot read nowhere.toml")
    told = json.loads(actr(*words, "--json").out)["error"]
    assert (told["class"], told["exit"], told["text"]) == ("ConfigError", 2, said)


def test_a_verb_that_makes_an_actor_takes_all_flags() -> None:
    flags = {*FLAGS.values(), "--config"}
    makers = {verb for verb in COMMANDS if verb.split()[0] in actor_makers()}
    assert {"run", "call", "ls", "exchange"} <= makers
    without = {verb for verb in makers if not flags <= options(COMMANDS[verb]).keys()}
    assert without == WITHOUT_FLAGS.keys()


def actor_makers() -> set[str]:
    """Verbs whose own modules name what makes an actor."""
    found = set()
    for verb, (module, _) in VERBS.items():
        path = ROOT / "services/peer/src" / (module.replace(".", "/") + ".py")
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if names & {"System", "Visit", "serve_workload", "NodeConfig"} or verb == "demo":
            found.add(verb)
    return found


def test_an_actor_is_named_with_id_wherever_a_configuration_is_read() -> None:
    missing = {
        verb
        for verb, command in COMMANDS.items()
        if ("--id" in options(command)) != ("--config" in options(command))
    }
    assert missing == {"config show", "dev", "access explain"}  # of all; of several; it is named


def test_an_option_says_the_same_wherever_it_is() -> None:
    said: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for command in COMMANDS.values():
        for name, option in options(command).items():
            said[name].add((option.help, option.metavar, str(option.type_descriptor.annotation)))
    assert {name for name, ways in said.items() if len(ways) > 1} == TWO_MEANINGS.keys()
