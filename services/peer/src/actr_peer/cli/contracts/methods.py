"""Methods by the names that people write, requests from JSON, and replies as JSON."""

from __future__ import annotations

import difflib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from actr_peer.cli.workloads import import_module, near
from actr_peer.errors import ConfigError, RemoteProtocolError
from actr_peer.protocol.rpc.contracts.fields import reachable
from actr_peer.service import Method, Service

MAX_TEXT_BYTES: Final = 256 * 1024 * 1024
"""Of one file, or of one request: the longest message as JSON has a third of it."""
CHUNK_BYTES: Final = 1024 * 1024

_UNKNOWN_FIELD = re.compile(r'Message type "([^"]+)" has no field named "([^"]+)"')
_UNKNOWN_VALUE = re.compile(r"Invalid enum value (\S+) for enum type (\S+)")


def methods_of(module_name: str) -> Mapping[str, Method[Any, Any]]:
    """The methods of a generated module, by route key.

    Raises:
        ConfigError: If there is no such module.
    """
    return {
        method.route_key: method
        for service in _services(import_module(module_name))
        for method in service.METHODS
    }


def find_method(known: Mapping[str, Method[Any, Any]], name: str, where: str) -> Method[Any, Any]:
    """Find a method by ``package.Service.Method`` or ``package.Service/Method``, or a unique end
    of it.

    Args:
        where: Whose methods they are, for the sentence.

    Raises:
        ConfigError: If there is no such method, or there are several.
    """
    wanted = name.replace("/", ".")
    found = [key for key in known if key == wanted or key.endswith(f".{wanted}")]
    if len(found) != 1 and wanted not in known:
        why = f"is one of {', '.join(found)}: write more of it" if found else "is not there"
        raise ConfigError(
            f"method {name!r} of {where} {why}{'' if found else near_end(wanted, known)}"
        )
    return known[wanted if wanted in known else found[0]]


def near_end(name: str, known: Iterable[str]) -> str:
    """What is said beside a dotted name that is not there: the nearest that is, or all."""
    parts = name.count(".") + 1
    ends = {".".join(key.split(".")[-parts:]): key for key in known}
    close = difflib.get_close_matches(name, ends, n=1)
    return f"; did you mean {ends[close[0]]}?" if close else near(name, [*ends.values()])


def parse_request(
    method: Method[Any, Any], text: str, pool: DescriptorPool | None = None
) -> Message:
    """Read one request from protobuf's JSON form.

    Args:
        pool: What ``google.protobuf.Any`` may hold; None: what is loaded.

    Raises:
        ConfigError: If it is no request of the method.
    """
    is_free = method.request.DESCRIPTOR.full_name.startswith("google.protobuf.")
    if not (is_free or text.lstrip().startswith("{")):  # a list would be an empty message
        why = _why(method, ValueError("it is no JSON object"))
        raise ConfigError(f"request {_cut(text.strip())}: {why}")
    try:
        parsed: Message = json_format.Parse(text, method.request(), descriptor_pool=pool)
    except (json_format.ParseError, RecursionError) as exc:
        raise ConfigError(f"request {_cut(text.strip())}: {_why(method, exc)}") from exc
    return parsed


def read_requests(argument: str) -> Iterator[str]:
    """The JSON texts of one argument: itself, or for ``@path`` all that the file holds.

    Raises:
        ConfigError: If the file cannot be read, or holds something else than JSON objects.
    """
    if not argument.startswith("@"):
        yield argument
        return
    path = Path(argument[1:])
    text = _text_of(path)
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as exc:
            line = text.count("\n", 0, at) + 1
            raise ConfigError(f"{path}: no JSON object at line {line}: {exc}") from exc
        yield text[at:end]
        at = end


def _text_of(path: Path) -> str:
    """What a file holds; one that has no end, as a device or a pipe may have none, is too long."""
    data = bytearray()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                data += chunk
                if len(data) > MAX_TEXT_BYTES:
                    raise ConfigError(
                        f"{path} has over {MAX_TEXT_BYTES >> 20} MiB: send it through standard "
                        "input (-), one request a line"
                    )
        return data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(f"cannot read {path}: {why}") from exc


def reply_text(reply: Message, pool: DescriptorPool | None = None) -> str:
    """A reply in protobuf's JSON form, in ASCII, on one line.

    Args:
        pool: What ``google.protobuf.Any`` may hold; None: what is loaded.

    Raises:
        RemoteProtocolError: If it holds something that JSON cannot say.
    """
    try:
        said = json_format.MessageToDict(
            reply, always_print_fields_with_no_presence=True, descriptor_pool=pool
        )
        return json.dumps(said)
    except Exception as exc:  # the library's own words, of several classes
        why = str(exc).partition("\n")[0].rstrip(".")
        name = type(reply).DESCRIPTOR.full_name  # a field of its own may be called DESCRIPTOR
        raise RemoteProtocolError(f"a {name} came that JSON cannot say: {why}") from exc


def _why(method: Method[Any, Any], exc: Exception) -> str:
    """One clause for JSON that is no request: it names the message that it is about."""
    message: Descriptor = method.request.DESCRIPTOR
    said = str(exc).partition("\n")[0].rstrip(".")
    unknown = _UNKNOWN_FIELD.search(said)
    if unknown is not None:
        message = _held(message, unknown[1]) or message
        said = f"{unknown[1]} has no field {unknown[2]!r}"
        names = [field.json_name for field in message.fields]
        close = difflib.get_close_matches(unknown[2], names, n=1)
        said += f", did you mean {close[0]}?" if close else ""
    value = _UNKNOWN_VALUE.search(said)
    enum = _enum(message, value[2]) if value is not None else None
    if value is not None and enum is not None:
        values = [known.name for known in enum.values]
        return f"{enum.full_name} has no {value[1]!r}{near(value[1], values)}"
    fields = ", ".join(field.json_name for field in message.fields)
    return f"{said}; {message.full_name} has {fields or 'no fields'}"


def _enum(root: Descriptor, name: str) -> EnumDescriptor | None:
    """The enum of this name that ``root`` holds at any depth."""
    return next((enum for enum in reachable(root)[1] if enum.full_name == name), None)


def _held(root: Descriptor, name: str) -> Descriptor | None:
    """The message of this name that ``root`` holds at any depth, or is."""
    return next((found for found in reachable(root)[0] if found.full_name == name), None)


def _cut(text: str, most: int = 120) -> str:
    return repr(text) if len(text) <= most else f"{text[:most]!r}…"


def _services(module: ModuleType) -> Iterator[type[Service]]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, Service) and found.__dict__.get("SERVICE_NAME"):
            yield found
