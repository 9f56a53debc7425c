from __future__ import annotations

from pathlib import Path

import pytest

from actr_signaling import secret_files
from actr_signaling.errors import ConfigError


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"0123456789abcdef\n")
    assert secret_files.read_secret(path, "X") == b"0123456789abcdef"


def test_a_secret_that_is_missing_or_short_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        secret_files.read_secret(tmp_path / "none", "X")
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(ConfigError, match="openssl rand"):
        secret_files.read_secret(tmp_path / "short", "X")
    with pytest.raises(ConfigError, match="No such file"):
        secret_files.read_realm_secrets(tmp_path / "none")


@pytest.mark.parametrize("value", ["0f3b9c-the-secret-itself", "/abc+the-secret/itself==", "/the"])
def test_a_secret_written_where_its_path_belongs_is_not_printed(value: str) -> None:
    for read in (lambda path: secret_files.read_secret(path, "X"), secret_files.read_realm_secrets):
        with pytest.raises(ConfigError, match="not shown") as refused:
            read(Path(value))
        assert "the-secret" not in str(refused.value)
