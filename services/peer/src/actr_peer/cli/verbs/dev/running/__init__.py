"""What `actr dev` runs: workloads, the signaling service, an actor that watches who is online."""
