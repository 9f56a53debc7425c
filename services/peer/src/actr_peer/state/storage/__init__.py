"""State on disk: SQLite files, their one writer thread, the run journal. No actors, no loops."""
