"""Configuration: what wins, what is refused, and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.errors import ConfigError
from actr_peer.node.config import loading
from actr_peer.node.config.settings import MAY_BE_EMPTY


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the machine that runs the tests."""
    for key in loading.known_keys():
        monkeypatch.delenv(loading.variable(key), raising=False)
    monkeypatch.delenv(loading.FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def origin(key: str) -> tuple[object, str]:
    entry = next(entry for entry in loading.load().entries if entry.key == key)
    return entry.value, entry.origin


def test_the_defaults_are_those_of_the_documentation() -> None:
    loaded = loading.load().settings
    assert loaded.actor.id == "acme:room@auto:default"
    assert loaded.signaling.url == "ws://127.0.0.1:8080/v1/ws"
    assert loaded.wires.prefer == ("webrtc", "websocket")
    assert loaded.wires.ice_servers == ()
    assert loaded.mailbox.durability == "power"
    assert loaded.calls.timeout_s == 30


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert origin("calls.timeout_s") == (30, "default")
    Path("actr.toml").write_text("[calls]\ntimeout_s = 7\n", encoding="utf-8")
    assert origin("calls.timeout_s") == (7, "actr.toml")
    monkeypatch.setenv("ACTR_CALLS__TIMEOUT_S", "8")
    assert origin("calls.timeout_s") == (8, "ACTR_CALLS__TIMEOUT_S")


def test_a_key_of_a_section_in_the_environment_leaves_its_other_keys_to_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("actr.toml").write_text('[wires]\nlisten = "127.0.0.1:1"\n', encoding="utf-8")
    monkeypatch.setenv("ACTR_WIRES__ICE_POLICY", "relay")
    wires = loading.load().settings.wires
    assert (wires.listen, wires.ice_policy) == ("127.0.0.1:1", "relay")


@pytest.mark.parametrize(
    "text",
    ["websocket,webrtc", "websocket, webrtc", '["websocket", "webrtc"]'],
    ids=["commas", "commas and spaces", "JSON"],
)
def test_a_list_in_the_environment_is_json_or_parts_joined_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ACTR_WIRES__PREFER", text)
    assert loading.load().settings.wires.prefer == ("websocket", "webrtc")


def test_an_ice_server_is_a_bare_url_or_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTR_WIRES__ICE_SERVERS", '["stun:a:1", {"urls": ["turn:b:2"]}]')
    servers = loading.load().settings.wires.ice_servers
    assert [server.urls for server in servers] == [("stun:a:1",), ("turn:b:2",)]


@pytest.mark.parametrize(
    "key", ["calls.timeout_s", "wires.prefer", "wires.ice_servers", "actor.id", "realm.secret_file"]
)
def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(loading.variable(key), "")
    assert origin(key)[1] == "default"


@pytest.mark.parametrize("key", MAY_BE_EMPTY)
def test_an_empty_variable_is_none_where_none_is_a_choice(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(loading.variable(key), "")
    assert origin(key) == ("", loading.variable(key))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ACTR_WIRES__ICE_POLICY", "none", ["wires.ice_policy", "'none'", "'all' or 'relay'"]),
        ("ACTR_WIRES__PREFER", "carrier-pigeon", ["wires.prefer", "'webrtc' or 'websocket'"]),
        ("ACTR_WIRES__LISTEN", "9100", ["wires.listen", "host:port"]),
        ("ACTR_WIRES__ADVERTISE", "ws://host:1/other", ["wires.advertise", "/v1/wire"]),
        ("ACTR_WIRES__ADVERTISE", "http://host:1", ["wires.advertise", "ws://host:port"]),
        ("ACTR_WIRES__ADVERTISE", "host:99999", ["wires.advertise", "host:port"]),
        ("ACTR_WIRES__REACH", "everything", ["wires.reach", "'private'"]),
        ("ACTR_WIRES__ALLOWED_ORIGINS", "a.example", ["wires.allowed_origins", "scheme://host"]),
        ("ACTR_CALLS__TIMEOUT_S", "soon", ["calls.timeout_s", "'soon'", "number"]),
        ("ACTR_CALLS__TIMEOUT_S", "0", ["calls.timeout_s", "greater than 0"]),
        ("ACTR_MAILBOX__CAPACITY", "0", ["mailbox.capacity", "greater than or equal to 1"]),
        ("ACTR_ACTOR__ID", "room", ["actor.id", "manufacturer:name@instance:realm"]),
        ("ACTR_SIGNALING__URL", "http://x", ["signaling.url", "ws://"]),
        ("ACTR_METRICS__LISTEN", "9464", ["metrics.listen", "host:port", "unix:PATH"]),
        ("ACTR_METRICS__LISTEN", "unix:", ["metrics.listen", "name a file"]),
    ],
)
def test_a_wrong_value_names_the_key_the_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        loading.load()
    for word in [*words, name]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ACTR_WIRES__PERFER", "ACTR_WIRES__PREFER"),
        ("ACTR_WIRE__PREFER", "ACTR_WIRES__PREFER"),
        ("ACTR_CALLS_TIMEOUT_S", "ACTR_CALLS__TIMEOUT_S"),
    ],
    ids=["wrong key", "wrong section", "one underscore too few"],
)
def test_an_unknown_variable_is_refused_and_the_nearest_key_named(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"unknown variable {name}; did you mean {meant}"):
        loading.load()


def test_variables_that_are_no_keys_and_like_none_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTR_PYTHON", "python3.12")
    loading.load()


def test_variables_of_the_services_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTR_SIGNALING__REDIS_URL", "redis://redis:6379/0")
    monkeypatch.setenv("ACTR_ISSUER__HOME", ".actr/issuer")
    monkeypatch.setenv("ACTR_SIGNALING__URL", "ws://here:1/v1/ws")
    assert loading.load().settings.signaling.url == "ws://here:1/v1/ws"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[wires]\nice_polcy = 1", ["unknown key wires.ice_polcy", "wires.ice_policy?"]),
        ("[cals]\ntimeout_s = 1", ["unknown key cals", "calls?"]),
        ("wires = 3", ["wires = 3", "actr.toml"]),
        ("[wires", ["actr.toml is not TOML"]),
    ],
    ids=["unknown key", "unknown section", "no table", "no TOML"],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_reason(text: str, words: list[str]) -> None:
    Path("actr.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        loading.load()
    for word in words:
        assert word in str(caught.value)


def test_all_wrong_keys_of_a_file_are_told_at_once() -> None:
    Path("actr.toml").write_text("[mailbox]\ncapacity = 0\nmax_attempts = 0", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mailbox\.capacity.*; mailbox\.max_attempts"):
        loading.load()


def test_a_file_that_is_named_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(loading.FILE_VARIABLE, "nowhere.toml")
    with pytest.raises(ConfigError, match=r"cannot read nowhere\.toml.*ACTR_CONFIG"):
        loading.load()


def test_settings_cannot_be_changed() -> None:
    loaded = loading.load().settings
    with pytest.raises(ValueError, match="frozen"):
        loaded.calls.timeout_s = 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ""),
        ("host:9100", "ws://host:9100/v1/wire"),
        ("[2001:db8::1]:9100", "ws://[2001:db8::1]:9100/v1/wire"),
        ("ws://host:9100", "ws://host:9100/v1/wire"),
        ("ws://host:9100/", "ws://host:9100/v1/wire"),
        ("wss://host/v1/wire", "wss://host/v1/wire"),
    ],
)
def test_an_address_that_is_advertised_has_the_path_of_a_wire(
    text: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTR_WIRES__ADVERTISE", text)
    assert loading.load().settings.wires.advertise == address


def test_origins_of_pages_are_none_by_default_and_read_as_browsers_send_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert loading.load().settings.wires.allowed_origins == ()
    monkeypatch.setenv("ACTR_WIRES__ALLOWED_ORIGINS", "https://A.example/, http://localhost:8000")
    wires = loading.load().settings.wires
    assert wires.allowed_origins == ("https://a.example", "http://localhost:8000")


def test_a_flag_wins_over_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("actr.toml").write_text('[actor]\nid = "acme:room@1:default"\n', encoding="utf-8")
    monkeypatch.setenv("ACTR_ACTOR__ID", "acme:room@2:default")
    loaded = loading.load(flags={"actor.id": "acme:room@3:default", "mailbox.path": ""})
    assert (loaded.settings.actor.id, loaded.settings.mailbox.path) == ("acme:room@3:default", "")
    origins = {entry.key: entry.origin for entry in loaded.entries}
    assert (origins["actor.id"], origins["mailbox.path"]) == ("--id", "--mailbox")
    assert origins["wires.listen"] == "default"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("actor.id", "room", r"actor\.id = 'room' in --id: .*manufacturer:name@instance:realm"),
        ("signaling.url", "http://x", r"signaling\.url = 'http://x' in --signaling: .*ws://"),
        ("wires.listen", "9100", r"wires\.listen = '9100' in --listen: must be host:port"),
    ],
)
def test_a_flag_that_cannot_be_used_is_named(key: str, value: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loading.load(flags={key: value})


@pytest.mark.parametrize("text", ["zone=a, floor=2", '{"zone": "a", "floor": "2"}'])
def test_metadata_in_the_environment_is_json_or_pairs(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ACTR_ACTOR__METADATA", text)
    assert loading.load().settings.actor.metadata == {"zone": "a", "floor": "2"}


def test_metadata_without_a_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTR_ACTOR__METADATA", "zone")
    with pytest.raises(ConfigError, match=r"actor\.metadata = \['zone'\] in ACTR_ACTOR__METADATA"):
        loading.load()


def test_the_defaults_are_for_a_person_at_a_machine() -> None:
    loaded = loading.load().settings
    assert (loaded.signaling.url, loaded.wires.listen) == (
        "ws://127.0.0.1:8080/v1/ws",
        "127.0.0.1:0",
    )
    assert {loaded.mailbox.path, loaded.control.socket} == {
        ".actr/{id}/mailbox.db",
        ".actr/{id}/control.sock",
    }
