"""The three packages have one version, and each says what whoever installs it looks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tools.package.trial import TrialError, inspect
from tools.package.wheels import PACKAGES, browsable, pins_of, with_links

ROOT = Path(__file__).resolve().parents[3]
MODULES = {"proto": "actr", "services/signaling": "actr_signaling", "services/peer": "actr_peer"}
PYTHONS = re.compile(r"Programming Language :: Python :: (3\.\d+)")


def project(package: str) -> dict[str, Any]:
    text = (ROOT / package / "pyproject.toml").read_text("utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


VERSION = project("proto")["version"]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_packages_have_one_version_and_ask_for_no_other(package: str) -> None:
    described = project(package)
    texts = [*described["dependencies"]]
    for extra in described.get("optional-dependencies", {}).values():
        texts += extra
    ours = [Requirement(text) for text in texts if text.startswith("actr-")]
    assert described["version"] == VERSION
    assert {str(requirement.specifier) for requirement in ours} <= {f"=={VERSION}"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_says_the_version_of_its_package(package: str) -> None:
    module = import_module(MODULES[package])
    assert module.__version__ == VERSION
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        _ = module.version


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_the_licence_a_readme_and_classifiers(package: str) -> None:
    described = project(package)
    licence = ROOT / package / "LICENSE"
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert described["license-files"] == ["LICENSE"]
    readme = (ROOT / package / described["readme"]).read_text("utf-8")
    assert readme.startswith(f"# {described['name']}\n")
    pythons = set(PYTHONS.findall("\n".join(described["classifiers"])))
    assert pythons == {"3.11", "3.12", "3.13", "3.14"}
    assert described["requires-python"] == ">=3.11"


@pytest.mark.parametrize("service", ["signaling", "peer"])
def test_an_image_is_given_all_files_that_its_package_is_built_from(service: str) -> None:
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text("utf-8")
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        assert f"services/{service}/{name}" in dockerfile
        assert f"!services/*/{name}" in allowed


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://git.example/actr/actr.git", "https://git.example/actr/actr"),
        ("https://ann:secret@git.example/actr", "https://git.example/actr"),
        ("git@git.example:actr/actr.git", "https://git.example/actr/actr"),
        ("ssh://git@git.example:22/actr.git", "https://git.example/actr"),
        ("/srv/git/actr.git", ""),
        ("file:///srv/git/actr.git", ""),
        ("", ""),
    ],
)
def test_links_are_where_a_browser_finds_the_project(remote: str, address: str) -> None:
    assert browsable(remote) == address


def test_links_are_written_only_where_an_address_is_known() -> None:
    text = (ROOT / "proto/pyproject.toml").read_text("utf-8")
    urls = tomllib.loads(with_links(text, "https://git.example/a"))["project"]["urls"]
    assert urls == {
        "Homepage": "https://git.example/a",
        "Source": "https://git.example/a",
        "Issues": "https://git.example/a/issues",
    }
    assert with_links(text, "") == text


def test_the_pins_of_a_wheel_are_all_that_it_asks_for_and_nothing_more() -> None:
    def names(asked: str) -> set[str]:
        return set(re.findall(r"^([\w.-]+)==", pins_of(asked), flags=re.MULTILINE))

    bare, whole = names("actr-peer"), names("actr-peer[gen,signaling]")
    assert {"aiortc", "av", "protobuf"} <= bare < whole
    assert {"grpcio-tools", "fastapi"} <= whole - bare
    assert whole & {"pytest", "mypy", "ruff", "psutil", "hatchling", "actr-proto"} == set()


GOOD = {
    "actr/py.typed": "",
    "actr_proto-1.dist-info/licenses/LICENSE": "",
    "actr_proto-1.dist-info/METADATA": "Name: actr-proto\nVersion: 1\n"
    "License-Expression: Apache-2.0\nClassifier: Typing :: Typed\n\n# actr-proto\n",
}


def wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "actr_proto-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return path


def test_a_whole_wheel_passes(tmp_path: Path) -> None:
    inspect([wheel(tmp_path, GOOD)], "1")


METADATA = "actr_proto-1.dist-info/METADATA"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"demo/__init__.py": ""}, r"puts \['actr', 'demo'\] beside a user's own names"),
        ({"actr/py.typed": None, "actr/a.py": ""}, "no py.typed"),
        ({"actr_proto-1.dist-info/licenses/LICENSE": None}, "no licence"),
        ({METADATA: GOOD[METADATA].replace("Version: 1", "Version: 2")}, "version 2, others"),
        ({METADATA: GOOD[METADATA].replace("Classifier", "X-Other")}, "classifiers or README"),
        ({METADATA: "Requires-Dist: actr-peer>=1\n" + GOOD[METADATA]}, "not pinned to this"),
    ],
)
def test_a_wheel_that_lacks_something_is_refused(
    tmp_path: Path, change: dict[str, str | None], fault: str
) -> None:
    files = {name: text for name, text in {**GOOD, **change}.items() if text is not None}
    with pytest.raises(TrialError, match=fault):
        inspect([wheel(tmp_path, files)], "1")


def test_another_version_is_written_to_all_packages_and_pins(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir(parents=True)
        shutil.copy(ROOT / package / "pyproject.toml", tmp_path / package)
    (tmp_path / "tools").mkdir()
    tool = shutil.copy(ROOT / "tools/version", tmp_path / "tools")
    subprocess.run([tool, "7.8.9"], check=True)
    texts = [(tmp_path / package / "pyproject.toml").read_text("utf-8") for package in PACKAGES]
    assert [tomllib.loads(text)["project"]["version"] for text in texts] == ["7.8.9"] * 3
    assert set(re.findall(r'"actr-[a-z]+==([^"]+)"', "".join(texts))) == {"7.8.9"}
    shown = subprocess.run([tool], check=True, capture_output=True, text=True)
    assert shown.stdout == "7.8.9\n"
