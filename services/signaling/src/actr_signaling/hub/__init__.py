"""All sessions of a replica, the view of presence, and who is told what."""
