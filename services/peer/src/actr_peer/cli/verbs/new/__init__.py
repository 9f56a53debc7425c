"""`actr new`: a small project that runs, and passes its own tests."""
