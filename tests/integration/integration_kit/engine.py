"""The engine from outside: docker commands, and the one way to wait for what they tell."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

Found = TypeVar("Found")


class DockerError(Exception):
    """A docker command failed; the text is what it said."""


def docker(
    *arguments: str, timeout: float = 300, environment: Mapping[str, str] | None = None
) -> str:
    """Run ``docker`` and return its output.

    Args:
        environment: Added to that of the tests.

    Raises:
        DockerError: If it fails.
    """
    done = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise DockerError(f"docker {' '.join(arguments)}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def logs(container: str) -> str:
    """All that a container wrote, on standard output and standard error."""
    command = ["docker", "logs", container]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return done.stdout.decode()


def eventually(claim: str, check: Callable[[], Found], *, within: float) -> Found:
    """Return the first true result of ``check``.

    Containers tell an outsider nothing by themselves, so this asks again and again: the only
    loop of its kind in these tests.

    Args:
        claim: A sentence that says what must become true; it heads the failure.
        within: Seconds.
    """
    end = time.monotonic() + within
    trouble: object = None
    while True:
        try:
            result = check()
        except (DockerError, KeyError, ValueError, AssertionError) as exc:
            trouble = exc
        else:
            if result:
                return result
            trouble = f"last: {result!r}"
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s: {claim} ({trouble})")
        time.sleep(0.3)


def each_eventually(
    subjects: Iterable[Found], claim: str, check: Callable[[Found], object], *, within: float
) -> None:
    """:func:`eventually` for one subject after the other: ``claim`` goes on from its name."""
    for subject in subjects:
        eventually(f"{subject} {claim}", partial(check, subject), within=within)
