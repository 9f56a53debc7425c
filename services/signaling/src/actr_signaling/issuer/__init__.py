"""The issuer: binds an actor's key to its id by certificates of a short life (docs/issuer.md)."""
