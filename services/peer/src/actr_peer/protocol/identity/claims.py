"""Sans-I/O: what a certificate says of its holder, which nobody changes any more."""

from __future__ import annotations

from typing import Any, NoReturn

Value = str | tuple[str, ...]


class HeldClaims(dict[str, Value]):
    """Claims that stay as they are; they are copied and pickled as any other mapping.

    A ``MappingProxyType`` is neither, so that ``dataclasses.asdict`` of what holds one fails.
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the claims of a certificate are what its issuer says, and stay so")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[HeldClaims], tuple[dict[str, Value]]]:
        return type(self), (dict(self),)
