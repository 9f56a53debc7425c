"""What the images hold is what the tests ran with, and all that the packages ask for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9._-]+")
OWN = "actr-proto"
SERVICES = ("signaling", "peer")


def pins(path: Path) -> dict[str, str]:
    return {normal(name): version for name, version in PIN.findall(path.read_text("utf-8"))}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_the_versions_that_the_tests_ran_with(service: str) -> None:
    tested = pins(ROOT / "requirements" / "dev.txt")
    image = pins(ROOT / "services" / service / "requirements.txt")
    assert image.items() <= tested.items(), "run make lock"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_all_that_its_package_asks_for(service: str) -> None:
    project = tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text("utf-8"))
    asked = {
        normal(name[0])
        for text in project["project"]["dependencies"]
        if (name := NAME.match(text)) is not None
    }
    image = pins(ROOT / "services" / service / "requirements.txt")
    assert asked - {OWN} <= image.keys(), "run make lock"


@pytest.mark.parametrize(
    "path", ["requirements/build.txt", *(f"services/{s}/requirements.txt" for s in SERVICES)]
)
def test_everything_that_goes_into_an_image_has_a_hash(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    blocks = re.split(r"\n(?=[A-Za-z])", text.strip())
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
