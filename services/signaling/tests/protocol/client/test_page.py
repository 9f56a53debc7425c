"""docs/signaling.md says what is true: its bytes decode, its tables match the code."""

from __future__ import annotations

import re

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.errors import Close
from actr_signaling.hub import crier
from actr_signaling.ledger.redis import outbox
from actr_signaling.protocol.client import messages, registers, replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.proofs import proof
from actr_signaling.protocol.relay.pending import MAX_PENDING
from actr_signaling.protocol.relay.routing import Undelivered
from actr_signaling.protocol.websocket import frames
from actr_signaling.settings import Settings
from signaling_kit import ROOT
from signaling_kit.client import actor

PAGE = (ROOT / "docs" / "signaling.md").read_text()
EXAMPLES = re.findall(r"^\| (client|server) \| `(\w+)` \| `([0-9a-f]+)` \|$", PAGE, re.MULTILINE)


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(("sender", "body", "data"), EXAMPLES, ids=lambda value: str(value)[:14])
def test_every_example_is_the_message_it_says(sender: str, body: str, data: str) -> None:
    raw = bytes.fromhex(data)
    kind = pb.ClientMessage if sender == "client" else pb.ServerMessage
    message = kind.FromString(raw)
    assert message.WhichOneof("body") == body
    assert message.SerializeToString() == raw
    if isinstance(message, pb.ClientMessage):
        messages.read(message)


def test_every_message_of_a_client_has_an_example() -> None:
    shown = {(sender, body) for sender, body, _ in EXAMPLES}
    assert len(shown) == len(EXAMPLES) - 2  # two receipts, two relays
    bodies = {field.name for field in pb.ClientMessage.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert {body for sender, body in shown if sender == "client"} == bodies


def test_every_question_is_in_the_table_of_answers() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| `[a-z]", section("Messages"), re.MULTILINE)
    assert rows == [f.name for f in pb.ClientMessage.DESCRIPTOR.oneofs_by_name["body"].fields]


def test_the_proof_in_the_example_is_right() -> None:
    data = next(data for _, body, data in EXAMPLES if body == "authenticate")
    mac = pb.ClientMessage.FromString(bytes.fromhex(data)).authenticate.mac
    nonce = bytes(range(32))
    assert mac == proof(b"0123456789abcdef", server_id="s1", nonce=nonce, id=actor("a"))


def test_the_relayed_example_is_what_the_server_makes_of_the_relay() -> None:
    by_body = {body: bytes.fromhex(data) for _, body, data in reversed(EXAMPLES)}
    relay = messages.read(pb.ClientMessage.FromString(by_body["relay"]))
    assert isinstance(relay, messages.Relay)
    made = replies.relayed(replies.relayed_head(actor("a"), 7), relay.negotiate)
    expected = pb.ServerMessage.FromString(by_body["relayed"])
    assert pb.ServerMessage.FromString(made) == expected


def test_every_close_code_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\d{4}) \| `(\w+)` \|", section("Close codes"), re.MULTILINE)
    assert {(int(code), name) for code, name in rows} == {(c.value, c.name) for c in Close}


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", section("Settings"), re.MULTILINE)
    table = {name.lower(): default.strip().strip("`") for name, default in rows}
    assert set(table) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = field.default
        if default in (None, "", ()):
            assert table[name].startswith("none"), name
        elif isinstance(default, bool):
            assert table[name] == str(default).lower()
        elif isinstance(default, (int, float)):
            assert float(table[name]) == default, name
        else:
            assert table[name] == default


def test_every_reason_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ", section("Messages"), re.MULTILINE)
    assert rows == [reason.name for reason in Undelivered]


def test_the_bounds_are_those_of_the_code() -> None:
    numbers = [int(n) for n in re.findall(r"\| (\d+)[ \w]* \|$", section("Bounds"), re.MULTILINE)]
    assert numbers == [
        messages.MAX_MESSAGE_BYTES,
        messages.MAX_SDP_CHARACTERS,
        messages.MAX_CANDIDATE_CHARACTERS,
        registers.MAX_TEXT_CHARACTERS,
        messages.MAX_TRACKS,
        registers.MAX_SERVICES,
        registers.MAX_METADATA_ENTRIES,
        registers.MAX_METADATA_ENTRY_BYTES,
        registers.MAX_ALLOWED_REALMS,
        registers.MAX_PROOF_BYTES,
        messages.MAX_FOUND,
        replies.MAX_LISTING_BYTES,
        Terms().max_watches,
        frames.MAX_FRAGMENTS,
        Terms().greeting_frames,
        messages.MAX_JSON_VALUES,
        crier.MAX_MISSED,
        MAX_PENDING,
        outbox.MAX_WAITING_BYTES,
    ]
