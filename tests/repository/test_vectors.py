"""Vectors are what other languages test by: each says why, is read here, and is in a document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "proto" / "vectors").glob("*.json"))
PAGES = (*(ROOT / "docs").glob("protocol*.md"), *(ROOT / "docs/protocol").glob("*.md"))
EXAMPLES = {
    "signaling.md": r"^\| (?:client|server) \| `\w+` \| `([0-9a-f]+)` \|$",
    "protocol.md": r"^(?:[^`|\n]*?)\s{2,}((?:[0-9a-f]{2,}[ ]?)+)$",
    "protocol/envelopes.md": r"^\S.*?\s{2,}([0-9a-f]{8,})$",
    "protocol/streams.md": r"^\S.*?\s{2,}([0-9a-f]{8,})$",
}
"""Lines of a page that end in bytes."""
HEX = re.compile(r"(?:[0-9a-f]{2})*")
HEX_NAMES = {"hex", "message", "mac", "proof", "welcome", "secret", "nonce"}


def groups(file: Path) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(file.read_text("utf-8"))["groups"]
    return listed


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_vector_says_why_and_no_two_of_a_group_are_alike(file: Path) -> None:
    assert json.loads(file.read_text("utf-8"))["about"]
    for name, group in groups(file).items():
        assert group["about"], name
        vectors = [json.dumps(vector, sort_keys=True) for vector in group["vectors"]]
        assert vectors, name
        assert len(set(vectors)) == len(vectors), name
        for vector in group["vectors"]:
            assert vector["why"], name
            for key in HEX_NAMES & vector.keys():
                assert HEX.fullmatch(str(vector[key])), (name, key)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_group_is_read_by_the_services_that_it_names(file: Path) -> None:
    for name, group in groups(file).items():
        assert group["readers"], name
        for service in group["readers"]:
            tests = ROOT / "services" / service / "tests/protocol/vectors" / f"test_{file.stem}.py"
            assert f'("{file.stem}", "{name}")' in tests.read_text("utf-8"), (service, name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_named_by_a_page_of_the_protocol(file: Path) -> None:
    pages = (*PAGES, ROOT / "docs" / "signaling.md")
    assert any(f"proto/vectors/{file.name}" in page.read_text("utf-8") for page in pages)


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_bytes_on_a_page_are_a_vector_s(page: str) -> None:
    held = "".join(file.read_text("utf-8") for file in FILES)
    text = (ROOT / "docs" / page).read_text("utf-8")
    examples = re.findall(EXAMPLES[page], text, re.MULTILINE)
    assert len(examples) > 6
    for example in examples:
        data = example.replace(" ", "")
        inner = data[10:] if data.startswith("ff000000") else data  # a step, without its frame
        assert f'"{inner}"' in held, example
