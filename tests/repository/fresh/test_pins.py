"""What the images hold is what the tests ran with, and all that the packages ask for."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tools.constraints import with_pins

ROOT = Path(__file__).resolve().parents[3]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
OWN = {"actr-proto", "actr-peer", "actr-signaling"}
SERVICES = ("signaling", "peer")


FILES = (
    "requirements/dev.txt",
    "requirements/build.txt",
    "requirements/uv.txt",
    "requirements/types.txt",
    "requirements/kubernetes.txt",
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
        "bound it, in the group dev of pyproject.toml, to what every Python has; then make lock"
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
    asked = {normal(Requirement(text).name) for text in project["project"]["dependencies"]}
    image = pins(ROOT / "services" / service / "requirements.txt")
    assert asked - OWN <= image.keys(), "run make lock"


@pytest.mark.parametrize("path", FILES)
def test_every_pin_has_a_hash(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    blocks = re.split(r"\n(?=[A-Za-z])", text.strip())
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def project(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path / "pyproject.toml").read_text("utf-8"))


def asked() -> list[tuple[str, Requirement]]:
    """All that the packages, their builds and the developers ask for, and who does."""
    found = []
    for path in ("proto", "services/signaling", "services/peer"):
        described = project(path)
        texts = [*described["project"]["dependencies"], *described["build-system"]["requires"]]
        for extra in described["project"].get("optional-dependencies", {}).values():
            texts += extra
        found += [(path, Requirement(text)) for text in texts]
    found += [("tools", Requirement(text)) for text in project(".")["dependency-groups"]["dev"]]
    return [(who, requirement) for who, requirement in found if normal(requirement.name) not in OWN]


@pytest.mark.parametrize("path", FILES)
def test_each_pin_lies_in_the_range_of_all_who_ask_for_it(path: str) -> None:
    pinned = pins(ROOT / path)
    outside = [
        f"{who} asks for {requirement}, pinned is {pinned[name]}"
        for who, requirement in asked()
        if (name := normal(requirement.name)) in pinned
        and not requirement.specifier.contains(pinned[name])
    ]
    assert outside == [], "run make lock"


def test_all_that_is_asked_for_is_pinned() -> None:
    pinned = pins(ROOT / "requirements" / "dev.txt")
    assert {normal(requirement.name) for _, requirement in asked()} - pinned.keys() == set()


def test_uv_is_told_the_pins_that_pip_takes() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert with_pins(text) == text, "run make lock"
