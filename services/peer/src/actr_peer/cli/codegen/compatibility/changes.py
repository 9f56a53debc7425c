"""The differences between two contracts, and how bad each is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """What a change does to peers that do not have it yet."""

    BREAKING = "breaking"
    NOTE = "note"


class Rule(Enum):
    """What was looked at."""

    SERVICE_REMOVED = "service-removed"
    METHOD_REMOVED = "method-removed"
    METHOD_KIND = "method-kind"
    LANE = "lane"
    ORDER = "order"
    FAILURES = "failures"
    TIMEOUT = "timeout"
    IDEMPOTENCY = "idempotency"
    CLAIMS = "claims"
    ADDED = "added"
    TYPE_NAME = "type-name"
    FIELD_REMOVED = "field-removed"
    FIELD_TYPE = "field-type"
    FIELD_NAME = "field-name"
    FIELD_CARDINALITY = "field-cardinality"
    FIELD_REQUIRED = "field-required"
    FIELD_DEFAULT = "field-default"
    ONEOF = "oneof"
    VALUE_REMOVED = "value-removed"
    VALUE_NAME = "value-name"
    VALUE_ADDED = "value-added"
    RESERVED_REUSED = "reserved-reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference."""

    severity: Severity
    rule: Rule
    where: str
    """Full name of the service, method, message, field or enum."""
    text: str


class Changes(list[Change]):
    """Changes in the order in which they were found."""

    def add_breaking(self, rule: Rule, where: str, text: str) -> None:
        self.append(Change(severity=Severity.BREAKING, rule=rule, where=where, text=text))

    def add_note(self, rule: Rule, where: str, text: str) -> None:
        self.append(Change(severity=Severity.NOTE, rule=rule, where=where, text=text))
