"""Names in a .proto file to names in Python, and which of them cannot be used."""

from __future__ import annotations

import keyword
import re
from enum import StrEnum
from pathlib import PurePosixPath

from actr_peer.service import Client, Service


class Language(StrEnum):
    """What is generated."""

    PYTHON = "python"
    TYPESCRIPT = "ts"


HOOKS = frozenset(
    f"on_{event}"
    for event in (
        "start",
        "ready",
        "stop",
        "error",
        "signaling",
        "refusal",
        "wire",
        "link",
        "presence",
        "pressure",
    )
)
"""Methods that the runtime calls on a workload; a handler of that name would be taken for one."""

_OF_OBJECTS = {
    "caller": "is what the generated client calls by",
    "constructor": "is what makes an object of JavaScript",
    "then": "would have an object taken for a promise",
}

_OF_BASES = frozenset(dir(Service)) | frozenset(dir(Client))


def snake_case(name: str) -> str:
    """``GetHTTPInfo`` to ``get_http_info``."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def member(name: str) -> str:
    """``SayHTTP`` to ``sayHTTP``: a method in TypeScript."""
    return name[:1].lower() + name[1:]


def class_stem(service: str) -> str:
    """What stands before ``Service`` and ``Client``: ``Chat`` for ``Chat`` and ``ChatService``."""
    words = "".join(part[:1].upper() + part[1:] for part in service.split("_"))
    return words.removesuffix("Service") or words


def pb2_module(path: str) -> str:
    """The module that protoc's Python generator makes of a .proto path.

    ``demo/chat-room.proto`` to ``demo.chat_room_pb2``.
    """
    return _base(path).replace("/", ".") + "_pb2"


def actr_file(path: str, language: Language = Language.PYTHON) -> str:
    """The file that this generator writes: ``demo/chat.proto`` to ``demo/chat_actr.py``, or to
    ``demo/chat_actr.ts`` beside the ``demo/chat_pb.ts`` of protobuf-es."""
    if language is Language.TYPESCRIPT:
        return path.removesuffix(".proto") + "_actr.ts"
    return _base(path).replace(".", "/") + "_actr.py"


def is_importable(dotted: str) -> bool:
    """Whether every part can stand in an import statement or an attribute access."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in dotted.split("."))


def handler_fault(handler: str) -> str | None:
    """Say why a method cannot have this Python name; None when it can."""
    if keyword.iskeyword(handler):
        return f"{handler!r} is a Python keyword"
    if handler.startswith("_"):
        return f"{handler!r} begins with an underscore"
    for name in (handler, handler.upper()):
        if name in _OF_BASES:
            return f"{name!r} is an attribute of the base classes Service and Client"
    if handler in HOOKS:
        return f"{handler!r} is a hook that the runtime calls on workloads"
    return None


def typescript_fault(method: str) -> str | None:
    """Say why a method that Python takes cannot have its name in TypeScript; None when it can."""
    name = member(method)
    why = _OF_OBJECTS.get(name)
    return f"{name!r} {why}" if why else None


def _base(path: str) -> str:
    return str(PurePosixPath(path).with_suffix("")).replace("-", "_")
