"""``actr doctor``: faults of this machine alone, planted."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from peer_kit.place import ROOM, Place
from peer_kit.signaling.running import RealIssuer

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_configuration_that_cannot_be_used_is_named(place: Place) -> None:
    found = place.examine(ACTR_WIRES__PREFER="pigeons")
    assert found.failed == "configuration"
    assert "wires.prefer" in found.fault[0]
    assert "actr config show" in found.fault[1]
    assert set(found.results.values()) == {"failed", "not tried"}


def test_a_port_that_another_program_has(place: Place) -> None:
    with place.signaling(), socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        found = place.examine(ACTR_WIRES__LISTEN=listen)
    assert found.failed == "port"
    assert listen in found.fault[0]
    assert "wires.listen" in found.fault[1]
    assert found.results["signaling proof"] == "ok"


def test_a_port_that_the_actor_itself_has_is_no_fault(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {
        "ACTR_ACTOR__ID": ROOM,
        "ACTR_CONTROL__SOCKET": "control.sock",
        "ACTR_WIRES__LISTEN": f"127.0.0.1:{port}",
    }
    place.environment |= own
    with place.signaling(), place.room():
        found = place.examine()
    assert found.failed is None
    assert ROOM in found.rows["port"]["found"]


async def test_a_certificate_is_looked_at_with_its_issuer(place: Place) -> None:
    secret = place.folder / "secret"
    secret.write_text("the secret of the realm", "utf-8")
    place.environment["ACTR_REALM__SECRET_FILE"] = str(secret)
    home = place.folder / "issuer"
    async with RealIssuer(home, REALM_SECRET_FILE=str(secret)) as issuer:
        place.environment["ACTR_IDENTITY__ISSUER_URL"] = issuer.url
        place.environment["ACTR_SIGNALING__ISSUER_KEYS"] = str(issuer.public / "keys.json")
        with place.signaling():
            found = await asyncio.to_thread(place.examine)
            assert found.failed is None, found.fault
            assert "good for another" in found.rows["certificate"]["found"]
            await issuer.stop()
            found = await asyncio.to_thread(place.examine)
    assert found.failed == "certificate"
    assert issuer.url in found.fault[0]
    assert "identity.issuer_url" in found.fault[1]
    assert found.results["signaling proof"] == "not tried"
