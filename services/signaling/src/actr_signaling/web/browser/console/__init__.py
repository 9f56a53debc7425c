"""The console at ``/``: who may have it, and its files, which browser/console makes."""
