"""What the tests of the peer share."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parents[2]


def block(document: str, start: str) -> str:
    """The one block of code of ``document`` that begins with ``start``.

    Who takes one runs it: tests/repository/test_documents.py looks for those that nobody takes.
    """
    text = (ROOT / document).read_text("utf-8")
    found = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M)
    (one,) = (each for each in found if each.startswith(start))
    return str(one)
