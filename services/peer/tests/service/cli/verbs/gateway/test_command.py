"""``actr gateway`` between a real signaling service, a real actor, and clients by bare HTTP."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
import socket
import subprocess
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from actr_peer.cli.exits import Exit
from actr_peer.errors import Code
from actr_peer.node.process.probe import ask
from actr_peer.protocol.rpc.connect.codes import HTTP_STATUS, WORDS
from peer_kit.gateway import (
    PROBE,
    Http2,
    Served,
    envelope,
    envelopes,
    gateway,
    heard,
    probe,
    probe_place,
)
from peer_kit.place import Place

pytestmark = [pytest.mark.service, pytest.mark.slow]
STREAM = "application/connect+json"


@dataclass(frozen=True)
class Stage:
    place: Place
    actor: subprocess.Popen[str]
    served: Served


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    place = Place(tmp_path_factory.mktemp("gateway"))
    probe_place(place)
    control = {"ACTR_CONTROL__SOCKET": str(place.folder / "gateway.sock")}
    with place.signaling(), probe(place) as actor, gateway(place, **control) as served:
        yield Stage(place, actor, served)


# Whom, and how


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/probe.Probe/Look", None),
        (f"/{PROBE}/probe.Probe/Look", None),
        ("/demo:probe/probe.Probe/Look", None),
        ("/probe.Probe/Look", PROBE),
        ("/probe.Probe/Look", "demo:probe"),
    ],
)
def test_an_actor_is_named_by_path_by_header_or_by_its_service(
    stage: Stage, path: str, to: str | None
) -> None:
    headers = {} if to is None else {"actr_to": to}
    reply = stage.served.post(path, {"number": "7"}, **headers)
    assert (reply.status, reply.json["number"]) == (200, "7")
    assert reply.headers["content-type"] == "application/json"


def test_a_unary_call_is_a_post_or_where_it_changes_nothing_a_get(stage: Stage) -> None:
    message = quote(json.dumps({"number": "7"}))
    got = stage.served.ask("GET", f"/probe.Probe/Look?encoding=json&message={message}&connect=v1")
    assert (got.status, got.json["number"]) == (200, "7")
    binary = urlsafe_b64encode(b"\x08\x07").decode().rstrip("=")
    raw = stage.served.ask("GET", f"/probe.Probe/Look?encoding=proto&base64=1&message={binary}")
    assert (raw.status, raw.body[:2]) == (200, b"\x08\x07")
    refused = stage.served.ask("GET", f"/probe.Probe/Wait?encoding=json&message={message}")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_both_codecs_and_gzip_are_spoken(stage: Stage) -> None:
    binary = stage.served.post("/probe.Probe/Look", b"\x08\x07", content_type="application/proto")
    assert (binary.status, binary.body[:2]) == (200, b"\x08\x07")
    packed = gzip.compress(b'{"number": 7}')
    said = stage.served.post(
        "/probe.Probe/Look", packed, content_encoding="gzip", accept_encoding="gzip"
    )
    assert json.loads(gzip.decompress(said.body))["number"] == "7"
    other = stage.served.post("/probe.Probe/Look", b"x", content_type="application/grpc")
    assert other.status == 415


def test_json_says_what_is_in_an_any_of_the_actors_own_messages(stage: Stage) -> None:
    held = {"@type": "type.googleapis.com/probe.Ask", "text": "in it"}
    reply = stage.served.post("/probe.Probe/Look", {"any": held})
    assert reply.json["any"] == held


def test_a_server_stream_comes_item_by_item_and_ends(stage: Stage) -> None:
    body = envelope({"number": 3, "text": "x"})
    reply = stage.served.ask("POST", "/probe.Probe/Count", body, content_type=STREAM)
    assert (reply.status, reply.headers["content-type"]) == (200, STREAM)
    *items, end = reply.messages
    assert [item.get("number", "0") for item in items] == ["0", "1", "2"]
    assert end == {}


def test_client_streams_and_both_at_once_are_carried_too(stage: Stage) -> None:
    body = envelope({"number": 3}) + envelope({"number": 4})
    reply = stage.served.ask("POST", "/probe.Probe/Sum", body, content_type=STREAM)
    assert [each.get("number") for each in reply.messages] == ["7", None]
    with Http2(stage.served.address) as client:
        stream = client.begin("/probe.Probe/Each", STREAM)
        client.send(stream, envelope({"number": 3}), ends=False)
        while stream not in client.taken:  # the first answer, while the requests go on
            assert client.step()
        client.send(stream, envelope({"number": 4}))
        sent = envelopes(client.until_ended(stream))
    assert [json.loads(data).get("number") for _, data in sent] == ["6", "8", None]


def test_calls_by_http2_run_side_by_side_on_one_connection(stage: Stage) -> None:
    with Http2(stage.served.address) as client:
        streams = [client.begin("/probe.Probe/Look") for _ in range(20)]
        for number, stream in enumerate(streams):
            client.send(stream, json.dumps({"number": number}).encode())
        bodies = [json.loads(client.until_ended(stream)) for stream in streams]
    assert [int(body.get("number", 0)) for body in bodies] == list(range(20))
    assert set(client.status.values()) == {200}


# What goes along


def test_metadata_go_along_and_who_asks_cannot_be_said(stage: Stage) -> None:
    reply = stage.served.post("/probe.Probe/Look", actr_metadata_color="red", cookie="a=b")
    seen = json.loads(reply.json["text"])
    assert seen["metadata"] == {"color": "red"}
    assert seen["caller"].startswith("actr:gateway@")
    refused = stage.served.post("/probe.Probe/Look", actr_metadata_gateway_caller="root")
    assert (refused.status, refused.json["code"]) == (400, "invalid_argument")


def test_the_deadline_is_the_actors_too(stage: Stage) -> None:
    reply = stage.served.post("/probe.Probe/Look", connect_timeout_ms="20000")
    assert 0 < json.loads(reply.json["text"])["left"] <= 20
    late = stage.served.post("/probe.Probe/Wait", {"number": 60}, connect_timeout_ms="1000")
    assert (late.status, late.json["code"]) == (504, "deadline_exceeded")
    heard(stage.actor, "cancelled")
    odd = stage.served.post("/probe.Probe/Look", connect_timeout_ms="soon")
    assert (odd.status, odd.json["code"]) == (400, "invalid_argument")


# Errors


@pytest.mark.parametrize("code", Code)
def test_each_code_of_an_actor_comes_out_as_connects(stage: Stage, code: Code) -> None:
    body = {"number": int(code), "text": "why"}
    reply = stage.served.post(f"/{PROBE}/probe.Probe/Fail", body)
    assert reply.status == HTTP_STATUS[code]
    assert reply.headers["content-type"] == "application/json"
    assert (reply.json["code"], reply.json["message"]) == (WORDS[code], "why")
    (detail,) = reply.json["details"]
    assert detail["type"] == "probe.Ask"
    assert b64decode(detail["value"] + "==") == b"\x12\x06detail"


def test_when_to_try_again_is_a_header(stage: Stage) -> None:
    reply = stage.served.post("/probe.Probe/Fail", {"number": 8, "text": "later"})
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")
    assert [each["type"] for each in reply.json["details"]] == [
        "probe.Ask",
        "google.rpc.RetryInfo",
    ]


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        ("/", b"{}", "unimplemented", "/package.Service/Method"),
        ("/actr.Reflection/Describe", b"{}", "unimplemented", "no gateway offers it"),
        (f"/{PROBE}/probe.Probe/Nope", b"{}", "unimplemented", "has no method probe.Probe.Nope"),
        ("/probe.Nope/Nope", b"{}", "unavailable", "nobody who is online"),
        ("/demo:nobody/probe.Probe/Look", b"{}", "unavailable", "demo:nobody"),
        ("/nobody/probe.Probe/Look", b"{}", "invalid_argument", "write an actor id"),
        ("/probe.Probe/Look", b'{"number', "invalid_argument", "JSON"),
        ("/probe.Probe/Look", b'{"number": "x"}', "invalid_argument", "number"),
        ("/probe.Probe/Look", b"[" * 100_000, "invalid_argument", "unmarshal"),
        ("/probe.Probe/Look", b" " * 1_100_000, "resource_exhausted", "use protobuf"),
        ("/probe.Probe/Look", b" " * 4_200_000, "resource_exhausted", "larger than"),
        ("/probe.Nope/Nope", b" " * 900_000, "unavailable", "nobody who is online"),
    ],
)
def test_what_cannot_be_called_says_why_and_the_gateway_goes_on(
    stage: Stage, path: str, body: bytes, code: str, words: str
) -> None:
    reply = stage.served.post(path, body)
    assert reply.json["code"] == code
    assert words in reply.json["message"]
    with Http2(stage.served.address) as client:  # a refusal leaves the connection whole
        stream = client.begin(path)
        client.send(stream, body)
        assert json.loads(client.until_ended(stream))["code"] == code
        again = client.begin("/probe.Probe/Look")
        client.send(again, b"{}")
        client.until_ended(again)
        assert client.status[again] == 200


def test_a_reply_that_json_cannot_say_is_an_error_and_counted(stage: Stage) -> None:
    control = str(stage.served.told["control"])
    before = ask(control, "status")["gateway"]["calls"]["ended"]
    with Http2(stage.served.address) as client:
        stream = client.begin("/probe.Probe/Look")
        client.send(stream, b'{"text": "odd"}')
        told = json.loads(client.until_ended(stream))
        assert (client.status[stream], told["code"]) == (500, "internal")
        assert "cannot be said in JSON" in told["message"]
        again = client.begin("/probe.Probe/Look")  # the connection is whole
        client.send(again, b"{}")
        client.until_ended(again)
        assert client.status[again] == 200
    after = ask(control, "status")["gateway"]["calls"]["ended"]
    assert after["internal"] == before.get("internal", 0) + 1
    assert after["ok"] == before.get("ok", 0) + 1


def test_an_error_of_a_stream_is_its_last_message(stage: Stage) -> None:
    for path in ("/probe.Nope/Nope", "/probe.Probe/Nope"):
        reply = stage.served.ask("POST", path, envelope({}), content_type=STREAM)
        assert (reply.status, reply.headers["content-type"]) == (200, STREAM)
        assert set(reply.messages[-1]) == {"error"}
    half = stage.served.ask("POST", "/probe.Probe/Count", b"\0\0\0\1\0{", content_type=STREAM)
    assert half.messages[-1]["error"]["code"] == "invalid_argument"


# Who leaves, and who is slow


def test_a_caller_that_leaves_cancels_its_call(stage: Stage) -> None:
    with socket.create_connection(stage.served.address, timeout=60) as client:
        client.sendall(_raw("/probe.Probe/Wait", b'{"number": 600}'))
        heard(stage.actor, "waiting")
    heard(stage.actor, "cancelled")
    with Http2(stage.served.address) as client:
        stream = client.begin("/probe.Probe/Wait")
        client.send(stream, b'{"number": 600}')
        heard(stage.actor, "waiting")
        client.reset(stream)
        heard(stage.actor, "cancelled")
        other = client.begin("/probe.Probe/Look")
        client.send(other, b"{}")
        assert b"metadata" in client.until_ended(other)


@pytest.mark.parametrize("is_http2", [False, True])
def test_a_reader_that_takes_nothing_holds_the_actor(stage: Stage, *, is_http2: bool) -> None:
    """200 MB are asked for, and nothing is read: what is under way when the time is over is what
    buffers hold."""
    body = envelope({"number": 20_000, "text": "x" * 10_000})
    if is_http2:
        with Http2(stage.served.address, window=65_535) as client:
            stream = client.begin("/probe.Probe/Count", STREAM, connect_timeout_ms="5000")
            client.send(stream, body)
            stopped = heard(stage.actor, "stopped")
    else:
        with socket.create_connection(stage.served.address, timeout=60) as plain:
            plain.sendall(_raw("/probe.Probe/Count", body, STREAM, "connect-timeout-ms: 5000\r\n"))
            stopped = heard(stage.actor, "stopped")
    assert 0 < int(stopped.split()[1]) < (300 if is_http2 else 1_000)


def _raw(path: str, body: bytes, content_type: str = "application/json", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n{more}"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


# Pages


def test_a_page_is_let_in_by_its_origin_alone(stage: Stage) -> None:
    other = stage.served.post("/probe.Probe/Look", origin="https://evil.example")
    assert (other.status, other.json["code"]) == (403, "permission_denied")
    assert "access-control-allow-origin" not in other.headers
    image = stage.served.ask(
        "GET", "/probe.Probe/Look?encoding=json&message={}", sec_fetch_site="cross-site"
    )
    assert image.status == 403
    rebound = stage.served.post("/probe.Probe/Look", host="evil.example")
    assert rebound.status == 403
    with gateway(stage.place, "--allowed-origin", "https://app.example") as served:
        page = {"origin": "https://app.example"}
        asked = {"access_control_request_headers": "content-type,connect-timeout-ms"}
        before = served.ask("OPTIONS", "/probe.Probe/Look", **page, **asked)
        assert before.status == 204
        assert before.headers["access-control-allow-origin"] == "https://app.example"
        assert before.headers["access-control-allow-headers"] == "connect-timeout-ms, content-type"
        reply = served.post("/probe.Probe/Look", **page)
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert served.post("/probe.Probe/Look", origin="null").status == 403


# Rules


def test_rules_say_which_caller_may_call_what(stage: Stage, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"t-web").hexdigest()
    rules = tmp_path / "gateway.toml"
    rules.write_text(
        f"""
        [[caller]]
        name = "web"
        sha256 = "{digest}"
        [[access]]
        effect = "allow"
        callers = ["web"]
        actors = ["demo:probe@*"]
        methods = ["probe.Probe.Look", "probe.Probe.Count"]
        [[access]]
        effect = "allow"
        callers = ["anonymous"]
        actors = ["demo:probe@1"]
        methods = ["probe.Probe.Fail"]
        [services]
        "probe.Other" = "demo:probe"
        """,
        "utf-8",
    )
    token = {"authorization": "Bearer t-web"}
    with gateway(stage.place, "--rules", str(rules)) as served:
        reply = served.post("/probe.Probe/Look", host="gateway.example", **token)
        assert json.loads(reply.json["text"])["metadata"] == {"gateway-caller": "web"}
        denied = served.post("/probe.Probe/Wait", **token)
        assert (denied.status, denied.json["code"]) == (403, "permission_denied")
        unknown = served.post("/probe.Probe/Look", authorization="Bearer t-other")
        assert (unknown.status, unknown.headers["www-authenticate"]) == (401, "Bearer")
        nobody = served.post(f"/{PROBE}/probe.Probe/Look")
        assert (nobody.status, nobody.json["code"]) == (401, "unauthenticated")
        open_to_all = served.post(f"/{PROBE}/probe.Probe/Fail", {"number": 5})
        assert open_to_all.status == 404
        unlooked = served.post("/other.Service/Look", **token)
        assert unlooked.status == 403
        stream = served.ask("POST", "/probe.Probe/Count", envelope({}), content_type=STREAM)
        assert stream.messages[-1]["error"]["code"] == "unauthenticated"


# Start and end


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--http", "0.0.0.0:0"), Exit.USAGE, "say with --rules who may call what"),
        (("--http", "nowhere"), Exit.USAGE, "write host:port"),
        (("--rules", "none.toml"), Exit.USAGE, "cannot read none.toml"),
        (("--rules", "probe.proto"), Exit.USAGE, "probe.proto is no TOML"),
        (("--certificate", "a.pem"), Exit.USAGE, "give both"),
        (("--certificate", "a.pem", "--key", "b.pem"), Exit.USAGE, "--certificate a.pem"),
        (("--max-calls", "0"), Exit.USAGE, "--max-calls"),
        (("--allowed-origin", "app.example"), Exit.USAGE, "--allowed-origin 'app.example'"),
        (("-m", "nowhere_actr"), Exit.USAGE, "nowhere_actr"),
    ],
)
def test_a_gateway_that_cannot_be_says_why(
    stage: Stage, arguments: tuple[str, ...], status: Exit, words: str
) -> None:
    ended = stage.place.run("gateway", *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(stage: Stage) -> None:
    host, port = stage.served.address
    ended = stage.place.run("gateway", "--http", f"{host}:{port}")
    assert (ended.returncode, ended.stderr.count("--http")) == (Exit.BUSY, 1)


def test_it_ends_gracefully_calls_that_run_come_to_their_end(stage: Stage) -> None:
    with (
        gateway(stage.place) as served,
        socket.create_connection(served.address, timeout=60) as one,
    ):
        one.sendall(_raw("/probe.Probe/Wait", b'{"number": 2}'))
        heard(stage.actor, "waiting")
        served.process.send_signal(signal.SIGTERM)
        got = b""
        while chunk := one.recv(65536):
            got += chunk
        assert b'"waited"' in got
        assert served.process.wait(timeout=60) == Exit.OK


def test_a_call_that_takes_too_long_at_the_end_is_cut(stage: Stage) -> None:
    with (
        gateway(stage.place, "--grace", "0.2") as served,
        socket.create_connection(served.address, timeout=60) as one,
    ):
        one.sendall(_raw("/probe.Probe/Wait", b'{"number": 600}'))
        heard(stage.actor, "waiting")
        served.process.send_signal(signal.SIGTERM)
        heard(stage.actor, "cancelled")
        assert served.process.wait(timeout=60) == Exit.OK


def test_calls_over_the_limit_are_refused_at_once(stage: Stage) -> None:
    with (
        gateway(stage.place, "--max-calls", "1") as served,
        socket.create_connection(served.address, timeout=60) as one,
    ):
        one.sendall(_raw("/probe.Probe/Wait", b'{"number": 600}'))
        heard(stage.actor, "waiting")
        more = served.post("/probe.Probe/Look")
        assert (more.status, more.json["code"]) == (429, "resource_exhausted")
        assert more.headers["retry-after"] == "1"
    heard(stage.actor, "cancelled")


def test_it_says_to_actr_ps_what_it_has_done(stage: Stage) -> None:
    control = str(stage.served.told["control"])
    with Http2(stage.served.address) as client:
        stream = client.begin("/probe.Probe/Look")
        client.send(stream, b"{}")
        client.until_ended(stream)
        own = ask(control, "status")
    assert own["gateway"]["calls"]["ended"]["ok"] > 0
    assert own["gateway"]["connections"]["open"] >= 1


def test_the_loss_of_the_actor_ends_its_calls_as_actr_call_does(stage: Stage) -> None:
    lost = "demo:lost@1:default"
    with (
        probe(stage.place, lost) as actor,
        socket.create_connection(stage.served.address, timeout=60) as one,
    ):
        one.sendall(_raw(f"/{lost}/probe.Probe/Wait", b'{"number": 600}'))
        heard(actor, "waiting")
        actor.terminate()
        got = one.recv(65536)
        while b"\r\n\r\n" not in got or b"}" not in got:
            got += one.recv(65536)
        assert b'"code": "' in got
    gone = stage.served.post(f"/{lost}/probe.Probe/Look", connect_timeout_ms="20000")
    assert (gone.status, gone.json["code"]) == (503, "unavailable")
