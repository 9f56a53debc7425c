"""What outlives the process: files, and no network. May import protocol and what is below it."""
