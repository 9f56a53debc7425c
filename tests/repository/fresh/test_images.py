"""What the images start by name is in the tree: a health check that finds no file never passes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ROOT / "services"


def health_command(service: str) -> list[str]:
    text = (SERVICES / service / "Dockerfile").read_text()
    (line,) = re.findall(r"^HEALTHCHECK .*\\\n\s+CMD \[(.+)\]$", text, re.MULTILINE)
    return re.findall(r'"([^"]+)"', line)


def test_the_peer_s_health_check_runs_a_file_of_the_peer() -> None:
    script = next(part for part in health_command("peer") if part.endswith(".py"))
    assert (SERVICES / "peer/src" / script.split("/site-packages/")[1]).is_file()
    kit = (ROOT / "tests/integration/integration_kit/drivers.py").read_text()
    assert f'"{script}"' in kit


def test_signaling_s_health_check_runs_a_module_of_signaling() -> None:
    module = health_command("signaling")[-1]
    assert (SERVICES / "signaling/src" / Path(*module.split("."))).with_suffix(".py").is_file()
