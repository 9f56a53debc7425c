"""Durable calls of our own: kept until answered."""
