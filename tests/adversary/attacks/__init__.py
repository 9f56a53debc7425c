"""All attacks, by whom they come from."""

from __future__ import annotations

from collections.abc import Mapping

from tests.adversary.attack import Attacks
from tests.adversary.attacks import (
    captures,
    certificates,
    descriptions,
    mutated,
    presence,
    store,
)

SIDES: Mapping[str, Attacks] = {
    "signaling": descriptions.ATTACKS,
    "presence": presence.ATTACKS,
    "redis": store.ATTACKS,
    "certificates": certificates.ATTACKS,
    "capture": captures.ATTACKS,
    "mutated": mutated.ATTACKS,
}
