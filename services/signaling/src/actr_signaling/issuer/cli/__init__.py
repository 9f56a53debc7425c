"""The verbs of ``actr-issuer``; those that administer work on the register's file."""
