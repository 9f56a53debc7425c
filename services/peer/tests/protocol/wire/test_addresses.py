from __future__ import annotations

import pytest

from actr_peer.protocol.wire.addresses import is_loopback, is_loopback_name, site_of


@pytest.mark.parametrize("host", ["::1", "localhost", "127.0.0.1", "127.9.9.9"])
def test_the_loopback_by_number_or_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "localhost.evil.example", "127.0.0.1:80"])
def test_what_is_not_this_machine_alone(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("127.0.0.1", True),
        ("evil.example:8080", False),
        ("user@evil.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_the_host_that_a_request_names(host: str, *, is_here: bool) -> None:
    assert is_loopback_name(host) is is_here


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("ws://127.0.0.1:8080/v1/ws", "http://127.0.0.1:8080"),
        ("wss://host/below/v1/ws", "https://host/below"),
    ],
)
def test_where_a_signaling_service_answers_over_http(url: str, site: str) -> None:
    assert site_of(url) == site
