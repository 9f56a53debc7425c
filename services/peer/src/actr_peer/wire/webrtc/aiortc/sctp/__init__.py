"""The SCTP association: bounded as a receiver, ranked as a sender."""
