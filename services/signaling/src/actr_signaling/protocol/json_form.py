"""Sans-I/O: what the server says of actors, in protobuf's JSON form, put together from texts.

The library's printer takes 80 microseconds for an actor, and a snapshot may have twenty thousand.
Here every actor is written once, and a listing joins what is written.
"""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache

from google.protobuf import json_format

from actr import signaling_pb2 as pb

_FLOAT = struct.Struct("f")


def to_json(data: bytes) -> str:
    """The same message in protobuf's JSON form, names as in the .proto file.

    Raises:
        DecodeError: If ``data`` is no server message.
    """
    return json_format.MessageToJson(
        pb.ServerMessage.FromString(data), preserving_proto_field_name=True, indent=None
    )


def presence(wire: pb.Presence) -> str:
    """One actor, as the library prints it."""
    id = wire.id
    parts = {"manufacturer": id.manufacturer, "name": id.name}
    parts |= {"instance": id.instance, "realm": id.realm}
    shown: dict[str, object] = {"id": _filled(parts)}
    if wire.ws_address:
        shown["ws_address"] = wire.ws_address
    if wire.services:
        shown["services"] = [
            _filled({"service": one.service, "fingerprint": one.fingerprint})
            for one in wire.services
        ]
    if wire.incarnation:
        shown["incarnation"] = str(wire.incarnation)
    if wire.metadata:
        shown["metadata"] = dict(wire.metadata)
    load: dict[str, object] = {}
    if wire.load.mailbox_backlog:
        load["mailbox_backlog"] = wire.load.mailbox_backlog
    if wire.load.power_reserve:
        load["power_reserve"] = _shortest(wire.load.power_reserve)
    shown["load"] = load
    if wire.epoch:
        shown["epoch"] = str(wire.epoch)
    if wire.HasField("signed"):
        signed = wire.signed
        said = {"register": signed.register, "certificate": signed.certificate}
        said["signature"] = signed.signature
        shown["signed"] = _filled({name: b64encode(data).decode() for name, data in said.items()})
    return json.dumps(shown)


def snapshot_body(actr_type: str, version: int, present: Iterable[str]) -> str:
    """The part of a snapshot that is the same for everybody who asks."""
    head = _filled({"actr_type": actr_type, "version": str(version) if version else ""})
    return _joined(head, "present", ", ".join(present))


def snapshot(reply_to: int, body: str) -> str:
    return _message(reply_to, "snapshot", body)


def discovered(reply_to: int, found: Iterable[str], next: str = "") -> str:
    head = _filled({"next": next})
    return _message(reply_to, "discovered", _joined(head, "found", ", ".join(found)))


def _message(reply_to: int, name: str, body: str) -> str:
    number = f'"reply_to": "{reply_to}", ' if reply_to else ""
    return f'{{{number}"{name}": {body}}}'


def _joined(head: dict[str, str], name: str, listed: str) -> str:
    text = json.dumps(head)
    if not listed:
        return text
    between = ", " if head else ""
    return f'{text[:-1]}{between}"{name}": [{listed}]}}'


def _filled(fields: dict[str, str]) -> dict[str, str]:
    """Without the empty ones, which the JSON form leaves out."""
    return {name: value for name, value in fields.items() if value}


@lru_cache(maxsize=1024)
def _shortest(number: float) -> float:
    """The shortest number that is the same in 32 bits."""
    packed = _FLOAT.pack(number)
    for digits in range(6, 9):
        text = float(f"{number:.{digits}g}")
        if _FLOAT.pack(text) == packed:
            return text
    return float(f"{number:.9g}")
