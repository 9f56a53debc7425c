"""Which method of whom a request means, and what is refused."""

from __future__ import annotations

import pytest

from actr_peer.errors import CallError, Code
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.bounds import MAX_METADATA_BYTES, MAX_METADATA_ENTRIES
from actr_peer.protocol.rpc.connect.routes import (
    Route,
    read_metadata,
    read_route,
    read_timeout,
)

ROOM = ActrId("acme", "room", "1")


@pytest.mark.parametrize(
    ("path", "header", "to"),
    [
        ("/chat.Room/Say", None, None),
        ("/chat.Room/Say", "acme:room@1:default", ROOM),
        ("/chat.Room/Say", "actr://default/acme:room@1", ROOM),
        ("/chat.Room/Say", "acme:room", ActrType("acme:room")),
        ("/acme:room@1:default/chat.Room/Say", None, ROOM),
        ("/acme%3Aroom%401%3Adefault/chat.Room/Say", None, ROOM),
        ("/actr%3A%2F%2Fdefault%2Facme%3Aroom%401/chat.Room/Say", None, ROOM),
        ("/acme:room/chat.Room/Say", "acme:room", ActrType("acme:room")),
    ],
)
def test_a_request_names_a_method_and_whom(
    path: str, header: str | None, to: ActrId | ActrType | None
) -> None:
    route = read_route(path, header)
    assert route == Route(to, "chat.Room", "Say")
    assert (route.key, route.path) == ("chat.Room.Say", "/chat.Room/Say")


def test_a_service_may_be_of_no_package() -> None:
    assert read_route("/Room/Say", None).key == "Room.Say"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/chat.Room",
        "chat.Room/Say",
        "/chat.Room/Say/",
        "/a:b/chat.Room/Say/More",
        "/chat..Room/Say",
        "/chat.Room/S-ay",
        "/chat.Room/Say%0A",
        "/chat.Room%2FSay",
        "/actr.Reflection/Describe",
        "/actr/Describe",
        f"/chat.{'R' * 260}/Say",
        f"/{'a' * 2000}/chat.Room/Say",
    ],
)
def test_what_is_no_method_is_not_implemented(path: str) -> None:
    with pytest.raises(CallError) as caught:
        read_route(path, None)
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/chat.Room/Say", "acme"),
        ("/chat.Room/Say", ""),
        ("/chat.Room/Say", "self"),
        ("/shell/chat.Room/Say", None),
        ("//chat.Room/Say", None),
        ("/acme:room/chat.Room/Say", "acme:other"),
    ],
)
def test_a_destination_that_is_none_or_two_is_refused(path: str, header: str | None) -> None:
    with pytest.raises(CallError) as caught:
        read_route(path, header)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_metadata_are_headers_by_their_prefix_and_who_calls() -> None:
    headers = [("actr-metadata-color", "red"), ("cookie", "a=b"), ("actr-metadata-a", "")]
    assert read_metadata(headers, "") == {"color": "red", "a": ""}
    assert read_metadata(headers, "web") == {"color": "red", "a": "", "gateway-caller": "web"}


@pytest.mark.parametrize(
    "headers",
    [
        [("actr-metadata-", "x")],
        [("actr-metadata-a", "x"), ("actr-metadata-a", "x")],
        [("actr-metadata-gateway-caller", "root")],
        [("actr-metadata-a", "\0")],
        [(f"actr-metadata-{number}", "") for number in range(MAX_METADATA_ENTRIES + 1)],
        [("actr-metadata-a", "x" * MAX_METADATA_BYTES)],
    ],
)
@pytest.mark.parametrize("caller", ["", "web"])
def test_metadata_that_cannot_be_sent_are_refused(
    headers: list[tuple[str, str]], caller: str
) -> None:
    with pytest.raises(CallError) as caught:
        read_metadata(headers, caller)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_timeout_is_milliseconds_of_up_to_ten_digits() -> None:
    assert [read_timeout(each) for each in (None, "0", "1500", "9999999999")] == [
        None,
        0.0,
        1.5,
        9_999_999.999,
    ]


@pytest.mark.parametrize("header", ["", "-1", "1.5", " 1", "1_0", "٣", "12345678901"])
def test_a_timeout_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(CallError) as caught:
        read_timeout(header)
    assert caught.value.code is Code.INVALID_ARGUMENT
