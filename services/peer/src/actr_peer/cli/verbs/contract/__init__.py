"""The verbs that read and write contracts."""
