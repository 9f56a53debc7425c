"""The WebRTC wire: exchanges over signaling, and what an engine must do."""
