"""From settings to what a node takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import caller_config
from actr_peer.node.config.metrics import Metrics
from actr_peer.node.config.settings import (
    Actor,
    IceServerEntry,
    Mailbox,
    Realm,
    Settings,
    Wires,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.signaling.presence import Visibility
from actr_peer.wire.issuer.credentials import IdentityConfig

ACTOR = Actor(id="acme:room@2:default")
IN_MEMORY = Mailbox(path="")


def test_the_mailbox_path_takes_the_instance(tmp_path: Path) -> None:
    mailbox = Mailbox(path=str(tmp_path / "{instance}.db"))
    config = NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=mailbox))
    assert config.mailbox_path == tmp_path / "2.db"


def test_the_bounds_of_the_mailbox_reach_it() -> None:
    mailbox = Mailbox(path="", capacity=7, max_bytes=8 << 20, max_attempts=3, remember_s=60)
    config = NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=mailbox))
    bounds = (
        config.mailbox_capacity,
        config.mailbox_max_bytes,
        config.max_attempts,
        config.remember,
    )
    assert bounds == (7, 8 << 20, 3, 60)


def test_an_empty_path_keeps_the_mailbox_in_memory() -> None:
    assert NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=IN_MEMORY)).mailbox_path is None


def test_the_order_of_wires_and_an_empty_listener_are_handed_on() -> None:
    wires = Wires(prefer=("websocket",), listen="")
    config = NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=IN_MEMORY, wires=wires))
    assert (tuple(config.prefer), config.listen) == ((WireKind.WEBSOCKET,), None)


def test_a_secret_is_read_from_its_file_without_its_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "realm"
    path.write_text("0123456789abcdef\n", encoding="utf-8")
    realm = Realm(secret_file=path, production=True)
    config = NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=realm))
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
        NodeConfig.from_settings(settings)


@pytest.mark.parametrize("value", ["0f3b9c-the-secret-itself", "/abc+the-secret/itself=="])
def test_a_secret_written_where_its_path_belongs_is_not_printed(value: str) -> None:
    realm = Realm(secret_file=Path(value))
    with pytest.raises(ConfigError, match="not shown") as refused:
        NodeConfig.from_settings(Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=realm))
    assert "the-secret" not in str(refused.value)


def test_production_without_a_secret_is_refused() -> None:
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, realm=Realm(production=True))
    with pytest.raises(ConfigError, match="ACTR_REALM__SECRET_FILE"):
        NodeConfig.from_settings(settings)


def test_the_credential_of_an_ice_server_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "turn"
    path.write_text("hush\n", encoding="utf-8")
    entry = IceServerEntry(urls=("turn:a:3478",), username="u", credential_file=path)
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, wires=Wires(ice_servers=(entry,)))
    assert NodeConfig.from_settings(settings).ice_servers[0].credential == "hush"


@pytest.fixture
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("ACTR_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_bare_environment")
def test_a_program_reads_the_file_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("actr.toml").write_text('[actor]\nid = "acme:room@2:default"\n[calls]\ntimeout_s = 7\n')
    monkeypatch.setenv("ACTR_SIGNALING__URL", "ws://there:1/v1/ws")
    config = NodeConfig.load()
    assert (str(config.id), config.call_timeout) == ("acme:room@2:default", 7)
    assert config.signaling_url == "ws://there:1/v1/ws"


@pytest.mark.usefixtures("_bare_environment")
def test_the_files_of_an_actor_are_named_by_its_id(tmp_path: Path) -> None:
    folder = tmp_path / ".actr" / "acme:room@3:default"
    for own in ("acme:room@3:default", ActrId.parse("acme:room@3:default")):
        config = NodeConfig.load(id=own)
        assert (config.mailbox_path, config.control_socket) == (
            folder / "mailbox.db",
            folder / "control.sock",
        )
    assert not (tmp_path / ".actr").exists()


@pytest.mark.usefixtures("_bare_environment")
def test_a_file_that_a_program_names_is_read_and_refused_by_name() -> None:
    Path("other.toml").write_text("[calls]\ntimeout = 7\n")
    with pytest.raises(ConfigError, match=r"calls\.timeout in other\.toml; did you mean calls\.t"):
        NodeConfig.load("other.toml")


def test_what_others_are_told_of_an_actor_is_handed_on() -> None:
    actor = Actor(
        id="acme:room@2:default",
        metadata={"zone": "a"},
        visibility="hidden",
        allowed_realms=("plant",),
    )
    config = NodeConfig.from_settings(Settings(actor=actor, mailbox=IN_MEMORY))
    assert dict(config.metadata) == {"zone": "a"}
    assert (config.visibility, config.allowed_realms) == (Visibility.HIDDEN, ("plant",))


@pytest.mark.parametrize("takes_over", [True, False])
def test_an_actor_takes_over_where_it_may(takes_over: bool) -> None:
    settings = Settings(actor=Actor(takes_over=takes_over))
    assert NodeConfig.from_settings(settings).takes_over is takes_over
    assert caller_config(settings, "caller", named={"actor.id"}).takes_over is takes_over
    assert not caller_config(settings, "call", takes_over=False).takes_over


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"metadata": {str(number): "" for number in range(17)}}, "17 entries"),
        ({"metadata": {"zone": "x" * 253}}, "the longest of 257 bytes"),
        ({"allowed_realms": ("no realm",)}, r"allowed_realms = \['no realm'\]"),
        ({"allowed_realms": tuple(str(number) for number in range(17))}, "at most 16 realms"),
    ],
    ids=["too many entries", "too long an entry", "no realm", "too many realms"],
)
def test_more_than_signaling_takes_is_refused_here(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NodeConfig(id=ActrId.parse("acme:room@2:default"), signaling_url="ws://there/", **more)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (None, None),
        ("", None),
        ("host:9100", "ws://host:9100/v1/wire"),
        ("wss://host/v1/wire", "wss://host/v1/wire"),
    ],
)
def test_a_program_advertises_a_host_and_port_as_a_file_does(
    given: str | None, address: str | None
) -> None:
    own = ActrId.parse("acme:room@2:default")
    config = NodeConfig(id=own, signaling_url="ws://there/", advertise=given)
    assert config.advertise == address


def test_what_is_no_address_is_not_advertised() -> None:
    own = ActrId.parse("acme:room@2:default")
    with pytest.raises(ConfigError, match=r"wires\.advertise = 'host:99999': must be host:port"):
        NodeConfig(id=own, signaling_url="ws://there/", advertise="host:99999")


def test_origins_that_a_program_names_are_read_as_a_files_are() -> None:
    own = ActrId.parse("acme:room@2:default")
    listed = ("https://A.example/", "*")
    config = NodeConfig(id=own, signaling_url="ws://there/", allowed_origins=listed)
    assert config.allowed_origins == ("https://a.example", "*")
    with pytest.raises(ConfigError, match=r"wires\.allowed_origins = \('null',\): must be scheme"):
        NodeConfig(id=own, signaling_url="ws://there/", allowed_origins=("null",))


@pytest.mark.parametrize("text", ["acme:room@2:north", "actr://north/acme:room@2"])
def test_an_id_may_be_given_as_text(text: str) -> None:
    given: Any = text
    config = NodeConfig(id=given, signaling_url="ws://there:1/v1/ws")
    assert config.id == ActrId("acme", "room", "2", "north")


@pytest.mark.parametrize(("given", "said"), [("room", "actor id 'room': write"), (7, "id = 7")])
def test_an_id_that_is_none_is_refused_at_once(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        NodeConfig(id=given, signaling_url="ws://there:1/v1/ws")


SECRET = b"a secret of the realm"
URL = "https://issuer.example"


@pytest.mark.parametrize(
    ("identity", "secret", "trust"),
    [
        (None, None, "development"),
        (None, SECRET, "secret"),
        (IdentityConfig(issuer_url=URL), None, "certificate"),
        (IdentityConfig(issuer_url=URL), SECRET, "certificate"),
        (IdentityConfig(issuer_url=URL, is_required=False), SECRET, "secret"),
    ],
)
def test_it_says_what_others_have_to_prove(
    identity: IdentityConfig | None, secret: bytes | None, trust: str
) -> None:
    config = NodeConfig(
        id=ActrId("acme", "room", "1"),
        signaling_url="ws://127.0.0.1:1/v1/ws",
        identity=identity,
        realm_secret=secret,
    )
    assert config.trust == trust


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("", ""),
        ("127.0.0.1:9464", "127.0.0.1:9464"),
        ("unix:/run/{id}/m.sock", "unix:/run/acme:room@2:default/m.sock"),
        ("unix:/run/{instance}.sock", "unix:/run/2.sock"),
    ],
)
def test_where_metrics_are_told_may_be_named_by_the_actor(listen: str, address: str) -> None:
    settings = Settings(actor=ACTOR, mailbox=IN_MEMORY, metrics=Metrics(listen=listen))
    assert NodeConfig.from_settings(settings).metrics == address


def test_who_only_calls_takes_no_address_of_another_actor() -> None:
    settings = Settings(actor=ACTOR, metrics=Metrics(listen="127.0.0.1:9464"))
    assert caller_config(settings, "call").metrics == ""
