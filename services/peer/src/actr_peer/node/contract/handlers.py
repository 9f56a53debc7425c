"""Whether a workload's handlers are what its contract asks for: told at ``attach``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from actr_peer.errors import ConfigError
from actr_peer.service import Method, MethodKind, Service

Workload: TypeAlias = Service | type[Service] | Iterable[Service | type[Service]]
"""Objects of services, or their classes, which are made without arguments."""


def services_of(workload: Workload) -> tuple[Service, ...]:
    """The objects of a workload.

    Raises:
        ConfigError: If something of it is no service, or a class that lacks handlers.
    """
    parts = workload if isinstance(workload, Iterable) else (workload,)
    return tuple(_object_of(part) for part in parts)


def _object_of(part: object) -> Service:
    if isinstance(part, type) and issubclass(part, Service):
        for method in part.method_table().values():
            _require(part, part.__name__, method)
        return part()
    if not isinstance(part, Service):
        shown = part.__name__ if isinstance(part, type) else type(part).__name__
        raise ConfigError(
            f"{shown} is no service: derive it from a class that 'actr gen' wrote, as RoomService"
        )
    return part


def check_handlers(service: Service) -> None:
    """Look at each handler of ``service``.

    Raises:
        ConfigError: One sentence: the class and method, what it is, and what it must be.
    """
    kind = type(service)
    if not isinstance(service, Service):
        raise ConfigError(
            f"{service!r} is no object of a service class; attach an instance, as Room()"
        )
    for method in kind.method_table().values():
        handler = getattr(service, method.handler, None)
        _require(service, kind.__name__, method)
        if (what := _mismatch(handler, method)) is not None:
            raise ConfigError(
                f"{kind.__name__}.{method.handler} {what}, for it answers {method.route_key}: "
                f"write `{_wanted(method)}`{_how(method)}"
            )


def check_hooks(service: Service, hooks: type) -> None:
    """Look at each of ``hooks`` that ``service`` has.

    Raises:
        ConfigError: If one is not async.
    """
    for name in (name for name in vars(hooks) if name.startswith("on_")):
        hook = innermost(getattr(service, name, None))
        if inspect.isfunction(hook) and not inspect.iscoroutinefunction(hook):
            taken = ", ".join(inspect.signature(getattr(hooks, name)).parameters)
            raise ConfigError(
                f"{type(service).__name__}.{name} is a hook and not async: write "
                f"`async def {name}({taken})`"
            )


def _require(holder: object, name: str, method: Method[Any, Any]) -> None:
    handler = getattr(holder, method.handler, None)
    if handler is None or getattr(handler, "__isabstractmethod__", False):
        raise ConfigError(f"{name} has no handler of {method.route_key}: write `{_wanted(method)}`")


def _mismatch(handler: Any, method: Method[Any, Any]) -> str | None:
    """What is wrong with a handler; None: nothing that can be seen before it runs."""
    inner = innermost(handler)
    if not callable(inner):
        return f"is {type(inner).__name__}, which cannot be called"
    if not _takes_two(handler):
        taken = ", ".join(map(str, inspect.signature(handler).parameters))
        return f"takes ({taken}), and gets a request and a context"
    if not inspect.isfunction(inner):
        return None
    return mismatch_of_kind(inner, streams=method.kind.replies_stream, one="reply to return")


def mismatch_of_kind(
    function: Callable[..., Any], *, streams: bool, one: str = "result"
) -> str | None:
    """What is wrong with how a function gives its results; None: nothing that can be seen.

    Args:
        streams: Whether it is to yield them; else it returns the one.
        one: What that one is.
    """
    if inspect.isasyncgenfunction(function):
        return None if streams else f"yields, and has one {one}"
    if inspect.iscoroutinefunction(function):
        return "returns, and has a stream of replies to yield" if streams else None
    if inspect.isgeneratorfunction(function):
        return "is a generator that is not async"
    # One that is not async may return an async iterator, which is as good as a generator.
    return None if streams else "is not async"


def innermost(handler: Any) -> Any:
    """The function that decorators and partials stand around."""
    while True:
        inner = handler.func if isinstance(handler, functools.partial) else inspect.unwrap(handler)
        inner = getattr(inner, "__func__", inner)
        if inner is handler:
            return inner
        handler = inner


def _takes_two(handler: Callable[..., Any]) -> bool:
    try:
        inspect.signature(handler).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # of C, which does not tell
        return True
    return True


def _wanted(method: Method[Any, Any]) -> str:
    request, reply = method.request.__name__, method.reply.__name__
    taken = (
        f"requests: AsyncIterator[{request}]"
        if method.kind.requests_stream
        else (f"request: {request}")
    )
    given = f"AsyncIterator[{reply}]" if method.kind.replies_stream else reply
    return f"async def {method.handler}(self, {taken}, ctx: Context) -> {given}"


def _how(method: Method[Any, Any]) -> str:
    kind = method.kind
    if kind in (MethodKind.SERVER_STREAM, MethodKind.BIDI_STREAM):
        return " with a `yield` for each reply"
    return " with a `return`"
