"""What a person names on the command line: workloads, methods, requests."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from actr_peer.errors import ConfigError
from actr_peer.service import Method, Service


def load_workload(spec: str) -> tuple[Service, ...]:
    """Import ``module:name`` and make the services to attach.

    The name is a service class without parameters, an object of one, or a function that
    returns one or several. The current directory is searched first.

    Raises:
        ConfigError: If there is no such module or name, or it is no workload.
    """
    module_name, colon, name = spec.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(f"workload {spec!r}: write module:name, for example room:Room")
    module = import_module(module_name)
    found = getattr(module, name, None)
    if found is None:
        raise ConfigError(
            f"workload {spec!r}: {module_name} has no {name}{_near(name, dir(module))}"
        )
    made = found() if callable(found) and not isinstance(found, Service) else found
    services = tuple(made) if isinstance(made, tuple | list) else (made,)
    for service in services:
        if not isinstance(service, Service):
            raise ConfigError(
                f"workload {spec!r}: {type(service).__name__} is no service; derive it from a "
                "class that 'actr gen' wrote"
            )
    return services


def find_method(module_name: str, name: str) -> Method[Any, Any]:
    """Find a method in a generated module, by ``package.Service.Method`` or a unique end of it.

    Raises:
        ConfigError: If the module has no such method, or several.
    """
    known = {
        method.route_key: method
        for service in _services(import_module(module_name))
        for method in service.METHODS
    }
    found = [key for key in known if key == name or key.endswith(f".{name}")]
    if len(found) != 1:
        why = f"is one of {', '.join(found)}: write more of it" if found else "is not there"
        near = "" if found else _near(name, list(known))
        raise ConfigError(f"method {name!r} of {module_name} {why}{near}")
    return known[found[0]]


def parse_request(method: Method[Any, Any], text: str) -> Message:
    """Read one request from protobuf's JSON form.

    Raises:
        ConfigError: If it is no request of the method.
    """
    try:
        parsed: Message = json_format.Parse(text, method.request())
    except json_format.ParseError as exc:
        name = method.request.DESCRIPTOR.full_name
        fields = ", ".join(field.json_name for field in method.request.DESCRIPTOR.fields)
        why = str(exc).partition("\n")[0].rstrip(".")
        raise ConfigError(f"request {text.strip()!r}: {why}; {name} has {fields}") from exc
    return parsed


def import_module(name: str) -> ModuleType:
    """Import a module, of the current directory first.

    Raises:
        ConfigError: If there is none of that name. An error inside of it is its own.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not (name == exc.name or name.startswith(f"{exc.name}.")):
            raise
        raise ConfigError(f"no module {name!r} in {here} or among what is installed") from exc


def _services(module: ModuleType) -> Iterator[type[Service]]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if issubclass(found, Service) and found.__dict__.get("SERVICE_NAME"):
            yield found


def _near(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
