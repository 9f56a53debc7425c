"""Sans-I/O: what a certificate will say, and the bounds of its claims and its life."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.subjects import Subject

Claims = Mapping[str, str | tuple[str, ...]]

MAX_CLAIMS = 16
MAX_VALUES = 16
"""Of one claim that is a list."""
MAX_VALUE_CHARACTERS = 256
MAX_CLAIMS_BYTES = 4096
"""As JSON in ASCII, over all: a certificate, which has it in base64, has 8 KiB."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
DEFAULT_LIFE = 900
MIN_LIFE = 30
MAX_LIFE = 3600
"""Seconds: who reads certificates refuses longer ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What may be signed for one key."""

    subject: Subject
    realm: str
    claims: Claims = field(default_factory=dict)
    life: int = DEFAULT_LIFE
    """Seconds of each certificate."""


def check_claims(value: object) -> Claims:
    """Take claims from a file or a command line.

    Raises:
        RefusalError: If there are too many, a name has other characters, or a value is neither a
            text nor a list of texts within bounds.
    """
    if not isinstance(value, Mapping) or len(value) > MAX_CLAIMS:
        raise _malformed(f"claims are a table of at most {MAX_CLAIMS} names")
    claims: dict[str, str | tuple[str, ...]] = {}
    for name, one in value.items():
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise _malformed(f"{str(name)[:80]!r} is no name of a claim: 1 to 64 of [A-Za-z0-9_.-]")
        claims[name] = _value(name, one)
    if len(json.dumps(claims)) > MAX_CLAIMS_BYTES:
        raise _malformed(f"claims have at most {MAX_CLAIMS_BYTES} bytes, all together")
    return claims


def check_life(value: object) -> int:
    """Take the life of a certificate.

    Raises:
        RefusalError: If it is not a whole number of seconds within bounds.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not MIN_LIFE <= value <= MAX_LIFE:
        raise _malformed(f"a certificate's life is {MIN_LIFE} to {MAX_LIFE} whole seconds")
    return value


def _value(name: str, value: object) -> str | tuple[str, ...]:
    if isinstance(value, str) and _is_text(value):
        return value
    if isinstance(value, list | tuple) and 0 < len(value) <= MAX_VALUES:
        texts = tuple(one for one in value if isinstance(one, str) and _is_text(one))
        if len(texts) == len(value):
            return texts
    raise _malformed(
        f"claim {name!r} is a printable text of 1 to {MAX_VALUE_CHARACTERS} characters, or a list "
        f"of 1 to {MAX_VALUES} of them"
    )


def _is_text(value: str) -> bool:
    return 0 < len(value) <= MAX_VALUE_CHARACTERS and value.isprintable()


def _malformed(message: str) -> RefusalError:
    return RefusalError(Cause.MALFORMED, message)
