"""``actr demo``: a signaling service and two peers as processes, and all five payload types."""
