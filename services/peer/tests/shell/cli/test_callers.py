"""The actor behind a verb: who it is, and what of its time is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr_peer.cli.callers import Visit, durable_config, read_destination
from actr_peer.cli.options import Flags
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.signaling.presence import Presence

CALLER = NodeConfig(id=ActrId("actr", "call", "1", "north"), signaling_url="ws://there:1/v1/ws")


def test_a_key_has_one_identity_and_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, again = durable_config(CALLER, "key"), durable_config(CALLER, "key")
    other = durable_config(CALLER, "another key")
    assert (one.id, one.mailbox_path) == (again.id, again.mailbox_path)
    assert one.id != other.id
    assert one.mailbox_path != other.mailbox_path
    assert Path(".actr", "calls").is_dir()
    assert Path(".actr").stat().st_mode & 0o777 == 0o700, "it holds what was said in calls"
    assert Path(".actr", ".gitignore").read_text("utf-8") == "*\n"


def test_what_was_given_for_a_durable_call_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = replace(CALLER, mailbox_path=tmp_path / "own.db")
    assert durable_config(given, "key", keeps_id=True) is given
    assert durable_config(given, "key").mailbox_path == tmp_path / "own.db"
    assert durable_config(CALLER, "key", keeps_id=True).id == CALLER.id


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".actr").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match="--durable keeps its call in"):
        durable_config(CALLER, "key")


def test_what_is_left_is_of_the_whole_time() -> None:
    assert Visit(None).left() is None
    assert Visit(None).left(30) == 30
    left = Visit(1000).left()
    assert left is not None
    assert 0 < left <= 1000
    assert Visit(1000).left(30) == 30
    assert Visit(0).left() == 0.001


def test_a_verb_asks_an_actor_or_the_best_one_of_a_type() -> None:
    whom = read_destination("acme:room")
    assert whom == ActrType("acme:room")
    assert Flags(id="acme:ann@1:north").caller("call", whom).id.realm == "north"
    room = read_destination("actr://south/acme:room@2")
    assert room == ActrId("acme", "room", "2", "south")
    assert Flags().caller("call", room).id.realm == "south"
    assert Flags().caller("ls", realm="east").id.realm == "east"


@pytest.mark.parametrize("verb", ["call", "describe", "send", "publish", "record"])
def test_no_verb_is_the_actor_that_it_asks(verb: str) -> None:
    own = "acme:room@2:south"
    with pytest.raises(ConfigError, match="would take its place; leave --id out"):
        Flags(id=own).caller(verb, ActrId.parse(own))
    other = Flags(id=own).caller(verb, ActrId.parse("acme:room@3:south"))
    assert (other.id.text, other.takes_over) == (own, False)


class Found:
    """A node of which only its id and a discovery are asked."""

    def __init__(self, own: str, *found: str) -> None:
        self.id = ActrId.parse(own)
        self.ref = self
        self._found = [Presence(id=ActrId.parse(text)) for text in found]

    async def discover(self, actr_type: str, *, limit: int) -> list[Presence]:
        return self._found[:limit]


async def test_the_best_one_of_a_type_is_never_the_asking_actor_itself() -> None:
    own, other = "actr:call@1:default", "actr:call@2:default"
    visit, whom = Visit(None), ActrType("actr:call")
    found: Any = Found(own, own, other)
    assert await visit.find(found, whom) == ActrId.parse(other)
    alone: Any = Found(own, own)
    with pytest.raises(UnreachableError, match="no actor of this type is online"):
        await visit.find(alone, whom)


@pytest.mark.parametrize("text", ["room", "self", "acme:room@2", "acme:", "a:b:c", ""])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write "):
        read_destination(text)
