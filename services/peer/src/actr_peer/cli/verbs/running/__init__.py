"""Verbs that ask an actor which runs on this machine how it is."""
