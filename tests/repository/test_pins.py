"""What the images hold is what the tests ran with, and all that the packages ask for."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9._-]+")
OWN = "actr-proto"
SERVICES = ("signaling", "peer")


FILES = (
    "requirements/dev.txt",
    "requirements/build.txt",
    *(f"services/{service}/requirements.txt" for service in SERVICES),
)


def all_pins(path: Path) -> list[tuple[str, str]]:
    """Each pin of the file, also where a marker chooses between two of one name."""
    return [(normal(name), version) for name, version in PIN.findall(path.read_text("utf-8"))]


def pins(path: Path) -> dict[str, str]:
    return dict(all_pins(path))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("path", FILES)
def test_no_package_has_two_pins(path: str) -> None:
    names = Counter(name for name, _ in all_pins(ROOT / path))
    assert names
    assert [name for name, count in names.items() if count > 1] == [], (
        "bound it in requirements/dev.in to what every supported Python has, then make lock"
    )


def test_all_files_agree_on_the_version_of_a_package() -> None:
    versions: dict[str, set[str]] = {}
    for path in FILES:
        for name, version in all_pins(ROOT / path):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}, (
        "run make lock"
    )


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
