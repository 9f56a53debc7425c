"""The ``actr`` command, one module per group of verbs."""
