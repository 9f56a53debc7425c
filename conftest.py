"""What all tests of the repository share: one profile of Hypothesis, a word on what is skipped, and
a look at what is left behind.

Nothing here is timed. Hypothesis fails a test whose examples take long to make or to run
(``too_slow``, ``deadline``), which on a busy machine says something of the machine; how long a
run may take as a whole is pytest's ``timeout``. All other health checks stay: that a strategy
filters too much away, or makes too large examples, is as true on a slow machine as on a fast one.
"""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.skips", "tests.garbage"]

settings.register_profile("actr", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("actr")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's "make test &": what tests start would ignore Ctrl-C, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
