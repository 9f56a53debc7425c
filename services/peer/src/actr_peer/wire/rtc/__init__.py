"""The engine on aiortc: all that touches that library, and its private parts."""
