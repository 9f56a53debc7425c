from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.protocol.rules import default_rules
from actr_signaling.issuer.watched import KEYS_FILE, PublicFiles, RulesFile

pytestmark = pytest.mark.service


def put(path: Path, text: str) -> None:
    """Another file each time, as an editor does."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def test_rules_are_read_again_when_the_file_changes_and_a_mistake_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rules.toml"
    put(path, '[[rule]]\npattern = "acme:room@*"\n')
    rules = RulesFile(path, life=60, default=())
    assert [(str(one.pattern), one.life) for one in rules.current()] == [("acme:room@*", 60)]
    put(path, '[[rule]]\npattern = "acme:hall@*"\n')
    assert [str(one.pattern) for one in rules.current()] == ["acme:hall@*"]
    put(path, '[[rule]]\npattern = "acme"\n')
    assert [str(one.pattern) for one in rules.current()] == ["acme:hall@*"]
    path.unlink()
    assert [str(one.pattern) for one in rules.current()] == ["acme:hall@*"]
    put(path, "")
    assert rules.current() == ()


def test_without_a_file_the_default_holds() -> None:
    assert RulesFile(None, life=60, default=default_rules()).current() == default_rules()


@pytest.mark.parametrize(
    ("text", "word"),
    [("[[rule", "no TOML"), ('rule = "x"', "tables"), ("x" * (1 << 20) + "\n\n", "at most")],
    ids=["no TOML", "no rules", "too long"],
)
def test_a_file_that_is_wrong_at_first_is_one_sentence(
    tmp_path: Path, text: str, word: str
) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ConfigError, match="No such file"):
        RulesFile(path, life=60, default=())
    path.write_text(text)
    with pytest.raises(ConfigError, match=word) as refused:
        RulesFile(path, life=60, default=())
    assert str(path) in str(refused.value)


def test_public_files_are_for_everybody_and_written_when_they_differ(tmp_path: Path) -> None:
    public = PublicFiles(tmp_path / "public")
    public.write(KEYS_FILE, {"keys": []})
    path = tmp_path / "public" / KEYS_FILE
    first = path.stat()
    assert stat.S_IMODE(first.st_mode) == 0o644
    assert json.loads(path.read_text()) == {"keys": []}
    public.write(KEYS_FILE, {"keys": []})
    assert path.stat().st_ino == first.st_ino
    public.write(KEYS_FILE, {"keys": [1]})
    assert path.stat().st_ino != first.st_ino
    path.write_bytes(b"\xff")
    public.write(KEYS_FILE, {"keys": [2]})
    assert json.loads(path.read_text()) == {"keys": [2]}
    assert os.listdir(path.parent) == [KEYS_FILE]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="public keys"):
        PublicFiles(tmp_path / "file" / "under")
    public = PublicFiles(tmp_path / "public")
    (tmp_path / "public").rmdir()
    with pytest.raises(ConfigError, match="public keys"):
        public.write(KEYS_FILE, {})
