"""Faults in a real system, each found by one alert of a real Prometheus: ``make gameday-test``."""
