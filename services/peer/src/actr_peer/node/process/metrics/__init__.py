"""What a running peer tells Prometheus; loaded only where it is asked to (docs/metrics.md)."""
