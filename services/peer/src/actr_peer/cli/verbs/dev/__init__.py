"""`actr dev`: signaling and workloads as processes, watched, in one terminal."""
