"""Calls to an actor type: which actor is asked, and which one when that is lost."""
