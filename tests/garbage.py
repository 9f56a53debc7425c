"""What the tests of a file leave behind is found with the file, and not in somebody else's test.

A socket that nobody closed warns when it is collected, which may be minutes later, in the middle
of a test that has nothing to do with it. So all is collected at the end of each file: what warns
then is an error of the file's last test, and says what was left. A plugin of pytest, which the
conftest.py of the root loads.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def collected() -> list[str]:
    """Collect, and say what went wrong with what was collected."""
    left: list[str] = []

    def hear(unraisable: UnraisableHookArgs) -> None:
        left.append(f"{unraisable.object!r}: {unraisable.exc_value!r}")

    usual, sys.unraisablehook = sys.unraisablehook, hear
    try:
        gc.collect()
    finally:
        sys.unraisablehook = usual
    return left


def pytest_collection_finish() -> None:
    """Look at what the tests make, and not each time at all that was imported before."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    yield
    if nextitem is None or nextitem.path != item.path:
        left = collected()
        assert not left, f"left behind by a test of {item.path.name}:\n" + "\n".join(left)
