"""What `actr dev` shows, and how: lines, a table, JSON."""
