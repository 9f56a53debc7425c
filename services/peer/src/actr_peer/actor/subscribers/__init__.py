"""Fast-path callbacks: streams by channel id, media by track id. One-way: there is no Context."""
