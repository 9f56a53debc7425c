"""The refusal of a call that was made with another contract, and the callee's own beside it.

The callee tells what its method is in the error itself, for the caller to compare: so nothing is
asked on the way of calls that agree, and nothing has to be asked where they do not.
"""

from __future__ import annotations

import json
import zlib
from typing import Final, NamedTuple

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code
from actr_peer.protocol.rpc.contracts.differences import Form, difference
from actr_peer.protocol.rpc.contracts.fingerprint import number_of

MAX_PACKED_BYTES: Final = 48 * 1024
"""Of a form as it travels; a method of more is not compared."""
MAX_FORM_BYTES: Final = 1024 * 1024
"""Of a form as it is read; longer ones are not believed."""
MAX_WHY_CHARS: Final = 300
"""Of what keeps two sides apart: the far side's names are as long as it likes."""


class Verdict(NamedTuple):
    """What a caller makes of a refusal."""

    number: int
    """Of the callee's own contract, by which it takes the call; 0: it cannot be read."""
    why: str | None
    """What keeps the caller from being understood; None: nothing does."""


def refusal(route_key: str, form: str) -> CallError | None:
    """Why a call is not taken; None: it is, for the form is too long to be told.

    Args:
        form: The canonical form of the method here.
    """
    packed = zlib.compress(form.encode())
    if len(packed) > MAX_PACKED_BYTES or len(form) > MAX_FORM_BYTES:
        return None
    detail = PackedAny()
    detail.Pack(pb.MethodContract(form=packed))
    return CallError(
        Code.FAILED_PRECONDITION,
        f"{route_key} has another contract here; compare the .proto files of both sides "
        "(actr proto check)",
        details=(detail.SerializeToString(),),
    )


def is_refusal(error: CallError) -> bool:
    """Whether an error says that the contract is another one."""
    return bool(_packed(error))


def compared(own: str, error: CallError) -> Verdict:
    """Whether a caller with this form is understood by who tells another.

    Args:
        error: A refusal.
    """
    unpacker = zlib.decompressobj()
    try:
        form = unpacker.decompress(_packed(error), MAX_FORM_BYTES)
        if not unpacker.eof:
            return Verdict(0, "it is too long to be compared")
        theirs: Form = json.loads(form)
        why = difference(json.loads(own), theirs)
        return Verdict(number_of(form.decode()), None if why is None else _plain(why))
    except (zlib.error, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return Verdict(0, "the far side tells it in a way that cannot be read")


def _plain(text: str) -> str:
    """For logs and terminals: much of it is the far side's."""
    cut = text if len(text) <= MAX_WHY_CHARS else f"{text[:MAX_WHY_CHARS]}…"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)


def _packed(error: CallError) -> bytes:
    """What a refusal tells; empty: it is none."""
    if error.code is not Code.FAILED_PRECONDITION or error.domain or len(error.details) != 1:
        return b""
    told = pb.MethodContract()
    try:
        if PackedAny.FromString(error.details[0]).Unpack(told):
            return told.form
    except DecodeError:
        return b""
    return b""
