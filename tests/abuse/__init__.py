"""Abuses of what listens to strangers, each beside fifty honest clients: ``make abuse-test``."""
