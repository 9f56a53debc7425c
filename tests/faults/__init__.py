"""Wires cut, frozen and lossy under traffic, and the comparison of what arrived."""
