"""The configuration of an actor that only calls: nothing kept, no listener, not in the way."""

from __future__ import annotations

import secrets
from collections.abc import Container
from dataclasses import replace
from typing import Any, Final

from actr_peer.node.config.metrics import Metrics
from actr_peer.node.config.settings import Actor, Settings
from actr_peer.node.config.values import NodeConfig
from actr_peer.protocol.identity import ActrId

START_TIMEOUT: Final = 5.0
"""Seconds, at most: a person waits."""
ABSENT_TIMEOUT: Final = 2.0
"""The same while nobody listens at signaling's address."""


def caller_settings(
    settings: Settings, name: str, *, realm: str | None = None, named: Container[str] = ()
) -> Settings:
    """The same for an actor ``actr:<name>`` with an id of its own.

    Args:
        realm: Of the id; None: that of the configured one.
        named: Keys that were given for this very actor, and stay as they are.
    """
    update: dict[str, Any] = {
        "control": settings.control.model_copy(update={"socket": ""}),
        "metrics": Metrics(),  # the address is the other's
        "wires": settings.wires.model_copy(update={"advertise": ""}),
    }
    if "actor.id" not in named:
        realm = realm or ActrId.parse(settings.actor.id).realm
        own = ActrId("actr", name, secrets.token_hex(4), realm)
        update["actor"] = Actor(id=str(own))  # metadata and the like are of the other
    soon = min(settings.actor.start_timeout_s, START_TIMEOUT)
    actor = update.get("actor", settings.actor)
    asked = {"reflection": False, "inspection": "off", "start_timeout_s": soon}
    update["actor"] = actor.model_copy(update=asked)
    if "mailbox.path" not in named:
        update["mailbox"] = settings.mailbox.model_copy(update={"path": ""})
    if "actor.id" not in named and settings.identity.issuer_url:
        # A key of its own, for as long as it runs; the other's token is the other's.
        memory = {"key_file": "", "certificate_file": "", "join_token_file": None}
        update["identity"] = settings.identity.model_copy(update=memory)
    if "wires.listen" not in named:
        update["wires"] = update["wires"].model_copy(update={"listen": ""})
    return settings.model_copy(update=update)


def caller_config(
    settings: Settings,
    name: str,
    *,
    realm: str | None = None,
    named: Container[str] = (),
    takes_over: bool = True,
) -> NodeConfig:
    """What a node takes, of :func:`caller_settings`: it gives up soon where nobody listens.

    Args:
        takes_over: Of the identity, as the actor's own.

    Raises:
        ConfigError: As :meth:`NodeConfig.from_settings`.
    """
    config = NodeConfig.from_settings(caller_settings(settings, name, realm=realm, named=named))
    takes_over = takes_over and config.takes_over
    return replace(config, absent_timeout=ABSENT_TIMEOUT, takes_over=takes_over)
