"""Benchmarks: each prints ratios to peers measured in the same run (docs/benchmarks.md)."""
