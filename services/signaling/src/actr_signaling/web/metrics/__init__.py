"""What a replica tells Prometheus, and to whom (docs/metrics.md)."""
