"""Who serves calls from inside the process: the workload, and the shell."""
