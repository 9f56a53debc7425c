"""A refusal is a reply that a client of its kind can read."""

from __future__ import annotations

import json

import pytest

from actr_peer.errors import Code
from actr_peer.protocol.rpc.connect.codes import Said
from actr_peer.protocol.rpc.connect.refusals import content_type_of, refusal


def test_a_unary_refusal_has_the_status_and_json() -> None:
    told = Said(code=Code.NOT_FOUND, text="nö", details=(("a.B", b"\x01"),), retry_after=3)
    reply = refusal(told, "application/proto")
    assert reply.status == 404
    assert dict(reply.headers) == {"content-type": "application/json", "retry-after": "3"}
    assert json.loads(reply.body) == {
        "code": "not_found",
        "message": "nö",
        "details": [{"type": "a.B", "value": "AQ"}],
    }


@pytest.mark.parametrize("kind", ["application/connect+json", "application/connect+proto"])
def test_a_refusal_of_a_stream_is_its_last_message(kind: str) -> None:
    reply = refusal(Said(code=Code.UNAUTHENTICATED, text="who?"), kind)
    assert (reply.status, dict(reply.headers)) == (200, {"content-type": kind})
    assert (reply.body[0], int.from_bytes(reply.body[1:5])) == (2, len(reply.body) - 5)
    assert json.loads(reply.body[5:]) == {"error": {"code": "unauthenticated", "message": "who?"}}


def test_who_has_no_token_is_asked_for_one() -> None:
    reply = refusal(Said(code=Code.UNAUTHENTICATED, text=""), "application/json")
    assert (reply.status, dict(reply.headers)["www-authenticate"]) == (401, "Bearer")


def test_a_content_type_is_read_without_its_parameters() -> None:
    assert content_type_of(" Application/JSON ; charset=utf-8") == "application/json"
