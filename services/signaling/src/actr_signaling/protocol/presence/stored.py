"""Sans-I/O: an entry as replicas store it, and the changes that they publish.

::

    value    epoch (16 digits) session (32) replica (16) backlog (u32) reserve (f32) Register
    put      "P" previous version (16 digits) version (16 digits) value
    removed  "R" previous version (16 digits) version (16 digits) reason (1 digit)
             epoch (16 digits) id

Numbers that the scripts read are digits, for Lua has no 64-bit integers; those here stay below
2^53. The previous version makes a missed change visible.
"""

from __future__ import annotations

import struct

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Reason

DIGITS = 16
SESSION_CHARACTERS = 32
REPLICA_CHARACTERS = 16
_LOAD = struct.Struct(">If")
_SESSION_AT = DIGITS
_REPLICA_AT = _SESSION_AT + SESSION_CHARACTERS
_LOAD_AT = _REPLICA_AT + REPLICA_CHARACTERS
_BODY_AT = _LOAD_AT + _LOAD.size
_CHANGE_AT = 1 + 2 * DIGITS


def pack_tail(entry: Entry) -> bytes:
    """The value without its epoch, which the store's script puts before it."""
    assert len(entry.session) == SESSION_CHARACTERS
    assert len(entry.replica) == REPLICA_CHARACTERS
    return b"".join(
        (
            entry.session.encode(),
            entry.replica.encode(),
            _LOAD.pack(entry.load.mailbox_backlog, entry.load.power_reserve),
            entry.registration.to_wire().SerializeToString(deterministic=True),
        )
    )


def unpack(value: bytes) -> Entry:
    """Read a stored value.

    Raises:
        BadMessageError: If it is not one.
    """
    try:
        backlog, reserve = _LOAD.unpack_from(value, _LOAD_AT)
        if not 0 <= reserve <= 1:  # also what is no number
            raise ValueError("a reserve that no replica writes")
        wire = pb.Register.FromString(value[_BODY_AT:])
        return Entry(
            registration=Registration.from_wire(ActrId.check(wire.id), wire),
            load=Load(backlog, reserve),
            epoch=read_number(value[:_SESSION_AT]),
            session=value[_SESSION_AT:_REPLICA_AT].decode("ascii"),
            replica=value[_REPLICA_AT:_LOAD_AT].decode("ascii"),
        )
    except (struct.error, DecodeError, ValueError) as exc:
        raise BadMessageError("a stored entry that cannot be read") from exc


def read_number(data: bytes) -> int:
    """A number as the scripts write it.

    Raises:
        ValueError: If it is not just digits, as many as there are of each.
    """
    if len(data) != DIGITS or not data.isdigit():
        raise ValueError("not a number of the store")
    return int(data)


def unpack_change(data: bytes) -> tuple[int, Put | Removed]:
    """Read a published change; returns the version before it, and the change.

    Raises:
        BadMessageError: If it is not one.
    """
    try:
        previous = read_number(data[1 : 1 + DIGITS])
        version = read_number(data[1 + DIGITS : _CHANGE_AT])
        match data[:1]:
            case b"P":
                return previous, Put(unpack(data[_CHANGE_AT:]), version)
            case b"R":
                reason = Reason(int(data[_CHANGE_AT : _CHANGE_AT + 1]))
                epoch_end = _CHANGE_AT + 1 + DIGITS
                epoch = read_number(data[_CHANGE_AT + 1 : epoch_end])
                text = data[epoch_end:].decode("ascii")
                return previous, Removed(text, epoch, reason, version)
            case _:
                raise BadMessageError("a published change of an unknown kind")
    except ValueError as exc:
        raise BadMessageError("a published change that cannot be read") from exc
