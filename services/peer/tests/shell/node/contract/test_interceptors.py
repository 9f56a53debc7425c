"""What may be an interceptor, and which of them there are."""

from __future__ import annotations

from typing import Any

import pytest

from actr.demo.chat_actr import ChatService
from actr_peer.errors import ConfigError
from actr_peer.node.contract.interceptors import (
    HandlerInterceptor,
    Interceptors,
    interceptors_of,
)
from actr_peer.rpc.destinations.interceptors import ClientInterceptor
from actr_peer.service import Service


class Both(ClientInterceptor, HandlerInterceptor):
    """Of calls and of handlers."""


def test_one_object_may_be_of_both_kinds() -> None:
    both, calls, handlers = Both(), ClientInterceptor(), HandlerInterceptor()
    all_of_them = Interceptors([both, calls, handlers])
    assert all_of_them.of_calls == [both, calls]
    assert all_of_them.of_handlers == [both, handlers]


@pytest.mark.parametrize("given", [Both, "Both", None])
def test_what_is_no_interceptor_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="is no interceptor: give an object of a class"):
        Interceptors([given])


@pytest.mark.parametrize("given", [Both(), None])
def test_one_alone_is_no_list(given: Any) -> None:
    with pytest.raises(ConfigError, match="give a list of them, also of one"):
        interceptors_of([], given)


class Plain(HandlerInterceptor):
    def admit(self, ctx: Any) -> Any: ...


class Lines(HandlerInterceptor):
    def handle_server_stream(self, proceed: Any, request: Any, ctx: Any) -> Any:
        yield from ()


class Yields(ClientInterceptor):
    async def call_unary(self, proceed: Any, details: Any, request: Any) -> Any:
        yield await proceed(details, request)


class Returns(ClientInterceptor):
    async def call_server_stream(self, proceed: Any, details: Any, request: Any) -> Any:  # type: ignore[override]
        return proceed(details, request)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (Plain(), r"Plain.admit is not async: write `async def admit\(self, ctx\)`"),
        (Lines(), r"Lines.handle_server_stream is a generator that is not async: .* a `yield`"),
        (Yields(), r"Yields.call_unary yields, and has one result: .* with a `return`"),
        (Returns(), r"Returns.call_server_stream returns, and has a stream of replies to yield: "),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_method_of_the_wrong_kind_is_told_at_once(given: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Interceptors([given])


def test_a_stream_may_be_what_is_behind_the_interceptor() -> None:
    class Passes(ClientInterceptor):
        def call_server_stream(self, proceed: Any, details: Any, request: Any) -> Any:
            return proceed(details, request)

    Interceptors([Passes()])


def test_without_any_a_handler_is_itself() -> None:
    def handler() -> None: ...

    assert Interceptors().wrap(ChatService.SAY, handler) is handler
    assert Interceptors([ClientInterceptor()]).wrap(ChatService.SAY, handler) is handler


def test_those_that_a_class_names_come_behind_those_that_are_given() -> None:
    given, named = Both(), Both()

    class Workload(Service):
        INTERCEPTORS = (named,)

    assert interceptors_of([Workload(), Service()], [given]) == (given, named)
