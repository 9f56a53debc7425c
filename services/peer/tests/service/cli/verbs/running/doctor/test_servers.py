"""``actr doctor``: faults of STUN and TURN servers, planted; coturn is a real one."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer_kit.place import Place
from peer_kit.webrtc.coturn import coturn
from tests.skips import lacking

pytestmark = [pytest.mark.service, pytest.mark.slow]

with_coturn = pytest.mark.skipif(shutil.which("turnserver") is None, reason=lacking("turnserver"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with made.signaling():
        yield made


def servers(place: Place, *urls: str, password: str = "right") -> None:
    """Write the configuration of a person who has these servers."""
    secret = place.folder / "password"
    secret.write_text(password, "utf-8")
    tables = [f'[[wires.ice_servers]]\nurls = ["{url}"]\n' for url in urls]
    user = f'username = "user"\ncredential_file = "{secret}"\n'
    text = "".join(table + (user if '"turn' in table else "") for table in tables)
    (place.folder / "actr.toml").write_text(text, "utf-8")


def test_a_stun_server_that_is_dead(place: Place) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        servers(place, url)
        found = place.examine()
    assert found.failed == url
    assert "no answer" in found.fault[0]
    assert "wires.ice_servers" in found.fault[1]
    assert "UDP" in found.fault[1]


def test_a_turn_server_that_cannot_be_reached(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = f"turn:127.0.0.1:{port}?transport=tcp"
    servers(place, url)
    found = place.examine()
    assert found.failed == url
    assert "start the TURN server, let TCP to it through" in found.fault[1]


@with_coturn
def test_a_turn_password_that_is_wrong(place: Place) -> None:
    with coturn(place.folder) as port:
        url = f"turn:127.0.0.1:{port}?transport=udp"
        servers(place, url, password="wrong")
        found = place.examine()
    assert found.failed == url
    assert "401" in found.fault[0]
    assert "credential_file" in found.fault[1]


@with_coturn
def test_turn_credentials_of_signaling_that_the_server_does_not_take(tmp_path: Path) -> None:
    secret = tmp_path / "turn-secret"
    secret.write_text("not the secret of that server", "utf-8")
    place = Place(tmp_path)
    with coturn(tmp_path) as port:
        url = f"turn:127.0.0.1:{port}?transport=udp"
        place.environment["ACTR_SIGNALING__TURN_URLS"] = url
        place.environment["ACTR_SIGNALING__TURN_SECRET_FILE"] = str(secret)
        with place.signaling():
            found = place.examine()
    assert found.failed == url
    assert "ACTR_SIGNALING__TURN_SECRET_FILE" in found.fault[1]


@with_coturn
def test_servers_that_work_say_what_they_give(place: Place) -> None:
    with coturn(place.folder) as port:
        stun, turn = f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}?transport=tcp"
        second = f"turn:127.0.0.1:{port}?transport=udp"
        servers(place, stun, turn, second, "stuns:127.0.0.1:1")
        found = place.examine()
    assert found.failed is None
    assert "sees this machine at" in found.rows[stun]["found"]
    assert "relays at 127.0.0.1:" in found.rows[turn]["found"]
    assert "alone" not in found.rows[turn]["found"]
    assert "ask the first of its kind alone" in found.rows[second]["found"]
    assert found.results["stuns:127.0.0.1:1"] == "skipped"
