"""What a person names on the command line: workloads and modules."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from types import ModuleType

from actr_peer.errors import ConfigError
from actr_peer.node.contract.handlers import services_of
from actr_peer.service import Service


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
            f"workload {spec!r}: {module_name} has no {name}{near(name, dir(module))}"
        )
    if isinstance(found, type) and issubclass(found, Service):
        return services_of(found)
    made = found() if callable(found) and not isinstance(found, Service) else found
    services = tuple(made) if isinstance(made, tuple | list) else (made,)
    for service in services:
        if not isinstance(service, Service):
            raise ConfigError(
                f"workload {spec!r}: {type(service).__name__} is no service; derive it from a "
                "class that 'actr gen' wrote"
            )
    return services


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


def near(name: str, known: list[str]) -> str:
    """What is said beside a name that is not there: the nearest that is, or all."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
