"""``actr-issuer rules``: what a realm's secret may enrol, and which rule decides for an id."""

from __future__ import annotations

import argparse

from actr_signaling.issuer.cli.answers import Answer, claims_text, table
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.rules import Rule, Taken, decide, default_rules
from actr_signaling.issuer.protocol.subjects import Subject, check_realm
from actr_signaling.issuer.settings import Settings
from actr_signaling.issuer.watched import read_rules


async def rules(options: argparse.Namespace, settings: Settings) -> Answer:
    path = options.file or settings.rules_file
    known = (
        default_rules(life=settings.life, taken=Taken(settings.taken))
        if path is None
        else read_rules(path, life=settings.life)
    )
    if options.id is not None:
        return _decided(known, Subject.parse(options.id), check_realm(options.realm))
    head = ("RULE", "ALLOW", "PATTERN", "REALM", "PATTERNS", "TAKEN", "LIFE", "CLAIMS")
    body = [
        (
            str(one.index),
            "yes" if one.allow else "no",
            str(one.pattern),
            one.realm,
            "yes" if one.patterns else "no",
            one.taken.value,
            str(one.life),
            claims_text(one.claims),
        )
        for one in known
    ]
    notes = [] if path is not None else ["no file of rules: this is what holds without one"]
    document = {"file": None if path is None else str(path), "rules": [_document(r) for r in known]}
    return Answer(document=document, lines=table(head, body), notes=notes)


def _decided(known: tuple[Rule, ...], subject: Subject, realm: str) -> Answer:
    try:
        rule = decide(known, subject, realm)
    except RefusalError as exc:
        return Answer(
            document={"allowed": False, "rule": None, "why": exc.message}, lines=[exc.message]
        )
    claims = claims_text(rule.claims) or "no claims"
    return Answer(
        document={"allowed": True, "rule": _document(rule), "why": ""},
        lines=[f"rule {rule.index} lets the realm's secret enrol {subject}: {claims}"],
    )


def _document(rule: Rule) -> dict[str, object]:
    return {
        "index": rule.index,
        "pattern": str(rule.pattern),
        "realm": rule.realm,
        "allow": rule.allow,
        "patterns": rule.patterns,
        "taken": rule.taken.value,
        "life": rule.life,
        "claims": dict(rule.claims),
    }
