"""Each alert of deploy/observability asks for what is exported, is tried, and has its runbook.

Rules are read as text, for the environment of the tests has nothing that reads YAML; their form,
and what they do with series, is promtool's to judge.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.skips import lacking

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy/observability"
RULES = sorted((FOLDER / "rules").glob("*.yaml"))
ALERT = re.compile(r"^      - alert: (\w+)\n((?:        .*\n|\n)+)", re.M)
EXPRESSION = re.compile(r"^        expr: (.*\n(?: {10}.*\n)*)", re.M)
METRIC = re.compile(r"\b(?:actr|process)_[a-z_]+\b|\bup\b")
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason=lacking("promtool"))

ALERTS = {
    name: body for path in RULES for name, body in ALERT.findall(path.read_text("utf-8") + "\n")
}


def expression(alert: str) -> str:
    (found,) = EXPRESSION.findall(ALERTS[alert])
    return str(found)


def exported() -> set[str]:
    """What docs/metrics.md lists; tests of both services compare it with what they export."""
    return set(re.findall(r"`((?:actr|process)_\w+)`", (ROOT / "docs/metrics.md").read_text())) | {
        "up"  # Prometheus' own: whether it was told anything
    }


def anchors() -> set[str]:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    return {head.lower().replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)}


def test_every_alert_is_found() -> None:
    written = sum(path.read_text("utf-8").count("- alert:") for path in RULES)
    assert len(ALERTS) == written >= 10


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_is_and_who_has_it_and_where_to_read_on(alert: str) -> None:
    body = ALERTS[alert]
    assert "summary: " in body
    assert "$labels.instance" in body.partition("description: ")[2]
    assert re.findall(r"runbook: (.+)", body) == [f"docs/operations.md#{alert.lower()}"]
    assert alert.lower() in anchors()
    assert re.findall(r"severity: (\w+)", body) in (["page"], ["warn"])


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_asks_for_what_is_exported(alert: str) -> None:
    known = exported()
    asked = set(METRIC.findall(expression(alert)))
    assert asked
    unknown = {name for name in asked if re.sub(r"_(bucket|sum|count)$", "", name) not in known}
    assert unknown == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_of_a_part_s_event_names_one_that_is_counted(alert: str) -> None:
    source = (ROOT / "services/peer/src/actr_peer/node/observe/counts.py").read_text("utf-8")
    for part, event in re.findall(r'part="(\w+)", event="(\w+)"', expression(alert)):
        counted = source.partition(f'"{part}": {{')[2].partition("}")[0]
        assert f'"{event}": ' in counted


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tried_among_all_rules(alert: str) -> None:
    tried = "".join(path.read_text("utf-8") for path in (FOLDER / "tests").glob("*.yaml"))
    assert f"- alertname: {alert}\n" in tried
    assert f"""labels: '{{alertname="{alert}"}}'""" in tried, "and no other one fires"


def promtool(*arguments: str) -> None:
    ran = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_promtool_takes_the_configuration_and_all_rules() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", *(str(path) for path in RULES))


@needs_promtool
@pytest.mark.parametrize("path", sorted((FOLDER / "tests").glob("*.yaml")), ids=lambda p: p.stem)
def test_each_fault_raises_its_alert_and_no_other(path: Path) -> None:
    promtool("test", "rules", str(path))


def test_what_is_asked_has_its_metrics_on_in_compose() -> None:
    compose = (ROOT / "compose.yaml").read_text("utf-8")
    config = (FOLDER / "prometheus.yml").read_text("utf-8")
    asked = re.findall(r"names: \[(\w+)\], type: A, port: (\d+)", config)
    assert [name for name, _ in asked] == ["peer", "signaling"]
    for name, port in asked:
        service = compose.partition(f"\n  {name}:\n")[2].partition("\n\n")[0]
        assert re.search(rf"METRICS_+LISTEN: 0\.0\.0\.0:{port}\n", service), name
