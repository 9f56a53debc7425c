"""Wheels of the three packages, their sums, and the pins that they run with.

Built by the hatchling that requirements/dev.txt pins, without a network; the same tree gives the
same bytes.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("proto", "services/signaling", "services/peer")
WHOLE = "actr-peer[gen,signaling]"
"""What asks for everything that a wheel of ours may ask for."""

LABELS = (("Homepage", ""), ("Source", ""), ("Issues", "/issues"))
PLACES = tuple(
    {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for system in ("linux", "darwin", "win32")
)
"""Where a wheel may be installed: a requirement that holds in one of them gets its pin."""


def build(out: Path, address: str) -> list[Path]:
    """Build the wheels into ``out``, in place of what was there; in the order of ``PACKAGES``.

    Args:
        address: Where the project can be found, for the links of the wheels; empty for no links.

    Raises:
        subprocess.CalledProcessError: If a wheel cannot be built; pip has said why.
    """
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="actr-package-") as scratch:
        sources = [copied(ROOT / name, Path(scratch), address) for name in PACKAGES]
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
        subprocess.run(
            [*pip, "--no-build-isolation", "--wheel-dir", str(out), *map(str, sources)], check=True
        )
    wheels = [next(out.glob(f"{project(name)['name'].replace('-', '_')}-*")) for name in PACKAGES]
    sums = [f"{digest(wheel)}  {wheel.name}\n" for wheel in wheels]
    (out / "SHA256SUMS").write_text("".join(sums), "utf-8")
    (out / "requirements.txt").write_text(requirements(wheels), "utf-8")
    return wheels


def copied(package: Path, scratch: Path, address: str) -> Path:
    """The package beside others in ``scratch``, without tests and leftovers, and with links."""
    place = scratch / package.name
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "tests", "vectors", "Dockerfile")
    shutil.copytree(package, place, ignore=ignored)
    described = place / "pyproject.toml"
    described.write_text(with_links(described.read_text("utf-8"), address), "utf-8")
    return place


def with_links(text: str, address: str) -> str:
    """The text of a pyproject.toml that says where the project can be found.

    The sources name no address, for they know none: it is that of the repository they are in.
    """
    if not address:
        return text
    links = "".join(f'{label} = "{address}{path}"\n' for label, path in LABELS)
    return f"{text}\n[project.urls]\n{links}"


def origin() -> str:
    """Where this repository was cloned from, as a browser takes it; empty for no such place."""
    asked = subprocess.run(
        ["git", "remote", "get-url", "origin"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return browsable(asked.stdout.strip())


def browsable(remote: str) -> str:
    """``https://host/path`` of a remote of git; empty for a folder. No name, no password."""
    if at := re.fullmatch(r"[\w.-]+@([\w.-]+):(?!\d+/)/?(.+)", remote):
        remote = f"https://{at[1]}/{at[2]}"
    parts = urlsplit(remote)
    if parts.scheme not in ("https", "http", "ssh") or not parts.hostname:
        return ""
    return f"https://{parts.hostname}{parts.path.removesuffix('/').removesuffix('.git')}"


def project(package: str) -> dict[str, str]:
    """The table ``project`` of a package's pyproject.toml."""
    text = (ROOT / package / "pyproject.toml").read_text("utf-8")
    table: dict[str, str] = tomllib.loads(text)["project"]
    return table


def digest(wheel: Path) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def requirements(wheels: list[Path]) -> str:
    """All that ``pip install --require-hashes --find-links`` needs: the wheels, and their pins."""
    lines = [f"# pip install --require-hashes --find-links {wheels[0].parent.name} -r this file\n"]
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        asked: str = canonicalize_name(name)
        if WHOLE.startswith(f"{asked}["):
            asked = WHOLE
        lines.append(f"{asked}=={version} --hash=sha256:{digest(wheel)}\n")
    return "".join(lines) + pins_of(WHOLE)


def pins_of(asked: str) -> str:
    """Blocks of requirements/dev.txt of all that a requirement asks for, itself and ours not."""
    text = (ROOT / "requirements/dev.txt").read_text("utf-8")
    wanted = set(closure(Requirement(asked), set()))
    blocks = re.finditer(r"^([\w.-]+)==(?:.*\\\n)*.*\n", text, flags=re.MULTILINE)
    return "".join(found[0] for found in blocks if canonicalize_name(found[1]) in wanted)


def closure(asked: Requirement, seen: set[str]) -> Iterator[str]:
    """Canonical names of all that is asked for, on any system that a wheel may be installed on."""
    name = canonicalize_name(asked.name)
    key = f"{name}[{','.join(sorted(asked.extras))}]"
    if key in seen:
        return
    seen.add(key)
    yield name
    try:
        needed = metadata.requires(name) or ()
    except metadata.PackageNotFoundError:
        return  # for another system than this one
    for text in needed:
        requirement = Requirement(text)
        marker = requirement.marker
        extras = asked.extras or {""}
        if marker is None or any(
            marker.evaluate({**place, "extra": extra}) for place in PLACES for extra in extras
        ):
            yield from closure(requirement, seen)
