"""All that is abused, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.abuse import door, signaling
from tests.abuse.side import Side

SIDES: Mapping[str, Side] = {"signaling": signaling.SIDE, "door": door.SIDE}
