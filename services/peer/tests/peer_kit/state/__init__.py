"""Mailboxes and outboxes that are killed, starved of disk and cut from power."""
