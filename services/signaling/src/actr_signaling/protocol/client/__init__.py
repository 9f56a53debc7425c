"""One client's session: what it may say, and what is said to it."""
