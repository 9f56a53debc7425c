"""How a node stands: frozen views of it, and what others are told of them (``actr.Inspection``)."""
