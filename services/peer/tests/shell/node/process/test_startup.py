"""From settings to what a node takes."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from actr_peer.errors import ConfigError
from actr_peer.node.process import startup
from actr_peer.node.process.settings import (
    Actor,
    Control,
    IceServerEntry,
    Log,
    Mailbox,
    Realm,
    Settings,
    Wires,
)
from actr_peer.protocol.payload import WireKind

ACTOR = Actor(id="acme:room@2:default")
IN_MEMORY = Mailbox(path="")


def test_the_mailbox_path_takes_the_instance(tmp_path: Path) -> None:
    mailbox = Mailbox(path=str(tmp_path / "{instance}.db"))
    config = startup.node_config(Settings(actor=ACTOR, mailbox=mailbox))
    assert config.mailbox_path == tmp_path / "2.db"


def test_a_mailbox_folder_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/at/all does not exist.*ACTR_MAILBOX__PATH"):
        startup.node_config(Settings(actor=ACTOR, mailbox=Mailbox(path="/nowhere/at/all/x.db")))


def test_the_bounds_of_the_mailbox_reach_it() -> None:
    mailbox = Mailbox(path="", capacity=7, max_bytes=8 << 20, max_attempts=3, remember_s=60)
    config = startup.node_config(Settings(actor=ACTOR, mailbox=mailbox))
    bounds = (
        config.mailbox_capacity,
        config.mailbox_max_bytes,
        config.max_attempts,
        config.remember,
    )
    assert bounds == (7, 8 << 20, 3, 60)


def test_an_empty_path_keeps_the_mailbox_in_memory() -> None:
    assert startup.node_config(Settings(actor=ACTOR, mailbox=IN_MEMORY)).mailbox_path is None


def test_the_order_of_wires_and_an_empty_listener_are_handed_on() -> None:
    wires = Wires(prefer=("websocket",), listen="")
    config = startup.node_config(Settings(actor=ACTOR, mailbox=IN_MEMORY, wires=wires))
    assert (tuple(config.prefer), config.listen) == ((WireKind.WEBSOCKET,), None)


def test_a_secret_is_read_from_its_file_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "realm"
    path.write_text("0123456789abcdef\n", encoding="utf-8")
    realm = Realm(secret_file=path, production=True)
    config = startup.node_config(Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=realm))
    assert config.realm_secret == b"0123456789abcdef"
    assert "0123456789abcdef" not in repr(config)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("short", "openssl rand")],
    ids=["missing", "too short"],
)
def test_a_secret_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "realm"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=Realm(secret_file=path))
    with pytest.raises(ConfigError, match=rf"realm\.secret_file.*{words}"):
        startup.node_config(settings)


@pytest.mark.parametrize("value", ["0f3b9c-the-secret-itself", "/abc+the-secret/itself=="])
def test_a_secret_written_where_its_path_belongs_is_not_printed(value: str) -> None:
    realm = Realm(secret_file=Path(value))
    with pytest.raises(ConfigError, match="not shown") as refused:
        startup.node_config(Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=realm))
    assert "the-secret" not in str(refused.value)


def test_production_without_a_secret_is_refused() -> None:
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=Realm(production=True))
    with pytest.raises(ConfigError, match="ACTR_REALM__SECRET_FILE"):
        startup.node_config(settings)


def test_the_credential_of_an_ice_server_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    path.write_text("hush\n", encoding="utf-8")
    entry = IceServerEntry(urls=("turn:a:3478",), username="u", credential_file=path)
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, wires=Wires(ice_servers=(entry,)))
    assert startup.node_config(settings).ice_servers[0].credential == "hush"


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
    assert startup.index_in_name(name) == index


def test_auto_is_the_replicas_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "replica_index", lambda: "3")
    assert str(startup.own_id("acme:room@auto:default")) == "acme:room@3:default"


def test_auto_is_the_host_name_outside_of_compose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "replica_index", lambda: None)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert str(startup.own_id("acme:room@auto:default")) == "acme:room@box:default"


def test_each_instance_has_a_control_socket_of_its_own() -> None:
    found = startup.control_path(Settings(actor=ACTOR))
    assert str(found).endswith("actr-2.sock")


def test_no_control_socket_where_none_is_named() -> None:
    assert startup.control_path(Settings(actor=ACTOR, control=Control(socket=""))) is None


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored_logging")
def test_logs_of_ours_and_of_libraries_are_json_lines_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    startup.configure_logs(Log(format="json"))
    structlog.get_logger("actr").info("link ready", dest="acme:room@2:default")
    logging.getLogger("elsewhere").warning("line %s", 1)
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert captured.out == ""
    assert [(line["event"], line["level"]) for line in lines] == [
        ("link ready", "info"),
        ("line 1", "warning"),
    ]
    assert lines[0]["dest"] == "acme:room@2:default"
