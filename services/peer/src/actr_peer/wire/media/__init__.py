"""Where encoded frames come from: made, read, pushed, or encoded here."""
