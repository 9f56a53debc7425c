"""The actor behind a verb that calls another: an identity of its own, nothing kept, no listener."""

from __future__ import annotations

import secrets
from typing import Any

from actr_peer import ActrId
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.settings import Actor, Mailbox, Settings
from actr_peer.node.process.startup import node_config


def caller_config(loaded: Settings, target: ActrId, verb: str) -> NodeConfig:
    """An actor ``actr:<verb>`` in the realm of ``target``, for as long as the verb runs."""
    own = ActrId("actr", verb, secrets.token_hex(4), target.realm)
    update: dict[str, Any] = {
        "actor": Actor(id=str(own)),
        "mailbox": Mailbox(path=""),
        "wires": loaded.wires.model_copy(update={"listen": "", "advertise": ""}),
    }
    return node_config(loaded.model_copy(update=update))
