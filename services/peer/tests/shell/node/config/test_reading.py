"""What settings only point to."""

from __future__ import annotations

import socket

import pytest

from actr_peer.node.config import reading
from actr_peer.node.config.settings import Actor, Control, Settings

ACTOR = Actor(id="acme:room@2:default")


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("actr-peer-3.actr_default.", "3"),
        ("my-project-peer-12.net.", "12"),
        ("box.example.", None),
        ("actr-peer.net.", None),
        ("922786896406.net.", None),
    ],
)
def test_a_replicas_index_is_the_number_at_the_end_of_its_name(
    name: str, index: str | None
) -> None:
    assert reading.index_in_name(name) == index


def test_auto_is_the_replicas_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "replica_index", lambda: "3")
    assert str(reading.own_id("acme:room@auto:default")) == "acme:room@3:default"


def test_auto_is_the_host_name_outside_of_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "replica_index", lambda: None)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert str(reading.own_id("acme:room@auto:default")) == "acme:room@box:default"


def test_each_instance_has_a_control_socket_of_its_own() -> None:
    found = reading.control_path(Settings(actor=ACTOR))
    assert str(found).endswith("/.actr/acme:room@2:default/control.sock")


def test_no_control_socket_where_none_is_named() -> None:
    assert reading.control_path(Settings(actor=ACTOR, control=Control(socket=""))) is None
