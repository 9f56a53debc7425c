"""Actors over WebRTC."""
