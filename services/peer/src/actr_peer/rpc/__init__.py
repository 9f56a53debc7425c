"""Calls and streams over lanes: out, and in as far as the mailbox. Above state and transport."""
