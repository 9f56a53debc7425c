"""Offers recorded from Chromium, and what becomes of them in hostile hands, for tests."""

from __future__ import annotations

import random
import re

from peer_kit import TESTS

DATA = TESTS / "data"
PLAIN, MAX_BUNDLE, VP9 = (
    (DATA / f"chromium_{name}.sdp").read_bytes().decode() for name in ("plain", "max", "vp9")
)
"""Sound, video and data: as it is, on one transport from the start, with VP9 as the only video."""


def mutated(sdp: str, dice: random.Random) -> str:
    lines = sdp.splitlines()
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(lines))
        match dice.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[dice.randrange(len(lines))])
            case 2:
                lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] = re.sub(
                    r"\d+", lambda _: dice.choice(["0", "-1", "65536", "9" * 30, ""]), lines[at]
                )
            case 4:
                where = dice.randrange(len(lines[at]) + 1)
                junk = dice.choice(["\0", " ", "\ud7ff", ":", "a=", "\x85", "ä" * 40])
                lines[at] = lines[at][:where] + junk + lines[at][where:]
            case 5:
                lines[at] = dice.choice(
                    ["m=", "m=video", "a=", "a=mid:", "a=group:BUNDLE", "=", "x"]
                )
            case _:
                other = dice.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
        if not lines:
            break
    return "\r\n".join(lines) + "\r\n"
