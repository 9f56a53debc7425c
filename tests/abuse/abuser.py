"""The process of one abuser: ``python -m tests.abuse.abuser SIDE ABUSE ADDRESS``.

It begins at a line on its standard input, says ``{"ready": true}`` when the abuse goes on, and
goes on until it is killed. It has a little less
of the processor than the others, for a stranger has a machine of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from tests.abuse.side import ABUSER, prefer
from tests.abuse.sides import SIDES


async def main() -> None:
    if not sys.stdin.readline():
        return
    attack = SIDES[sys.argv[1]].abuses[sys.argv[2]](sys.argv[3])
    await anext(attack, None)
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    async for _ in attack:
        pass
    await asyncio.Event().wait()


if __name__ == "__main__":
    prefer(0, ABUSER)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main())
