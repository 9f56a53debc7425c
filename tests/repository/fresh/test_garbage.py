"""What a test leaves behind is told with its own file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LEAKING = """
import socket

class Circle:
    def __init__(self):
        self.me, self.socket = self, socket.socket()

def test_leaks():
    Circle()
"""


def test_a_socket_that_a_test_leaves_open_is_an_error_of_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "test_a.py").write_text(LEAKING)
    (tmp_path / "test_b.py").write_text("def test_is_innocent():\n    pass\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.garbage", "-rE"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "left behind by a test of test_a.py:" in run.stdout
    assert "unclosed <socket.socket fd=" in run.stdout
    assert "\nERROR test_a.py::test_leaks" in run.stdout
    assert "2 passed, 1 error" in run.stdout
