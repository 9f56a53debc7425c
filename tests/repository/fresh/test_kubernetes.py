"""deploy/kubernetes is the system of compose.yaml: each service's settings, ports, secrets, limits.

Read as text, for the environment of the tests has nothing that reads YAML; what checks the form is
``make check-kubernetes``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BASE = ROOT / "deploy/kubernetes/base"
SERVICES = ("issuer", "redis", "signaling", "peer")
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")
ENVIRONMENT = re.compile(r"^      (ACTR_\w+): (.*)$", re.M)
SECRET = re.compile(r"^      - ([a-z-]+):(/\S+?)(:ro)?$", re.M)
MOUNT = re.compile(
    r"^            - \{name: ([a-z-]+), mountPath: ([^,}]+)(, readOnly: true)?\}$", re.M
)


def compose(service: str) -> str:
    """The lines of one service in compose.yaml."""
    text = (ROOT / "compose.yaml").read_text()
    found = re.search(rf"^  {service}:\n((?:    .*\n|\n)+)", text, re.M)
    assert found is not None
    return found[1]


def manifest(service: str) -> str:
    return (BASE / f"{service}.yaml").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_settings_that_it_has_in_compose(service: str) -> None:
    wanted = {
        name: DEFAULT.sub(r"\1", value) for name, value in ENVIRONMENT.findall(compose(service))
    }
    file = BASE / f"{service}.env"
    lines = file.read_text().splitlines() if file.exists() else []
    assert dict(line.split("=", 1) for line in lines) == wanted
    assert (f"configMapRef: {{name: {service}}}" in manifest(service)) is bool(wanted)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_volumes_that_it_has_in_compose_and_a_tmp(service: str) -> None:
    text = manifest(service)
    mounts = {name: (path, bool(ro)) for name, path, ro in MOUNT.findall(text)}
    wanted = {name: (path, bool(ro)) for name, path, ro in SECRET.findall(compose(service))}
    assert mounts == {"tmp": ("/tmp", False)} | wanted
    for name in wanted:
        if name.endswith(("-secret", "-secrets")):
            assert f"secret: {{secretName: {name}, defaultMode: 0400}}" in text


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_what_it_may_in_compose_and_no_more(service: str) -> None:
    text = manifest(service)
    for line in (
        "runAsNonRoot: true",
        "runAsUser: 10001",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "capabilities: {drop: [ALL]}",
        "seccompProfile: {type: RuntimeDefault}",
        "automountServiceAccountToken: false",
        "emptyDir: {medium: Memory, sizeLimit: 32Mi}",
    ):
        assert text.count(line) == 1, line
    (limit,) = re.findall(r"mem_limit: (\d+)m", compose(service))
    assert f"limits: {{memory: {limit}Mi," in text
    (image,) = re.findall(r"image: (\S+)", compose(service))
    assert re.findall(r"image: (\S+)", text) == [image]


@pytest.mark.parametrize(
    ("service", "port"), [("issuer", 8090), ("redis", 6379), ("signaling", 8080), ("peer", 9100)]
)
def test_the_port_of_a_service_is_the_one_that_others_are_told_and_may_reach(
    service: str, port: int
) -> None:
    text = manifest(service)
    assert re.findall(r"containerPort: (\d+)", text) == [str(port)]
    assert re.findall(r"    - \{name: \w+, port: (\d+),", text) == [str(port)]
    policies = (BASE / "network.yaml").read_text().split("---\n")
    (own,) = (one for one in policies if f"  name: {service}\n" in one)
    assert f"port: {port}}}" in own.partition("egress:")[0]


def test_health_is_asked_as_the_images_ask_it() -> None:
    for service, dockerfile in (
        ("redis", "deploy/redis/Dockerfile"),
        ("peer", "services/peer/Dockerfile"),
    ):
        (command,) = re.findall(
            r"^HEALTHCHECK .*\\\n\s+CMD (.+)$", (ROOT / dockerfile).read_text(), re.M
        )
        words = re.findall(r'"([^"]+)"', command) or [command]
        for word in words:
            assert f"- {word}\n" in manifest(service)
