"""What an actor keeps of its identity: its key, its certificate, its issuer's keys."""
