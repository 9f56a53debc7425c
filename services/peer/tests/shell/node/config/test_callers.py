"""The configuration of an actor that only calls."""

from __future__ import annotations

from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import (
    ABSENT_TIMEOUT,
    START_TIMEOUT,
    caller_config,
    caller_settings,
)
from actr_peer.node.config.settings import Actor, Settings, Signaling
from actr_peer.protocol.identity import ActrId

CONFIGURED = Settings(
    actor=Actor(id="acme:room@2:plant", metadata={"zone": "a"}, visibility="hidden"),
    signaling=Signaling(url="ws://there:1/v1/ws"),
)


def test_it_keeps_nothing_and_has_no_listener_and_no_control_socket() -> None:
    config = NodeConfig.from_settings(caller_settings(CONFIGURED, "call"))
    assert (config.mailbox_path, config.listen, config.control_socket) == (None, None, None)
    assert config.signaling_url == "ws://there:1/v1/ws"


def test_it_has_a_new_id_in_the_realm_and_nothing_else_of_the_configured_actor() -> None:
    first, second = (caller_settings(CONFIGURED, "call").actor for _ in range(2))
    own = ActrId.parse(first.id)
    assert (own.actr_type, own.realm) == ("actr:call", "plant")
    assert first.id != second.id
    assert (first.metadata, first.visibility, first.reflection) == ({}, "realm", False)


def test_it_gives_up_soon_where_there_is_no_signaling_service() -> None:
    assert caller_settings(CONFIGURED, "call").actor.start_timeout_s == START_TIMEOUT
    soon = CONFIGURED.model_copy(update={"actor": Actor(start_timeout_s=1)})
    assert caller_settings(soon, "call", named=("actor.id",)).actor.start_timeout_s == 1
    assert caller_config(CONFIGURED, "call").absent_timeout == ABSENT_TIMEOUT


def test_another_realm_may_be_chosen() -> None:
    chosen = caller_settings(CONFIGURED, "call", realm="other").actor.id
    assert ActrId.parse(chosen).realm == "other"


def test_what_was_given_for_it_stays() -> None:
    named = ("actor.id", "mailbox.path", "wires.listen")
    config = NodeConfig.from_settings(caller_settings(CONFIGURED, "call", named=named))
    assert (str(config.id), config.listen) == ("acme:room@2:plant", "127.0.0.1:0")
    assert config.mailbox_path is not None
