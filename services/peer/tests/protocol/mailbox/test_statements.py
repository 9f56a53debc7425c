"""Which SQL a handler's transaction may hold."""

from __future__ import annotations

import pytest

from actr_peer.errors import LimitError, LocalProtocolError
from actr_peer.protocol.mailbox import statements
from actr_peer.protocol.mailbox.statements import MAX_PARAMETERS, check_parameters, check_statement


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- a remark\n insert into t values(?)",
        "/* x */ WITH a AS (SELECT 1) SELECT * FROM a",
        "CREATE TABLE factr_x(a)",
        "UPDATE my_actr_x SET a=1",
    ],
)
def test_work_on_the_workloads_own_tables_is_allowed(sql: str) -> None:
    check_statement(sql)
    check_statement(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "COMMIT",
        "begin immediate",
        "PRAGMA synchronous=OFF",
        "ATTACH 'x' AS y",
        "VACUUM",
        "SAVEPOINT a",
        "/* unclosed SELECT",
        "SELECT * FROM actr_inbox",
        'DELETE FROM "actr_dead"',
        "DELETE FROM main.ACTR_inbox",
        "ALTER TABLE t RENAME TO actr_t",
        "INSERT OR ROLLBACK INTO t VALUES(1)",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    ],
)
def test_everything_else_is_refused(sql: str) -> None:
    with pytest.raises(LocalProtocolError):
        check_statement(sql)


def test_many_different_statements_do_not_pile_up() -> None:
    from actr_peer.protocol.mailbox import statements

    for n in range(3000):
        check_statement(f"SELECT {n}")
    assert len(statements._checked) <= statements._MAX_CHECKED


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1 << 63, id="a number above the largest"),
        pytest.param(-(1 << 63) - 1, id="a number below the smallest"),
        pytest.param("\ud800", id="half of a surrogate pair"),
        pytest.param(object(), id="an object"),
        pytest.param([1], id="a list"),
    ],
)
def test_a_value_that_sqlite_cannot_take_is_refused_by_its_place(value: object) -> None:
    with pytest.raises(LocalProtocolError, match="parameter 2"):
        check_parameters((1, value))


def test_values_at_the_bounds_are_taken() -> None:
    check_parameters(((1 << 63) - 1, -(1 << 63), "é\0", b"\xff", None, 1.5, True))
    check_parameters([0] * MAX_PARAMETERS)
    with pytest.raises(LimitError):
        check_parameters([0] * (MAX_PARAMETERS + 1))


@pytest.mark.parametrize("sql", ["SELECT '\ud800'", "SELECT 1\0"])
def test_a_statement_that_is_no_text_is_refused(sql: str) -> None:
    with pytest.raises(LocalProtocolError, match="NUL or half"):
        check_statement(sql)


@pytest.mark.parametrize("value", ["123", b"123"])
def test_a_value_longer_than_sqlite_takes_is_refused(
    value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MAX_VALUE_BYTES", 3)
    check_parameters((value,))
    monkeypatch.setattr(statements, "MAX_VALUE_BYTES", 2)
    with pytest.raises(LimitError, match="bytes of a parameter"):
        check_parameters((value,))
