"""What an actor serves: that its handlers fit, and what it tells others of it."""
