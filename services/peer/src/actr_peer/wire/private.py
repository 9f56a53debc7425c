"""What a folder relies on of a library beyond its interface, checked when the folder is imported.

A library of another version may have moved a private part, and would fail somewhere in the middle
of a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version


def check(
    wanted: Mapping[str, str],
    methods: Mapping[type, Iterable[str]],
    installed: Callable[[str], str] = version,
) -> None:
    """Refuse libraries of another version.

    Args:
        wanted: Name of each library to its major and minor version; a patch may differ.
        methods: Private methods, and others, that are called or replaced.
        installed: Tells the version of a library.

    Raises:
        ImportError: In a sentence that says what is installed, and what is wanted.
    """
    for name, prefix in wanted.items():
        try:
            found = installed(name)
        except PackageNotFoundError:
            found = "no version"
        if not f"{found}.".startswith(f"{prefix}."):
            raise ImportError(
                f"{name} {found} is installed and {prefix}.* is wanted: actr-peer uses its private"
                f" parts; install '{name}=={prefix}.*'"
            )
    missing = [
        f"{owner.__name__}.{name}"
        for owner, names in methods.items()
        for name in names
        if not callable(getattr(owner, name, None))
    ]
    if missing:
        libraries = " and ".join(f"{name} {installed(name)}" for name in wanted)
        have = "has" if len(wanted) == 1 else "have"
        raise ImportError(
            f"{libraries} {have} not what actr-peer uses: {', '.join(missing)}; install"
            " the versions that it names"
        )
