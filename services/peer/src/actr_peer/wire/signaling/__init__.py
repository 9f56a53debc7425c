"""The socket to the signaling service, kept up."""
