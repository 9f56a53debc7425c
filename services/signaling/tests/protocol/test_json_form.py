"""Listings of actors in JSON form, against protobuf's own printer."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Kind, Reason, Told

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return Entry(
        registration=Registration(
            id=ActrId("acme", "p", "1", "default"),
            services=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
            metadata=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
            ws_address=draw(TEXTS),
            incarnation=draw(st.integers(0, 2**64 - 1)),
        ),
        load=Load(draw(st.integers(0, 2**32 - 1)), draw(st.floats(0, 1, width=32))),
        epoch=draw(st.integers(0, 2**64 - 1)),
        session="s",
        replica="r",
    )


@given(st.lists(entries(), max_size=3), st.integers(0, 2**60), st.integers(0, 9))
def test_listings_are_what_protobuf_would_print(
    listed: list[Entry], version: int, number: int
) -> None:
    shown = [entry.shown for entry in listed]
    body = json_form.snapshot_body("acme:p", version, shown)
    data = replies.snapshot(number, replies.snapshot_body("acme:p", version, listed))
    assert json.loads(json_form.snapshot(number, body)) == json.loads(json_form.to_json(data))
    for following in ("", "0.1.2.3.acme:p@1:default"):
        data = replies.discovered(number, listed, following)
        text = json_form.discovered(number, shown, following)
        assert json.loads(text) == json.loads(json_form.to_json(data))


@given(entries(), st.sampled_from(list(Kind)), st.sampled_from([None, *Reason]))
def test_an_event_put_together_is_what_protobuf_would_write(
    entry: Entry, kind: Kind, reason: Reason | None
) -> None:
    event = pb.ServerMessage.FromString(replies.event(Told(kind, entry, 5, frozenset(), reason)))
    assert event == pb.ServerMessage(
        presence=pb.PresenceEvent(
            kind=pb.PresenceEvent.Kind.Value(kind.name),
            version=5,
            presence=entry.to_wire(),
            reason=pb.PresenceEvent.Reason.Value(reason.name if reason else "NONE"),
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"register": {"services": [' + "{}," * 20_000 + "{}]}}",
        '{"register": {"metadata": {' + ",".join(f'"{n}": ""' for n in range(2000)) + "}}}",
    ],
    ids=["services", "metadata"],
)
def test_a_message_of_many_values_is_refused_before_the_library_reads_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_format, "Parse", lambda *_, **__: pytest.fail("it is read"))
    with pytest.raises(BadMessageError, match="values"):
        messages.parse_json(text)


def shown_of(reserve: float, **fields: object) -> Entry:
    registration = Registration(id=ActrId("acme", "p", "1", "default"), **fields)  # type: ignore[arg-type]
    load = Load(0, reserve)
    return Entry(registration=registration, load=load, epoch=0, session="s", replica="r")


@pytest.mark.parametrize(
    "entry",
    [
        shown_of(0.0),
        shown_of(0.1, metadata={"zone": "north"}),
        shown_of(0.123456789),
        shown_of(0.10427499562501907),
    ],
    ids=["all empty", "a short number and metadata", "a number of eight digits", "one of nine"],
)
@pytest.mark.parametrize("number", [0, 7])
@pytest.mark.parametrize("count", [0, 2])
def test_a_listing_leaves_out_what_protobuf_leaves_out(
    entry: Entry, number: int, count: int
) -> None:
    listed, shown = [entry] * count, [entry.shown] * count
    for actr_type, version in (("", 0), ("acme:p", 5)):
        body = json_form.snapshot_body(actr_type, version, shown)
        data = replies.snapshot(number, replies.snapshot_body(actr_type, version, listed))
        assert json.loads(json_form.snapshot(number, body)) == json.loads(json_form.to_json(data))
    data = replies.discovered(number, listed)
    assert json.loads(json_form.discovered(number, shown)) == json.loads(json_form.to_json(data))
