"""Who is online, who is told, and how replicas store it."""
