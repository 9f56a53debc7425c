from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol.causes import STATUS, Cause, RefusalError
from actr_signaling.issuer.protocol.subjects import Subject, check_realm

PARTS = st.sampled_from(["*", "a", "b", "c.d-e_1"])
SUBJECTS = st.builds(Subject, PARTS, PARTS, PARTS)


def subject(text: str) -> Subject:
    return Subject.parse(text)


def test_every_cause_has_its_status() -> None:
    assert set(STATUS) == set(Cause)


@pytest.mark.parametrize("text", ["acme:room@2", "*:*@*", "acme:*@7", "acme:room@*"])
def test_an_id_and_a_pattern_are_read_and_written_alike(text: str) -> None:
    assert str(subject(text)) == text
    assert subject(text).is_pattern == ("*" in text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme:room",
        "acme@2",
        "acme:room@2:default",
        "acme:ro*@2",
        "acme:room@",
        ":room@2",
        "acme:room@2\n",
        "acme:room@**",
        "acme:room@" + "x" * 64,
        "acme:room@ä",
    ],
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(RefusalError) as refused:
        subject(text)
    assert refused.value.cause is Cause.MALFORMED


@pytest.mark.parametrize(
    ("pattern", "other", "covers", "meets"),
    [
        ("acme:room@*", "acme:room@2", True, True),
        ("acme:room@*", "acme:room@*", True, True),
        ("acme:room@2", "acme:room@*", False, True),
        ("acme:room@*", "acme:hall@2", False, False),
        ("*:room@2", "acme:*@2", False, True),
        ("*:*@*", "acme:room@2", True, True),
        ("acme:room@2", "acme:room@3", False, False),
    ],
)
def test_a_pattern_covers_whole_parts(pattern: str, other: str, covers: bool, meets: bool) -> None:
    assert subject(pattern).covers(subject(other)) is covers
    assert subject(pattern).meets(subject(other)) is meets


@given(SUBJECTS, SUBJECTS, SUBJECTS)
def test_covering_is_an_order_and_what_covers_meets(a: Subject, b: Subject, c: Subject) -> None:
    assert a.covers(a)
    assert not (a.covers(b) and b.covers(c)) or a.covers(c)
    assert not (a.covers(b) and b.covers(a)) or a == b
    assert not a.covers(b) or a.meets(b)
    assert a.meets(b) == b.meets(a)


@pytest.mark.parametrize("text", ["", "*", "a b", "x" * 64])
def test_a_realm_is_exact(text: str) -> None:
    assert check_realm("default") == "default"
    with pytest.raises(RefusalError):
        check_realm(text)
