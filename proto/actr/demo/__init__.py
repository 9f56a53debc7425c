"""The services that the demo and the integration tests speak."""
