"""Each library is used in one place, whoever else could import it, and inside functions too.

The contracts of ``make layers`` name the modules that may not; this names the folders that may.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "peer": ROOT / "services/peer/src/actr_peer",
    "signaling": ROOT / "services/signaling/src/actr_signaling",
}
HOMES = {
    "aiortc aioice pylibsrtp": "peer: wire/webrtc/aiortc",
    "picows": "peer: wire/relayed wire/websocket",
    "websockets": "peer: wire/signaling wire/websocket, signaling: protocol/websocket",
    "av": "peer: wire/media wire/webrtc/aiortc/media",
    "sqlite3 aiosqlite apsw": "peer: state cli/exchange, signaling: issuer/register",
    "jwt": "peer: protocol/identity, signaling: protocol/identity protocol/access",
    "redis": "signaling: ledger/redis",
    "opentelemetry": "peer: rpc",
    "connectrpc protobuf hypercorn": "peer: cli/verbs/gateway",
    "prometheus_client": "peer: node/process/metrics, signaling: issuer web/metrics",
    "h11": "peer: node/process/metrics",
    "uvicorn fastapi starlette": "signaling: web issuer/web",
}
"""Libraries to the folders that may import them; an exchange's handler catches what SQLite says."""


def imports(path: Path) -> set[str]:
    """First names of all that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def homes(said: str) -> list[str]:
    """``peer/wire/websocket`` of each folder in a row."""
    return [
        f"{service}/{folder}"
        for part in said.split(", ")
        for service, _, folders in [part.partition(": ")]
        for folder in folders.split()
    ]


@pytest.mark.parametrize("libraries", HOMES)
def test_a_library_is_imported_in_its_folders_only(libraries: str) -> None:
    users = {
        f"{service}/{path.relative_to(package).as_posix()}"
        for service, package in PACKAGES.items()
        for path in package.rglob("*.py")
        if imports(path) & set(libraries.split())
    }
    allowed = homes(HOMES[libraries])
    assert users
    assert {
        user for user in users if not user.startswith(tuple(f"{home}/" for home in allowed))
    } == set()
    idle = {home for home in allowed if not any(user.startswith(f"{home}/") for user in users)}
    assert idle == set(), "take it out of the row"


@pytest.mark.parametrize("package", PACKAGES.values(), ids=list(PACKAGES))
def test_what_coverage_leaves_out_of_protocol_says_why(package: Path) -> None:
    silent = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in sorted((package / "protocol").rglob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        if "pragma: no" in line and not re.search(r"# pragma: no (cover|branch) - \w", line)
    ]
    assert silent == []
