"""Whether the tests would notice: critical lines broken one at a time: ``make mutation-test``."""
