"""What ``docker inspect`` and the kernel say of the containers."""

from __future__ import annotations

import json

import pytest

from integration_kit.drivers import Composed, assert_hardened, inspect
from integration_kit.engine import DockerError, docker, logs

SERVICES = ("redis", "issuer", "signaling", "peer")
SECRETS = {
    "the realm": ("peer", "/run/secrets/realm/secret"),
    "Redis' user": ("signaling", "/run/secrets/store/password"),
    "Redis' operator": ("redis", "/run/secrets/redis/operator"),
}
"""Who has each, and where."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(system: Composed, service: str) -> None:
    for container in system.containers(service):
        assert_hardened(container)


@pytest.mark.parametrize("service", SERVICES)
def test_the_kernel_agrees(system: Composed, service: str) -> None:
    container = system.containers(service)[0]
    status = docker("exec", container, "cat", "/proc/1/status")
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(rows["CapEff"], 16) == 0, f"{container} has effective capabilities"
    assert rows["NoNewPrivs"] == "1", f"{container} may gain privileges"
    assert rows["Seccomp"] == "2", f"{container} has no system call filter"
    with pytest.raises(DockerError, match="Read-only file system"):
        docker("exec", container, "sh", "-c", "echo x > /etc/x")


def test_only_signaling_is_published_and_on_loopback_only(system: Composed) -> None:
    for service in SERVICES:
        for container in system.containers(service):
            ports = inspect(container)["NetworkSettings"]["Ports"]
            assert isinstance(ports, dict)
            published = [port["HostIp"] for found in ports.values() for port in found or []]
            wanted = ["127.0.0.1"] if service == "signaling" else []
            assert published == wanted, f"{container} publishes {ports}"


def test_the_signaling_image_is_small_and_has_no_webrtc_stack(system: Composed) -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "actr-signaling"))
    assert size < 200_000_000, f"the signaling image is {size / 1e6:.0f} MB unpacked"
    container = system.containers("signaling")[0]
    for package in ("aiortc", "av", "actr_peer", "pip"):
        with pytest.raises(DockerError, match="ModuleNotFoundError"):
            docker("exec", container, "python", "-c", f"import {package}")


def test_the_issuer_s_private_key_is_in_no_other_container(system: Composed) -> None:
    issuer = system.containers("issuer")[0]
    keys = docker("exec", issuer, "sh", "-c", "cd /var/lib/issuer/keys && stat --format '%a %n' *")
    assert [line.split()[0] for line in keys.splitlines()] == ["600"]
    shown = docker("exec", issuer, "cat", "/run/issuer/keys.json")
    for service in ("signaling", "peer", "redis"):
        for container in system.containers(service):
            mounts = inspect(container)["Mounts"]
            assert isinstance(mounts, list)
            names = {mount.get("Name", "").removeprefix("actr-test_"): mount for mount in mounts}
            assert "issuer" not in names, f"{container} mounts the issuer's private key"
            if service == "signaling":
                assert not names["issuer-public"]["RW"]
                assert docker("exec", container, "cat", "/run/issuer/keys.json") == shown


def test_no_secret_is_in_an_image_or_in_the_environment(system: Composed) -> None:
    for name, (reader, path) in SECRETS.items():
        holder = system.containers(reader)[0]
        secret = docker("exec", holder, "cat", path)
        assert len(secret) >= 32, f"the secret of {name} is short"
        mode = docker("exec", holder, "stat", "--format", "%a", path)
        assert mode == "600", f"others may read the secret of {name}: {mode}"
        for service in SERVICES:
            for container in system.containers(service):
                assert secret not in json.dumps(inspect(container)), f"{container} shows {name}'s"
                assert secret not in logs(container), f"{container} logs {name}'s"


def test_a_peer_ends_gracefully_within_the_grace_period(system: Composed) -> None:
    peer, *others = system.peers()
    docker("stop", peer.container)
    code = docker("inspect", "--format", "{{.State.ExitCode}}", peer.container)
    assert code == "0", f"{peer.id} ended with {code} on SIGTERM"
    for other in others:
        assert peer.id not in other.actors(), f"{other.id} still sees {peer.id}, which has left"
