"""What grows with the number of streams of one link."""
