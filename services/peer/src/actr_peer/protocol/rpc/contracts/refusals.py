"""The refusal of a call that was made with another contract, and the callee's own beside it.

The callee tells what its method is in the error itself, for the caller to compare: so nothing is
asked on the way of calls that agree, and nothing has to be asked where they do not.
"""

from __future__ import annotations

import json
import zlib
from typing import Final

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr_peer.errors import CallError, Code
from actr_peer.protocol.rpc.contracts.differences import Form, difference

MAX_PACKED_BYTES: Final = 48 * 1024
"""Of a form as it travels; a method of more is not compared."""
MAX_FORM_BYTES: Final = 1024 * 1024
"""Of a form as it is read; longer ones are not believed."""


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


def why_not(own: str, error: CallError) -> str | None:
    """What keeps a caller with this form from being understood; None: nothing does.

    Args:
        error: A refusal.
    """
    unpacker = zlib.decompressobj()
    try:
        form = unpacker.decompress(_packed(error), MAX_FORM_BYTES)
        if not unpacker.eof:
            return "it is too long to be compared"
        theirs: Form = json.loads(form)
        return difference(json.loads(own), theirs)
    except (zlib.error, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return "the far side tells it in a way that cannot be read"


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
