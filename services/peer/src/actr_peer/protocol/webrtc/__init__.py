"""Who offers, what an offer may say, and which ways are tried (docs/protocol.md)."""
