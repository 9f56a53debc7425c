"""An actor as a process: settings, start, control socket, end. May import the rest of node."""
