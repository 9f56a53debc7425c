"""What the issuer keeps, in one SQLite file; whoever may write the file may administer it."""
