"""What a person names on the command line: workloads and modules."""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

from actr_peer.errors import ConfigError, PeerError
from actr_peer.node.contract.handlers import services_of
from actr_peer.service import Service

log = logging.getLogger(__name__)

_OURS: Final = str(Path(__file__).parents[1]) + os.sep
_INSTALLED: Final = f"{os.sep}site-packages{os.sep}"


def load_workload(spec: str) -> tuple[Service, ...]:
    """Import ``module:name`` and make the services to attach.

    The name is a service class without parameters, an object of one, or a function that
    returns one or several. The current directory is searched first.

    Raises:
        ConfigError: If there is no such module or name, or it is no workload; or with the error
            and its place, if the module or what makes the objects raises one.
    """
    module_name, colon, name = spec.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(f"workload {spec!r}: write module:name, for example room:Room")
    with code_of_others(spec):
        return _load(spec, module_name, name)


@contextmanager
def code_of_others(what: str) -> Iterator[None]:
    """A block in which modules and constructors of the user's run.

    Raises:
        ConfigError: With the error that they raise, and its place, as one sentence.
    """
    try:
        yield
    except PeerError:
        raise
    except Exception as exc:
        log.debug("the workload %s cannot be made", what, exc_info=exc)
        raise ConfigError(
            f"{sentence_of(exc)} (ACTR_LOG__LEVEL=debug shows the traceback)"
        ) from exc


def _load(spec: str, module_name: str, name: str) -> tuple[Service, ...]:
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


def sentence_of(error: BaseException) -> str:
    """``room.py:3: NameError: name 'x' is not defined``: the last place in code of this folder,
    else in code that is not actr's own."""
    here = str(Path.cwd()) + os.sep
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    what = str(error).strip().splitlines()[:1]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
        what = [error.msg]
    others = [(file, line) for file, line in places if _is_others(file)]
    own = [each for each in others if each[0].startswith(here) and _INSTALLED not in each[0]]
    where = [f"{file.removeprefix(here)}:{line}: " for file, line in (own or others)[-1:]]
    return f"{''.join(where)}{': '.join([type(error).__name__, *what])}"


def _is_others(file: str) -> bool:
    """Whether a place in a traceback is in a file, and neither in actr nor in what imports it."""
    return not file.startswith(("<", _OURS, os.path.dirname(importlib.__file__) + os.sep))


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
