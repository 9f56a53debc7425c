"""Which names and addresses are this machine's own."""

from __future__ import annotations

import pytest

from actr_signaling.protocol.loopback import is_here, is_loopback, is_name_of_here


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8080", True),
        ("127.8.9.1", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("", False),
        (":8080", False),
        ("signaling.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.:8080", False),
        ("evil@localhost", False),
        ("localhost/x", False),
        ("localhost:evil", False),
        ("localhost:99999", False),
        ("[::1", False),
        ("192.168.1.2:8080", False),
        ("0.0.0.0:8080", False),
        ("10.0.0.1", False),
    ],
)
def test_only_names_that_lead_nowhere_else_are_this_machine(host: str, is_here: bool) -> None:
    assert is_name_of_here(host) is is_here


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("172.17.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, is_here: bool) -> None:
    assert is_loopback(address) is is_here


@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        ("127.0.0.1", "localhost:8080", True),
        ("127.0.0.1", "evil.example", False),
        ("10.0.0.1", "localhost:8080", False),
        ("", "localhost", False),
    ],
)
def test_a_request_from_here_comes_by_an_address_and_a_name_of_here(
    address: str, host: str, expected: bool
) -> None:
    assert is_here(address, host) is expected
