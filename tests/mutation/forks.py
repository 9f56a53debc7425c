"""One pytest that has collected a file's tests, and a fork of it for each mutant that they judge.

To import what is tested and to collect the tests takes longer than most tests take to notice a
broken line. In a fork the functions that a mutation changes get their new code where they are.
What it changes besides, in the body of a module or of a class, is not known to who has imported
it already: such a mutant is for a pytest of its own (:data:`CANNOT`).
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from types import CodeType, FunctionType

import pytest

Broken = tuple[str, str, str]
"""Path of a broken file, and its source before and after."""

CANNOT = 77
"""A fork's exit status: this mutant is not made by changing functions."""
HUNG = -1
"""What is answered of a fork that did not end in time."""


class Forks:
    """A plugin: runs no test in the process that collects, but one fork for each question.

    Args:
        asked: Where questions come from, seconds and what is broken, and where answers go:
            exit statuses, :data:`HUNG`.
    """

    def __init__(self, asked: Connection) -> None:
        self._asked = asked

    def _question(self) -> tuple[float, Broken]:
        return self._asked.recv()  # type: ignore[no-any-return]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Serve until nobody asks any more; a fork goes on to the tests."""
        while not session.testsfailed:  # else not all could be collected
            try:
                limit, broken = self._question()
            except EOFError:
                os._exit(0)
            process = os.fork()
            if process == 0:
                os.setsid()
                if not patched(*broken):
                    os._exit(CANNOT)
                return
            self._asked.send(_ended(process, limit))


def _ended(process: int, limit: float) -> int:
    """The exit status of a fork; what it leaves running is ended, and so is it after ``limit``."""
    handle = os.pidfd_open(process)
    try:
        is_over = bool(select.select([handle], [], [], limit)[0])
    finally:
        os.close(handle)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return status if is_over else HUNG


def patched(path: str, before: str, after: str) -> bool:
    """Give functions of a module that is imported the code of a changed source.

    Returns:
        Whether that is all that the change changes.
    """
    if all(getattr(module, "__file__", None) != path for module in list(sys.modules.values())):
        return True  # who imports it will read the changed file
    old, new = (compile(text, path, "exec", dont_inherit=True) for text in (before, after))
    if not _is_same_body(old, new):
        return False
    codes = dict(_pairs(old, new))
    gc.unfreeze()  # what is frozen is not named
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename == path:
            code = codes.get(_place(one.__code__))
            if code is None:
                return False
            try:
                one.__code__ = code
            except ValueError:  # it sees other variables around it
                return False
    gc.freeze()
    return True


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _inner(code: CodeType) -> list[CodeType]:
    return [each for each in code.co_consts if isinstance(each, CodeType)]


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """By name and line before: the code that each has after, as far as both have the same."""
    for mine, other in zip(_inner(old), _inner(new), strict=False):
        if mine.co_qualname == other.co_qualname:
            yield _place(mine), other
            yield from _pairs(mine, other)


def _is_same_body(old: CodeType, new: CodeType) -> bool:
    """Whether two modules, and all class bodies in them, differ in nothing but functions."""
    if (old.co_code, old.co_names, _plain(old)) != (new.co_code, new.co_names, _plain(new)):
        return False
    pairs = zip(_inner(old), _inner(new), strict=True)  # as many: their names are the same
    return all(_is_function(mine) or _is_same_body(mine, other) for mine, other in pairs)


def _plain(code: CodeType) -> list[str]:
    return [
        each.co_qualname if isinstance(each, CodeType) else repr(each) for each in code.co_consts
    ]


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 2)  # CO_NEWLOCALS: neither a module's nor a class's
