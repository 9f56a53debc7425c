"""The commands and the rules of docs/gateway.md, as they stand there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from actr_peer.protocol.identity import ActrType
from actr_peer.protocol.rpc.connect.rules import GatewayRules
from peer_kit import ROOT, block
from peer_kit.gateway import Served
from peer_kit.place import Place

pytestmark = [pytest.mark.service, pytest.mark.slow]

CONTRACT = """
syntax = "proto3";
package chat;
service Room {
  rpc Say(Line) returns (Receipt);
  rpc Who(Question) returns (Presence) { option idempotency_level = NO_SIDE_EFFECTS; }
}
message Line { string author = 1; string text = 2; }
message Receipt { uint64 number = 1; }
message Question {}
message Presence { string who = 1; }
"""
WORKLOAD = """
from room_actr import RoomService
from room_pb2 import Presence, Receipt

class Room(RoomService):
    number = 0

    async def say(self, request, ctx):
        self.number += 1
        return Receipt(number=self.number)

    async def who(self, request, ctx):
        return Presence(who="ann")
"""


def test_the_commands_of_the_page_call_an_actor(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "room.proto").write_text(CONTRACT, "utf-8")
    (tmp_path / "room.py").write_text(WORKLOAD, "utf-8")
    assert place.run("gen", "room.proto").returncode == 0
    start = block("docs/gateway.md", "actr gateway").split()
    room = ("actr_peer", "run", "room:Room", "--id", "acme:room@1:default")
    with place.signaling(), place.process(*room) as actor:
        place.wait_until_ready(actor)
        free = ("--http", "127.0.0.1:0", "--json")
        with place.process("actr_peer", *start[1:], *free) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            served = Served(told["url"], told, process)
            calls = block("docs/gateway.md", "curl -sS")
            said = place.shell(calls.replace("http://127.0.0.1:8088", served.url))
    assert said == '{"number": "1"}{"number": "2"}{"who": "ann"}'


def test_the_rules_of_the_page_let_their_caller_in() -> None:
    text = (ROOT / "docs/gateway.md").read_text("utf-8")
    (written,) = re.findall(r"^```toml\n(.*?)^```", text, flags=re.S | re.M)
    rules = GatewayRules.read(tomllib.loads(written), "default")
    assert rules.caller_of("Bearer secret-of-web") == "web"
    assert rules.allows("web", ActrType("acme:room"), "chat.Room.Say")
    assert rules.services == {"chat.Room": ActrType("acme:room")}


def test_the_line_of_the_page_on_the_command_line_is_the_pages_own_address(
    tmp_path: Path,
) -> None:
    line = block("docs/cli.md", "actr gateway").partition("#")[0].split()
    place = Place(tmp_path)
    nowhere = {"ACTR_SIGNALING__URL": "ws://127.0.0.1:1/v1/ws"}
    ended = place.run(*line[1:-1], "127.0.0.1:0", **nowhere)
    assert "cannot reach signaling at ws://127.0.0.1:1/v1/ws" in ended.stderr
