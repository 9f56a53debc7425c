"""The ledger of several replicas around one Redis. May import protocol, ledger, tasks, errors."""
