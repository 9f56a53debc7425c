"""Verbs that go on and show what changes in actors that run."""
