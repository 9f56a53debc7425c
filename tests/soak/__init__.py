"""Peers that work while everything around them breaks: ``make soak-test MINUTES=60``.

Six peers on two hosts of a private network call each other, for as long as it is told: plain
calls, durable calls, tells, streams, latency-first items, media. Two replicas of signaling share
a Redis. Every fifteen seconds something breaks: wires are cut, processes frozen, ended or
killed, Redis is emptied, twenty actors come and go at once. In the end nothing may be lost,
doubled or out of order, nothing may have ended by itself, and memory, descriptors and tasks must
be flat.
"""
