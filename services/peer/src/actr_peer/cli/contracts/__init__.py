"""What a verb knows of a contract: from a generated module, or told by an actor."""
